// Whoever started the daemon and keeps its descriptors over a restart: systemd, by sd_notify(3) and sd_listen_fds(3), or a
// successor that takes over (takeover.h) and speaks the same. A device lives as long as somebody holds a queue of it, with
// its addresses, routes and carrier; so every device is handed to the store when it is made, and taken from there after a
// restart or a crash. Control thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/base/result.h"

namespace greywire::daemon {

// Descriptors by the name that they were stored under; owned, closed with the object. Move-only.
class HeldDescriptors {
 public:
  HeldDescriptors() = default;
  HeldDescriptors(HeldDescriptors&& other) noexcept : by_name_(std::move(other.by_name_)) { other.by_name_.clear(); }
  HeldDescriptors& operator=(HeldDescriptors&& other) noexcept;
  ~HeldDescriptors();

  void add(std::string name, int fd) { by_name_[std::move(name)].push_back(fd); }
  std::vector<int> take(const std::string& name);  // the caller's from now on; empty: none of that name
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return by_name_.find(name) != by_name_.end(); }

 private:
  std::map<std::string, std::vector<int>> by_name_;
};

// What a device's queues are stored under.
inline std::string stored_name(const std::string& device) { return "link." + device; }

inline constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START

// The names of the descriptors from kFirstListenFd on. Empty where the variables are missing, meant for another process or
// wrong. Names beyond those given are "unknown", as systemd has it. Pure.
std::vector<std::string> listen_fd_names(const char* pid, const char* count, const char* names, long own_pid);

// What systemd passed to this process. Takes the variables away, so that a child is not misled. Call it once.
HeldDescriptors take_listen_fds();

// $WATCHDOG_USEC and $WATCHDOG_PID: none where they are missing, meant for another process or wrong. Pure.
std::optional<std::chrono::microseconds> watchdog_interval(const char* microseconds, const char* pid, long own_pid);

class ServiceManager {
 public:
  explicit ServiceManager(std::string socket, std::optional<std::chrono::microseconds> watchdog = {})
      : socket_(std::move(socket)), watchdog_(watchdog) {}
  // $NOTIFY_SOCKET and $WATCHDOG_USEC, taken away; without the first nobody is told anything.
  static ServiceManager from_environment();

  bool present() const { return !socket_.empty(); }
  // "WATCHDOG=1" must come at least so often, or this process is ended (sd_watchdog_enabled(3)). None: nobody waits for it.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }
  // "READY=1". Errors name the socket; who is not there is no error.
  Result<void> tell(const std::string& state) const;
  // Descriptors of one device under its name, in the place of what was stored under it before.
  Result<void> store(const std::string& name, std::span<const int> fds) const;
  Result<void> forget(const std::string& name) const;

 private:
  Result<void> send(const std::string& state, std::span<const int> fds) const;
  std::string socket_;
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace greywire::daemon
