// The program `greywire`: its command line, its commands, its exit codes.
#pragma once

#include <istream>
#include <ostream>
#include <string>

#include "overlay/cli/exit_code.h"
#include "overlay/cli/text_table.h"

namespace greywire::cli {

// What the program sees of its surroundings, so that tests run it in their own.
struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool colour = false;                  // `out` is a terminal
  bool out_readable_by_others = false;  // `out` is a file that others may read: genkey warns
  std::string socket_directory = "/run/greywire";
  unsigned columns = 0;  // of the terminal; 0: `out` is none
  std::string host_root = {};  // what `check --host` looks at is below it

  Look look() const { return {colour, columns}; }
};

// Runs one command. Messages for people go to `err`, one line each; the answer goes to `out`.
ExitCode run(int argc, const char* const* argv, const Surroundings& around);

}  // namespace greywire::cli
