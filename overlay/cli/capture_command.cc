#include "overlay/cli/capture_command.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "overlay/cli/control_client.h"
#include "overlay/control/local_socket.h"
#include "overlay/control/pcapng.h"
#include "router/base/byte_order.h"
#include "router/packet/ip_header.h"
#include "router/packet/mac_address.h"

namespace greywire::cli {
namespace {

namespace pcapng = control::pcapng;

volatile std::sig_atomic_t interrupted = 0;

// For its life, an interrupt ends the capture and not the program, so that the file is whole and the count is told.
class UntilInterrupted {
 public:
  UntilInterrupted() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  ~UntilInterrupted() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }
  UntilInterrupted(const UntilInterrupted&) = delete;
  UntilInterrupted& operator=(const UntilInterrupted&) = delete;

 private:
  static constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};
  std::array<struct sigaction, 2> before_{};
};

// A socket beside the daemon's own, which the daemon connects to.
class Listener {
 public:
  static constexpr int kPatience = 5000;  // milliseconds

  explicit Listener(const std::string& control_socket)
      : control_socket_(control_socket),
        path_(std::filesystem::path(control_socket).parent_path() / fmt::format(".capture.{}", ::getpid())) {}
  ~Listener() {
    if (fd_ >= 0) {
      ::close(fd_);
      ::unlink(path_.c_str());
    }
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> open() {
    const auto address = control::local_socket_address(path_);
    if (!address) return address.error();
    ::unlink(path_.c_str());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return Error{fmt::format("cannot make a socket: {}", std::strerror(errno)), errno};
    const mode_t mask = ::umask(0177);
    const int bound = ::bind(fd_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
    const int code = errno;
    ::umask(mask);
    if (bound != 0 || ::listen(fd_, 1) != 0) {
      ::close(fd_);
      fd_ = -1;
      return Error{fmt::format("cannot listen on {}: {}", path_, std::strerror(code)), code};
    }
    control::give_to_owner_of(control_socket_, path_);
    return {};
  }
  int accept() const {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, kPatience) == 1 ? ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC) : -1;
  }
  const std::string& path() const { return path_; }

 private:
  const std::string control_socket_;
  std::string path_;
  int fd_ = -1;
};

std::string_view protocol_text(std::uint8_t protocol) {
  switch (protocol) {
    case 1:
      return "ICMP";
    case 6:
      return "TCP";
    case 17:
      return "UDP";
    case 47:
      return "GRE";
    case 58:
      return "ICMPv6";
    case 89:
      return "OSPF";
    default:
      return {};
  }
}

std::string ip_line(std::span<const std::uint8_t> packet) {
  IpPacketInfo info;
  if (!parse_ip(packet, info)) return "no sane IP packet";
  const auto name = protocol_text(info.protocol);
  return fmt::format("{} > {} {}", source(packet, info).to_string(), destination(packet, info).to_string(),
                     name.empty() ? fmt::format("protocol {}", info.protocol) : std::string(name));
}

std::uint32_t u32(const char* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// What comes, cut into blocks, and what becomes of each.
class Taker {
 public:
  Taker(const Surroundings& around, const Options& options, int file) : around_(around), options_(options), file_(file) {}

  std::uint64_t packets() const { return packets_; }
  std::uint64_t lost() const { return lost_; }

  // False when it is enough, or could not be written: then `error` says why.
  bool take(std::string_view bytes, std::optional<std::string>& error) {
    waiting_.append(bytes);
    std::size_t at = 0;
    bool more = true;
    while (more && waiting_.size() - at >= pcapng::kLeastBlock) {
      const std::uint32_t size = u32(waiting_.data() + at + 4);
      if (size < pcapng::kLeastBlock || size > pcapng::kMostBlock || size % 4 != 0) {
        error = "the daemon's capture is of another version";
        return false;
      }
      if (waiting_.size() - at < size) break;
      more = block(std::string_view(waiting_).substr(at, size), error);
      at += size;
    }
    waiting_.erase(0, at);
    return more && flush(error);
  }

 private:
  bool block(std::string_view bytes, std::optional<std::string>& error) {
    const std::uint32_t type = u32(bytes.data());
    if (file_ >= 0 && !write(bytes, error)) return false;
    if (type == pcapng::kInterface) ethernet_ = bytes[8] == static_cast<char>(control::PcapLink::kEthernet);
    if (type == pcapng::kStatistics && bytes.size() >= 44) std::memcpy(&lost_, bytes.data() + 36, sizeof lost_);
    if (type != pcapng::kEnhancedPacket || bytes.size() < 32) return true;
    ++packets_;
    if (file_ < 0) line(bytes);
    return options_.count == 0 || packets_ < options_.count;
  }

  void line(std::string_view bytes) {
    const std::uint64_t at = std::uint64_t{u32(bytes.data() + 12)} << 32 | u32(bytes.data() + 16);
    const std::uint32_t size = std::min<std::uint32_t>(u32(bytes.data() + 20), static_cast<std::uint32_t>(bytes.size() - 32));
    const std::uint32_t padded = (size + 3) / 4 * 4;
    // The option after the packet says which way it went.
    const bool outbound = bytes.size() >= 28 + padded + 8 && (u32(bytes.data() + 28 + padded + 4) & 3) == 2;
    const std::span<const std::uint8_t> packet(reinterpret_cast<const std::uint8_t*>(bytes.data()) + 28, size);
    const auto text = packet_line(packet, ethernet_, u32(bytes.data() + 24));
    if (options_.json) {
      around_.out << boost::json::serialize(boost::json::object{
                         {"time_nanoseconds", at}, {"direction", outbound ? "out" : "in"}, {"bytes", u32(bytes.data() + 24)}, {"packet", text}})
                  << "\n";
      return;
    }
    around_.out << fmt::format("{:%H:%M:%S}.{:06} {} {}\n", fmt::localtime(static_cast<std::time_t>(at / 1'000'000'000)),
                               at % 1'000'000'000 / 1000, outbound ? "out" : "in ", text);
  }

  bool write(std::string_view bytes, std::optional<std::string>& error) {
    while (!bytes.empty()) {
      const auto done = ::write(file_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) {
        error = fmt::format("cannot write {}: {}", options_.file, std::strerror(errno));
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
  }

  bool flush(std::optional<std::string>& error) {
    if (file_ >= 0 || around_.out.flush()) return true;
    error = "cannot write the output";
    return false;
  }

  const Surroundings& around_;
  const Options& options_;
  const int file_;
  std::string waiting_;
  bool ethernet_ = false;
  std::uint64_t packets_ = 0;
  std::uint64_t lost_ = 0;
};

ExitCode take_all(const Surroundings& around, const Options& options, int stream, int file) {
  Taker taker(around, options, file);
  std::optional<std::string> error;
  std::string buffer(256 * 1024, '\0');
  const UntilInterrupted until;
  while (interrupted == 0) {
    const auto got = ::recv(stream, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (!taker.take({buffer.data(), static_cast<std::size_t>(got)}, error)) break;
  }
  if (error) return complain(around, ExitCode::kCannotWrite, *error);
  around.err << fmt::format("{} packets{}\n", taker.packets(),
                            taker.lost() == 0 ? std::string() : fmt::format(", and {} more that came too fast", taker.lost()));
  return ExitCode::kDone;
}

}  // namespace

std::string packet_line(std::span<const std::uint8_t> packet, bool ethernet, std::uint32_t original_size) {
  const std::string size = fmt::format(", {} bytes", original_size);
  if (!ethernet) return ip_line(packet) + size;
  constexpr std::size_t kHeader = 14;
  if (packet.size() < kHeader) return "a frame too short" + size;
  std::string out = fmt::format("{} > {} ", MacAddress::from(packet.data() + 6).to_string(), MacAddress::from(packet.data()).to_string());
  std::uint16_t type = load_be16(packet.data() + 12);
  std::size_t at = kHeader;
  while ((type == 0x8100 || type == 0x88a8) && packet.size() >= at + 4) {
    out += fmt::format("VLAN {} ", load_be16(packet.data() + at) & 0xfff);
    type = load_be16(packet.data() + at + 2);
    at += 4;
  }
  if (type == 0x0806) return out + "ARP" + size;
  if (type != 0x0800 && type != 0x86dd) return out + fmt::format("type {:#06x}", type) + size;
  return out + ip_line(packet.subspan(at)) + size;
}

ExitCode capture_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto socket = socket_of(around, options, code);
  if (!socket) return code;
  int file = -1;
  if (options.file == "-") {
    if (::isatty(STDOUT_FILENO) != 0) return complain(around, ExitCode::kUsage, "pcapng is not for a terminal: -w FILE, or a pipe");
    file = STDOUT_FILENO;
  } else if (!options.file.empty()) {
    file = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return complain(around, ExitCode::kCannotWrite, fmt::format("cannot write {}: {}", options.file, std::strerror(errno)));
  }
  Listener listener(*socket);
  // A daemon that is not there is told as every command tells it.
  const auto there = ask_daemon(*socket, {{"command", "pong"}, {"id", 0}});
  if (!there) return complain(around, code_of(there.error()), there.error().text);
  if (const auto open = listener.open(); !open) return complain(around, code_of(open.error()), open.error().text);
  const auto begun = ask_daemon(*socket, {{"command", "capture"}, {"of", options.name}, {"outer", options.outer}, {"to", listener.path()}});
  if (!begun) {
    return complain(around, begun.error().code == 0 ? ExitCode::kUsage : code_of(begun.error()), begun.error().text);
  }
  const int stream = listener.accept();
  if (stream < 0) return complain(around, ExitCode::kDaemonFailed, "the daemon sends nothing");
  code = take_all(around, options, stream, file);
  ::close(stream);
  if (file > STDERR_FILENO && ::close(file) != 0) {
    return complain(around, ExitCode::kCannotWrite, fmt::format("cannot write {}: {}", options.file, std::strerror(errno)));
  }
  return code;
}

}  // namespace greywire::cli
