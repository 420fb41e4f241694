#include "overlay/daemon/privileges.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "overlay/config/key_files.h"

namespace greywire::daemon {
namespace {

constexpr std::uint16_t kFirstFreePort = 1024;

// Those of the calling thread.
class ThreadRights {
 public:
  ThreadRights() { known_ = ::syscall(SYS_capget, &header_, sets_.data()) == 0; }

  bool known() const { return known_; }
  bool permitted(int capability) const { return known_ && (of(capability).permitted & CAP_TO_MASK(capability)) != 0; }
  bool effective(int capability) const { return known_ && (of(capability).effective & CAP_TO_MASK(capability)) != 0; }
  void drop_inheritable() {
    for (auto& set : sets_) set.inheritable = 0;
  }
  void drop_permitted(int capability) {
    of(capability).permitted &= ~CAP_TO_MASK(capability);
    drop_effective(capability);
  }
  void drop_effective(int capability) { of(capability).effective &= ~CAP_TO_MASK(capability); }
  void raise(int capability) { of(capability).effective |= CAP_TO_MASK(capability); }
  bool apply() {
    header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
    return ::syscall(SYS_capset, &header_, sets_.data()) == 0;
  }

 private:
  __user_cap_data_struct& of(int capability) { return sets_[static_cast<std::size_t>(CAP_TO_INDEX(capability))]; }
  const __user_cap_data_struct& of(int capability) const { return sets_[static_cast<std::size_t>(CAP_TO_INDEX(capability))]; }

  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets_{};
  bool known_ = false;
};

bool contains(const std::vector<int>& capabilities, int capability) {
  return std::find(capabilities.begin(), capabilities.end(), capability) != capabilities.end();
}

std::string name_of(int capability) {
  switch (capability) {
    case CAP_DAC_OVERRIDE: return "DAC_OVERRIDE";
    case CAP_NET_BIND_SERVICE: return "NET_BIND_SERVICE";
    case CAP_NET_ADMIN: return "NET_ADMIN";
    case CAP_NET_RAW: return "NET_RAW";
    case CAP_IPC_LOCK: return "IPC_LOCK";
    case CAP_BPF: return "BPF";
    default: return fmt::format("capability {}", capability);
  }
}

Rights common_rights() {
  Rights rights{{CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF}, {}};
  rlimit lock{};
  if (::getrlimit(RLIMIT_MEMLOCK, &lock) != 0 || lock.rlim_cur != RLIM_INFINITY) rights.always.push_back(CAP_IPC_LOCK);
  return rights;
}

std::string refused(const char* what) { return fmt::format("{}: {}", what, std::strerror(errno)); }

// How many capabilities that are not in `rights` stay in the bounding set.
int shrink_bounding_set(const Rights& rights, bool may) {
  int left = 0;
  for (int capability = 0; ; ++capability) {
    const int there = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (there < 0) return left;  // the kernel knows no more
    if (there == 0 || contains(rights.always, capability) || contains(rights.on_call, capability)) continue;
    if (!may || ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) ++left;
  }
}

}  // namespace

Rights rights_for(const config::Config& config) {
  Rights rights = common_rights();
  const auto& metrics = config.site.metrics;
  if (config.site.listen_port < kFirstFreePort || (metrics && metrics->port < kFirstFreePort)) {
    rights.always.push_back(CAP_NET_BIND_SERVICE);
  }
  if (config.routing && config.routing->source == config::RouteSourceKind::kZebra) rights.on_call.push_back(CAP_DAC_OVERRIDE);
  return rights;
}

Rights either(Rights one, const Rights& other) {
  for (const auto& [into, from] : {std::pair{&one.always, &other.always}, {&one.on_call, &other.on_call}}) {
    for (const int capability : *from) {
      if (!contains(*into, capability)) into->push_back(capability);
    }
  }
  return one;
}

Rights rights_at_start(const config::Config& started, const config::Config* before, std::optional<bool> file_says_zebra) {
  Rights rights = before == nullptr ? rights_for(started) : either(rights_for(started), rights_for(*before));
  if (!file_says_zebra.value_or(true)) std::erase(rights.on_call, CAP_DAC_OVERRIDE);
  return rights;
}

Rights rights_for_bare_device() {
  Rights rights = common_rights();
  rights.always.push_back(CAP_NET_BIND_SERVICE);
  return rights;
}

std::vector<std::string> keep_only(const Rights& rights) {
  std::vector<std::string> kept;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) kept.push_back(refused("new privileges by programs are still possible"));
  ThreadRights thread;
  // While the right to do so is still there.
  if (const int left = shrink_bounding_set(rights, thread.effective(CAP_SETPCAP)); left > 0) {
    kept.push_back(fmt::format("the bounding set has {} capabilities more than are used: it takes CAP_SETPCAP to shrink it", left));
  }
  for (int capability = 0; capability < 32 * _LINUX_CAPABILITY_U32S_3; ++capability) {
    if (contains(rights.on_call, capability)) {
      thread.drop_effective(capability);
    } else if (!contains(rights.always, capability)) {
      thread.drop_permitted(capability);
    } else if (thread.permitted(capability)) {
      thread.raise(capability);
    }
  }
  thread.drop_inheritable();  // the ambient ones go with them
  if (!thread.known() || !thread.apply()) kept.push_back(refused("every capability that this process was started with stays"));
  return kept;
}

std::string rights_text(const Rights& rights) {
  const ThreadRights thread;
  std::vector<std::string> names, on_call;
  for (const int capability : rights.always) {
    if (thread.effective(capability)) names.push_back(name_of(capability));
  }
  for (const int capability : rights.on_call) {
    if (thread.permitted(capability)) on_call.push_back(name_of(capability));
  }
  auto text = names.empty() ? std::string("none") : fmt::format("{}", fmt::join(names, ", "));
  if (!on_call.empty()) text += fmt::format("; {} for zebra's socket", fmt::join(on_call, ", "));
  return text;
}

RaisedRight::RaisedRight(int capability) : capability_(-1) {
  ThreadRights thread;
  if (!thread.permitted(capability) || thread.effective(capability)) return;
  thread.raise(capability);
  if (thread.apply()) capability_ = capability;
}

RaisedRight::~RaisedRight() {
  if (capability_ < 0) return;
  ThreadRights thread;
  thread.drop_effective(capability_);
  thread.apply();
}

std::shared_ptr<void> right_to_zebra() { return std::make_shared<RaisedRight>(CAP_DAC_OVERRIDE); }

std::vector<std::string> out_of_reach(const std::string& config_file, const config::Config& config) {
  std::set<std::string> files{config_file, config::beside(config_file, config.site.private_key_file)};
  if (!config.site.previous_key_file.empty()) files.insert(config::beside(config_file, config.site.previous_key_file));
  for (const auto& peer : config.peers) {
    if (!peer.preshared_key_file.empty()) files.insert(config::beside(config_file, peer.preshared_key_file));
  }
  std::vector<std::string> out;
  for (const std::string& file : files) {
    if (::faccessat(AT_FDCWD, file.c_str(), R_OK, AT_EACCESS) == 0 || errno == ENOENT) continue;
    out.push_back(fmt::format("a reload will not be able to read {}: {}. The user or the group that greywired runs as should be its and its "
                              "folder's: chown :{} and chmod g+r", file, std::strerror(errno), config::kServiceGroup));
  }
  return out;
}

}  // namespace greywire::daemon
