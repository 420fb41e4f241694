// What the reconciler sees of the system: read the actual state, apply one operation. LinkNetlink is the
// kernel, FakeLinkSystem an in-memory kernel; the same test bodies run over both.
#pragma once

#include <cstddef>
#include <vector>

#include "overlay/links/link_plan.h"
#include "overlay/links/link_state.h"
#include "router/base/result.h"

namespace greywire::links {

// Control thread. Calls block for as long as the kernel takes to answer: milliseconds.
class LinkSystem {
 public:
  virtual ~LinkSystem() = default;
  virtual Result<ActualLinks> read(const ReadScope& scope) = 0;
  // Deleting what is gone already, and adding what is there already, succeed.
  virtual Result<void> apply(const Operation& operation) = 0;
};

struct ReconcileOutcome {
  std::vector<Operation> applied;
  std::vector<Error> problems;  // of the last look; the rest was done all the same
  bool settled() const { return problems.empty(); }
};

// Reads, plans, applies and looks again until nothing is left to do, at most three times. A failing operation
// does not stop the others. The Result is an error only when the state cannot be read.
Result<ReconcileOutcome> reconcile(LinkSystem& system, const DesiredLinks& desired);

}  // namespace greywire::links
