// One capture of `greywire capture`: a thread that writes what the engine's tap takes, as pcapng, to whoever asked for it.
// Neither the data path nor the control thread waits for the reader: what he is too slow for is counted and lost. It ends
// when the reader goes away or has read nothing for kPatience, and with the object.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "overlay/control/pcapng.h"
#include "router/forwarder/capture_tap.h"

namespace greywire::daemon {

class CaptureStream {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  // The tap was started, and is stopped when this ends. Takes the descriptor over, a connected stream socket.
  CaptureStream(CaptureTap& tap, int fd, control::PcapLink link, std::string name);
  ~CaptureStream();
  CaptureStream(const CaptureStream&) = delete;
  CaptureStream& operator=(const CaptureStream&) = delete;

  // False once it has ended, or the reader went away.
  bool running() const;

 private:
  void run();
  bool write(const std::string& bytes);

  CaptureTap& tap_;
  const int fd_;
  const control::PcapLink link_;
  const std::string name_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{true};
  std::thread thread_;
};

// Connects to the unix socket that the asking side listens on. Errors name it.
Result<int> connect_to_reader(const std::string& path);

}  // namespace greywire::daemon
