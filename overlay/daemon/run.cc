#include "overlay/daemon/run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "overlay/daemon/bare_device.h"
#include "overlay/daemon/command_line.h"
#include "overlay/daemon/site.h"

namespace greywire::daemon {
namespace {

constexpr int kCannotStart = 1;  // or cannot go on
constexpr int kBadConfig = 78;   // EX_CONFIG of sysexits.h

int report(const Result<void>& result) {
  if (result) return 0;
  std::fprintf(stderr, "greywired: %s\n", result.error().text.c_str());
  return result.error().code == kUnusableConfig ? kBadConfig : kCannotStart;
}

int run_device_here(const RunDevice& device, unsigned workers) {
  return report(run_bare_device(device.interface, workers, [](void*) {}, nullptr));
}

// The parent waits until the device is ready and then ends; the child goes on. Before any thread or key exists.
int run_device_in_background(const RunDevice& device, unsigned workers) {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return report(Error{"cannot make a pipe"});
  const pid_t child = ::fork();
  if (child < 0) return report(Error{"cannot fork"});
  if (child > 0) {
    ::close(ready[1]);
    char byte;
    if (::read(ready[0], &byte, 1) == 1) return 0;
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : kCannotStart;
  }
  ::close(ready[0]);
  ::setsid();
  const auto detach = [](void* context) {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; ++fd) ::dup2(nowhere, fd);
    const int fd = *static_cast<int*>(context);
    [[maybe_unused]] const auto n = ::write(fd, "r", 1);
    ::close(fd);
  };
  return report(run_bare_device(device.interface, workers, detach, &ready[1]));
}

// Keys go into no core dump, to nobody's ptrace and, where the system lets us, never to swap.
void keep_keys_in_memory() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const rlimit lock_all{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_MEMLOCK, &lock_all) == 0) return;
  rlimit lock{};
  if (::getrlimit(RLIMIT_MEMLOCK, &lock) != 0) return;
  lock.rlim_cur = lock.rlim_max;
  ::setrlimit(RLIMIT_MEMLOCK, &lock);
}

}  // namespace

int run(int argc, const char* const* argv) {
  ::signal(SIGPIPE, SIG_IGN);
  keep_keys_in_memory();
  int exit_status = 0;
  const auto line = parse_command_line(argc, argv, exit_status);
  if (!line) return exit_status;
  try {
    if (const auto* site = std::get_if<RunSite>(&line->run)) return report(run_site(*site, line->workers));
    const auto& device = std::get<RunDevice>(line->run);
    const char* foreground = std::getenv("WG_PROCESS_FOREGROUND");
    if (device.foreground || (foreground != nullptr && foreground[0] == '1')) {
      return run_device_here(device, line->workers);
    }
    return run_device_in_background(device, line->workers);
  } catch (const std::exception& e) {
    return report(Error{e.what()});
  }
}

}  // namespace greywire::daemon
