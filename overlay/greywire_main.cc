// `greywire`: asks a running greywired, checks configs, makes keys. See overlay/cli/command_line.h.
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "overlay/cli/command_line.h"
#include "overlay/config/key_files.h"

int main(int argc, char** argv) {
  struct stat out {};
  const bool exposed = ::fstat(STDOUT_FILENO, &out) == 0 && S_ISREG(out.st_mode) &&
                       !greywire::config::is_private_to_service(out);
  const bool colour = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  greywire::cli::Surroundings around{std::cin, std::cout, std::cerr, colour, exposed};
  winsize size{};
  if (::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) around.columns = size.ws_col;
  const auto code = greywire::cli::run(argc, argv, around);
  // A reader that went away (a pipe) has ended us by SIGPIPE, quietly; what is left is a full disk and the like.
  errno = 0;
  if (std::cout.flush()) return static_cast<int>(code);
  std::cerr << "greywire: cannot write the output" << (errno == 0 ? "" : ": ") << (errno == 0 ? "" : std::strerror(errno)) << "\n";
  return static_cast<int>(greywire::cli::ExitCode::kCannotWrite);
}
