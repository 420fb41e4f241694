// WireGuard's cross-platform userspace API, the text protocol that `wg` speaks: "get=1" or "set=1", lines
// "key=value", an empty line; the answer ends with "errno=N" and an empty line, N being 0 or negative.
// Source: wireguard.com/xplatform "Configuration Protocol"; where that is silent, what wireguard-go does.
//
// A set is no transaction: what stood before a bad line stays. Device keys act as they are read; a peer's
// lines are collected and given to the device in one piece at the peer's end (the next public_key, the end of
// the request, a bad line, or every kPeerFlushLines allowed-IPs), which comes to the same and is one change
// for the data path. errno: -22 a bad key or value, -71 a line without '=', -98 port in use, -5 a line or
// request too long or cut off; else what the device says.
//
// The device, not this codec, knows its own key: DeviceControl ignores a peer with the device's own public
// key, and drops a peer whose key becomes its own.
//
// Spec compliance: after the errno of a bad line the rest of that request is read and skipped (wireguard-go
// closes, and `wg`, still writing, dies of SIGPIPE); update_only=true after kPeerFlushLines allowed-IPs of
// the same peer is a bad value, because the peer exists by then; a last line without its newline is cut off
// (-5), never half a value.
//
// Everything that may hold a key is wiped after use and never quoted in an error. One thread, the control
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "overlay/control/stream_session.h"
#include "router/wireguard/device_status.h"

namespace greywire::control {

inline constexpr std::size_t kUapiMaxLine = 4096;               // bytes, newline not counted; keys need 80
inline constexpr std::uint64_t kUapiMaxRequest = 256ULL << 20;  // bytes: a set of several million allowed-IPs
inline constexpr std::size_t kPeerFlushLines = 4096;            // allowed-IPs handed to the device at once

// The interface index for the name in "[fe80::1%name]:port", 0 when there is none. Asked only for names.
using ScopeResolver = std::function<std::uint32_t(const std::string& interface)>;

// What get=1 tells of allowed-IPs: all, or without those that were learned from routing.
enum class UapiView : std::uint8_t { kEverything, kConfiguration };

class UapiSession final : public StreamSession {
 public:
  // `device` outlives the session.
  UapiSession(wireguard::DeviceControl& device, ScopeResolver resolve_scope, UapiView view = UapiView::kEverything);
  ~UapiSession() override;
  UapiSession(const UapiSession&) = delete;
  UapiSession& operator=(const UapiSession&) = delete;

  std::size_t consume(std::string_view bytes, std::string& reply) override;
  void end_of_input(std::string& reply) override;  // a set that ends without its empty line still counts
  bool finished() const override { return state_ == State::kFinished; }
  bool idle() const override { return state_ == State::kOperation && line_.empty(); }

 private:
  enum class State {
    kOperation,  // waits for get=1 or set=1
    kGet,        // get=1 was read; the empty line is due
    kDevice,     // inside set=1, before the first public_key
    kPeer,       // inside set=1, in a peer
    kSkip,       // a bad line was answered; the empty line is due
    kFinished,
  };

  void handle_line(std::string_view line, std::string& reply);
  void handle_operation(std::string_view line, std::string& reply);
  int handle_set_line(std::string_view line);  // 0 or a positive errno, as all of the following
  int handle_device_key(std::string_view key, std::string_view value);
  int handle_peer_key(std::string_view key, std::string_view value);
  int begin_peer(std::string_view value);
  int change_allowed_ip(std::string_view value);
  int replace_allowed_ips();
  int remove_peer();
  int flush_peer();
  void end_too_long(std::string& reply);
  void answer(int error, State next, std::string& reply);
  void wipe_line();

  wireguard::DeviceControl& device_;
  ScopeResolver resolve_scope_;
  const UapiView view_;
  State state_ = State::kOperation;
  std::string line_;                 // an incomplete line; never longer than kUapiMaxLine, never reallocated
  std::uint64_t request_bytes_ = 0;  // of the request that is being read
  wireguard::PeerChange change_;     // the peer that is being read
  bool change_pending_ = false;      // change_ says something that the device does not know yet
  bool peer_written_ = false;        // an earlier part of this peer went to the device
  bool peer_removed_ = false;        // its later lines are checked and ignored
};

// The answer to get=1, errno included: the device and all its peers with the allowed-IPs that `view` shows.
// Refused prefixes are nobody's, so DeviceStatus has none. Holds the private key: wipe it after use.
std::string uapi_get_reply(const wireguard::DeviceStatus& status, UapiView view = UapiView::kEverything);

// "192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%eth0]:51820"; names only as scopes.
std::optional<Endpoint> parse_uapi_endpoint(std::string_view text, const ScopeResolver& resolve_scope);

}  // namespace greywire::control
