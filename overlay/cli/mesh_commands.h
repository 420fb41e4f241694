// `greywire mesh ...`: from an inventory to every site's files, and a site's way into it. See docs/mesh.md.
#pragma once

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode mesh_build_command(const Surroundings& around, const Options& options);
ExitCode mesh_diff_command(const Surroundings& around, const Options& options);  // kAnswerIsNo: there is one
ExitCode mesh_graph_command(const Surroundings& around, const Options& options);
ExitCode mesh_enroll_command(const Surroundings& around, const Options& options);  // at the site; without an inventory
ExitCode mesh_add_key_command(const Surroundings& around, const Options& options);
ExitCode mesh_revoke_command(const Surroundings& around, const Options& options);

}  // namespace greywire::cli
