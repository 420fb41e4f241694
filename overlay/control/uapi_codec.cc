#include "overlay/control/uapi_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace greywire::control {
namespace {

// Decimal digits only: no sign, space or base prefix.
template <class T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size();
}

void append_hex(std::string& out, std::string_view key, std::span<const std::uint8_t, kKeySize> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  out.append(key).push_back('=');
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  out.push_back('\n');
}

void append_peer(std::string& out, const wireguard::PeerStatus& peer, UapiView view) {
  const auto it = std::back_inserter(out);
  append_hex(out, "public_key", peer.public_key.bytes());
  append_hex(out, "preshared_key", peer.preshared_key.bytes());
  out.append("protocol_version=1\n");
  if (peer.endpoint) fmt::format_to(it, "endpoint={}\n", peer.endpoint->to_string());
  fmt::format_to(it,
                 "last_handshake_time_sec={}\nlast_handshake_time_nsec={}\ntx_bytes={}\nrx_bytes={}\n"
                 "persistent_keepalive_interval={}\n",
                 peer.last_handshake.seconds, peer.last_handshake.nanoseconds, peer.tx_bytes, peer.rx_bytes,
                 peer.persistent_keepalive);
  for (const auto& allowed : peer.allowed_ips) {
    if (view == UapiView::kConfiguration && allowed.origin == Origin::kLearned) continue;
    fmt::format_to(it, "allowed_ip={}\n", allowed.prefix.to_string());
  }
}

// What append_peer and the device's lines can take at most, so that no reallocation leaves a copy of a key
// behind.
std::size_t reply_bound(const wireguard::DeviceStatus& status) {
  std::size_t bound = 256;
  for (const auto& peer : status.peers) bound += 512 + peer.allowed_ips.size() * 64;
  return bound;
}

}  // namespace

std::string uapi_get_reply(const wireguard::DeviceStatus& status, UapiView view) {
  std::string out;
  out.reserve(reply_bound(status));
  if (!status.private_key.is_zero()) append_hex(out, "private_key", status.private_key.bytes());
  const auto it = std::back_inserter(out);
  if (status.listen_port != 0) fmt::format_to(it, "listen_port={}\n", status.listen_port);
  if (status.fwmark != 0) fmt::format_to(it, "fwmark={}\n", status.fwmark);
  for (const auto& peer : status.peers) append_peer(out, peer, view);
  out.append("errno=0\n\n");
  return out;
}

std::optional<Endpoint> parse_uapi_endpoint(std::string_view text, const ScopeResolver& resolve_scope) {
  const auto percent = text.find('%');
  const auto bracket = text.find(']');
  if (percent != std::string_view::npos && bracket != std::string_view::npos && percent < bracket) {
    const std::string scope(text.substr(percent + 1, bracket - percent - 1));
    std::uint32_t index = 0;
    if (!parse_number(scope, index)) {
      index = scope.empty() || !resolve_scope ? 0 : resolve_scope(scope);
      if (index == 0) return std::nullopt;
    }
    auto endpoint = Endpoint::parse(fmt::format("{}{}", text.substr(0, percent), text.substr(bracket)));
    if (!endpoint) return std::nullopt;
    endpoint->scope = index;
    return *endpoint;
  }
  auto endpoint = Endpoint::parse(text);
  if (!endpoint) return std::nullopt;
  return *endpoint;
}

UapiSession::UapiSession(wireguard::DeviceControl& device, ScopeResolver resolve_scope, UapiView view)
    : device_(device), resolve_scope_(std::move(resolve_scope)), view_(view) {
  line_.reserve(kUapiMaxLine);
}

UapiSession::~UapiSession() {
  wipe_line();
}

void UapiSession::wipe_line() {
  wipe(line_.data(), line_.size());
  line_.clear();
}

std::size_t UapiSession::consume(std::string_view bytes, std::string& reply) {
  const std::size_t reply_before = reply.size();
  std::size_t used = 0;
  while (used < bytes.size() && state_ != State::kFinished && reply.size() == reply_before) {
    const std::size_t newline = bytes.find('\n', used);
    const bool complete = newline != std::string_view::npos;
    const auto part = bytes.substr(used, complete ? newline - used : std::string_view::npos);
    used += part.size() + (complete ? 1 : 0);
    request_bytes_ += part.size() + 1;
    if (line_.size() + part.size() > kUapiMaxLine || request_bytes_ > kUapiMaxRequest) {
      end_too_long(reply);
      break;
    }
    if (!complete) {
      line_.append(part);
    } else if (line_.empty()) {
      handle_line(part, reply);
    } else {
      line_.append(part);
      handle_line(line_, reply);
      wipe_line();
    }
  }
  return state_ == State::kFinished ? bytes.size() : used;
}

void UapiSession::end_too_long(std::string& reply) {
  const int earlier = flush_peer();
  if (state_ != State::kSkip) answer(earlier != 0 ? earlier : EIO, State::kFinished, reply);
  state_ = State::kFinished;
}

void UapiSession::end_of_input(std::string& reply) {
  const bool cut = !line_.empty();
  wipe_line();
  const bool in_set = state_ == State::kDevice || state_ == State::kPeer;
  const int error = flush_peer();
  if (in_set || (cut && state_ != State::kSkip))
    answer(error == 0 && cut ? EIO : error, State::kFinished, reply);
  state_ = State::kFinished;
}

void UapiSession::handle_line(std::string_view line, std::string& reply) {
  switch (state_) {
    case State::kOperation:
      return handle_operation(line, reply);
    case State::kGet:
      if (!line.empty()) return answer(EINVAL, State::kSkip, reply);
      reply.append(uapi_get_reply(device_.status(), view_));
      request_bytes_ = 0;
      state_ = State::kOperation;
      return;
    case State::kDevice:
    case State::kPeer: {
      if (line.empty()) return answer(flush_peer(), State::kOperation, reply);
      const int error = handle_set_line(line);
      if (error == 0) return;
      const int earlier = flush_peer();
      return answer(earlier != 0 ? earlier : error, State::kSkip, reply);
    }
    case State::kSkip:
      request_bytes_ = 0;
      if (line.empty()) state_ = State::kOperation;
      return;
    case State::kFinished:
      return;
  }
}

void UapiSession::handle_operation(std::string_view line, std::string& reply) {
  request_bytes_ = line.size() + 1;
  if (line.empty()) return;
  if (line == "get=1") {
    state_ = State::kGet;
  } else if (line == "set=1") {
    state_ = State::kDevice;
  } else {
    answer(line.find('=') == std::string_view::npos ? EPROTO : EINVAL, State::kFinished, reply);
  }
}

int UapiSession::handle_set_line(std::string_view line) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return EPROTO;
  const auto key = line.substr(0, equals);
  const auto value = line.substr(equals + 1);
  if (key == "public_key") return begin_peer(value);
  return state_ == State::kDevice ? handle_device_key(key, value) : handle_peer_key(key, value);
}

int UapiSession::handle_device_key(std::string_view key, std::string_view value) {
  if (key == "private_key") {
    const auto parsed = PrivateKey::from_hex(value);
    if (!parsed) return EINVAL;
    return device_.set_private_key(parsed->is_zero() ? *parsed : clamp(*parsed));
  }
  if (key == "listen_port") {
    std::uint16_t port = 0;
    return parse_number(value, port) ? device_.set_listen_port(port) : EINVAL;
  }
  if (key == "fwmark") {
    std::uint32_t mark = 0;
    return parse_number(value, mark) ? device_.set_fwmark(mark) : EINVAL;
  }
  if (key == "replace_peers") return value == "true" ? device_.remove_peers(Origin::kWg) : EINVAL;
  return EINVAL;
}

int UapiSession::begin_peer(std::string_view value) {
  if (const int error = flush_peer(); error != 0) return error;
  const auto key = PublicKey::from_hex(value);
  if (!key) return EINVAL;
  change_ = {};
  change_.public_key = *key;
  change_pending_ = true;
  peer_written_ = false;
  peer_removed_ = false;
  state_ = State::kPeer;
  return 0;
}

int UapiSession::handle_peer_key(std::string_view key, std::string_view value) {
  if (key == "allowed_ip") return change_allowed_ip(value);
  if (key == "replace_allowed_ips") return value == "true" ? replace_allowed_ips() : EINVAL;
  if (key == "remove") return value == "true" ? remove_peer() : EINVAL;
  if (key == "update_only") {
    if (value != "true" || (peer_written_ && !peer_removed_)) return EINVAL;
    change_.update_only = true;
    return 0;
  }
  if (key == "protocol_version") return value == "1" ? 0 : EINVAL;
  if (key == "preshared_key") {
    const auto parsed = PresharedKey::from_hex(value);
    if (!parsed) return EINVAL;
    change_.preshared_key = *parsed;
  } else if (key == "endpoint") {
    const auto endpoint = parse_uapi_endpoint(value, resolve_scope_);
    if (!endpoint) return EINVAL;
    change_.endpoint = *endpoint;
  } else if (key == "persistent_keepalive_interval") {
    std::uint16_t seconds = 0;
    if (!parse_number(value, seconds)) return EINVAL;
    change_.persistent_keepalive = seconds;
  } else {
    return EINVAL;
  }
  change_pending_ = true;
  return 0;
}

int UapiSession::change_allowed_ip(std::string_view value) {
  wireguard::PeerChange::AllowedIpChange allowed;
  if (value.starts_with('-')) {
    allowed.remove = true;
    value.remove_prefix(1);
  }
  if (value.find('/') == std::string_view::npos) return EINVAL;
  const auto prefix = Prefix::parse(value);
  if (!prefix) return EINVAL;
  if (peer_removed_) return 0;
  allowed.prefix = *prefix;
  change_.allowed_ips.push_back(allowed);
  change_pending_ = true;
  return change_.allowed_ips.size() < kPeerFlushLines ? 0 : flush_peer();
}

// A PeerChange replaces before it adds; what was added before this line has to be there first, to be taken
// away.
int UapiSession::replace_allowed_ips() {
  if (!change_.allowed_ips.empty()) {
    if (const int error = flush_peer(); error != 0) return error;
  }
  change_.replace_allowed_ips = true;
  change_pending_ = true;
  return 0;
}

int UapiSession::remove_peer() {
  if (!change_.allowed_ips.empty()) {
    if (const int error = flush_peer(); error != 0) return error;
  }
  change_.remove = true;
  change_pending_ = true;
  const int error = flush_peer();
  peer_removed_ = true;
  return error;
}

int UapiSession::flush_peer() {
  if (!change_pending_) return 0;
  change_pending_ = false;
  const PublicKey key = change_.public_key;
  const wireguard::PeerChange change = std::exchange(change_, {});
  // Later lines of this peer change what is there: they never bring it back if somebody removed it in
  // between.
  change_.public_key = key;
  change_.update_only = true;
  peer_written_ = true;
  if (peer_removed_) return 0;
  return std::abs(device_.change_peer(change));
}

void UapiSession::answer(int error, State next, std::string& reply) {
  fmt::format_to(std::back_inserter(reply), "errno={}\n\n", -std::abs(error));
  if (next == State::kOperation) request_bytes_ = 0;
  state_ = next;
}

}  // namespace greywire::control
