// `greywire`: asks a running greywired, checks configs, makes keys. See overlay/cli/command_line.h.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "overlay/cli/command_line.h"

int main(int argc, char** argv) {
  struct stat out {};
  const bool exposed = ::fstat(STDOUT_FILENO, &out) == 0 && S_ISREG(out.st_mode) && (out.st_mode & 077) != 0;
  const bool colour = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  const greywire::cli::Surroundings around{std::cin, std::cout, std::cerr, colour, exposed};
  const auto code = greywire::cli::run(argc, argv, around);
  std::cout.flush();
  return static_cast<int>(code);
}
