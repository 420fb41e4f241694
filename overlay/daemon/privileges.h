// What the process may do once its config is read: root's rights, or those that a service manager gave, shrink for good to what
// the site needs. Before any thread is made: rights belong to threads, and each takes over its maker's. capabilities(7).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/config/config.h"
#include "router/base/result.h"

namespace greywire::daemon {

// Capabilities by their numbers.
struct Rights {
  std::vector<int> always;  // effective all the time, in every thread
  std::vector<int> on_call;  // permitted, and effective in one thread while a RaisedRight lives
};

// NET_ADMIN (devices, addresses, routes, marks, large socket buffers), NET_RAW (what routers report), BPF (routing traffic's
// queue); NET_BIND_SERVICE where a port is below 1024; IPC_LOCK where RLIMIT_MEMLOCK would keep keys out of locked memory.
// On call DAC_OVERRIDE where routes come from zebra, whose socket belongs to user frr alone.
Rights rights_for(const config::Config& config);
Rights either(Rights one, const Rights& other);  // what is in one of them
// What is started may come from the daemon's own state_dir, but DAC_OVERRIDE must not: where the config file, which is root's, can be
// loaded and does not say zebra, it is given up. `before`: what may be gone back to; null: nothing.
Rights rights_at_start(const config::Config& started, const config::Config* before, std::optional<bool> file_says_zebra);
Rights rights_for_bare_device();  // its port is any that `wg` names

// Gives up all the others, for the effective, permitted, inheritable, ambient and bounding sets, and the way to new ones by
// programs with privileges of their own. Kept is only what is there. The result is what could not be given up, a line each.
std::vector<std::string> keep_only(const Rights& rights);

// "NET_ADMIN, NET_RAW; DAC_OVERRIDE for zebra's socket", of what this thread has by now.
std::string rights_text(const Rights& rights);

// The calling thread has the right while this lives, if the process kept it; else nothing changes. Not nested, one thread.
class RaisedRight {
 public:
  explicit RaisedRight(int capability);
  ~RaisedRight();
  RaisedRight(const RaisedRight&) = delete;
  RaisedRight& operator=(const RaisedRight&) = delete;

 private:
  int capability_;
};

// The right to zebra's socket, for routing::zapi::Client.
std::shared_ptr<void> right_to_zebra();

// Files that a reload will want and that this process cannot read any more: a line each, with the way out.
std::vector<std::string> out_of_reach(const std::string& config_file, const config::Config& config);

}  // namespace greywire::daemon
