// UdpSocket::send(): trains into as few system calls as the kernel allows, and what to do when it refuses
// one.
#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "router/engine/udp_send_state.h"

namespace greywire::engine {
namespace {

constexpr int kWaitForRoomMs = 1;

std::uint32_t max_payload(Family family) {
  return family == Family::kV4 ? 65507 : 65487;
}

std::uint32_t segment_of(const SendTrain& t) {
  return t.segment_size == 0 || t.segment_size >= t.size ? t.size : t.segment_size;
}

// How many bytes from `offset` on go into one message.
std::uint32_t message_bytes(const SendTrain& t, std::uint32_t offset, bool gso, unsigned max_segments) {
  const auto segment = segment_of(t);
  const auto left = t.size - offset;
  if (!gso || left <= segment) return std::min(left, segment);
  const auto segments =
      std::min<std::uint32_t>(max_segments, max_payload(t.destination.address.family()) / segment);
  return std::min(left, std::max(segments, 1U) * segment);
}

template <class T>
void append_control(msghdr& header, int level, int type, const T& value) {
  auto* c =
      reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(header.msg_control) + header.msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  header.msg_controllen += CMSG_SPACE(sizeof value);
}

// Errors by which the kernel says that it does not have the source address any more, or not on that way.
bool may_be_source(int code) {
  return code == EINVAL || code == ENETUNREACH || code == EHOSTUNREACH || code == EADDRNOTAVAIL ||
         code == ENODEV;
}

}  // namespace

void UdpSocket::SendState::begin(std::size_t trains) {
  std::fill_n(outcomes.begin(), trains, TrainOutcome{});
  std::fill_n(attempts.begin(), trains, Attempts{});
  waited = false;
}

void UdpSocket::SendState::address(std::size_t i, const SendTrain& train) {
  auto& header = messages[i].msg_hdr;
  header.msg_name = &destinations[i];
  const auto& to = train.destination;
  if (to.address.is_v4()) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(to.port);
    std::memcpy(&a.sin_addr, to.address.data(), 4);
    std::memcpy(&destinations[i], &a, sizeof a);
    header.msg_namelen = sizeof a;
    return;
  }
  auto& a = destinations[i];
  a = {};
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(to.port);
  std::memcpy(&a.sin6_addr, to.address.data(), 16);
  a.sin6_scope_id = to.scope;
  header.msg_namelen = sizeof a;
}

void UdpSocket::SendState::annotate(std::size_t i, const SendTrain& train, const Attempts& tried,
                                    std::uint16_t segment, std::uint8_t socket_ds_field) {
  auto& header = messages[i].msg_hdr;
  header.msg_control = control[i].bytes;
  header.msg_controllen = 0;
  const bool v4 = train.destination.address.is_v4();
  if (train.has_local && !tried.without_source && train.local.is_v4() == v4) {
    // The interface stays routing's choice, else a peer would be stuck to a link that is not the best way any
    // more.
    const bool pinned = train.local.is_link_local() || train.destination.address.is_link_local();
    const auto ifindex = pinned ? train.local_ifindex : 0;
    if (v4) {
      in_pktinfo info{};
      info.ipi_ifindex = static_cast<int>(ifindex);
      std::memcpy(&info.ipi_spec_dst, train.local.data(), 4);
      append_control(header, IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      info.ipi6_ifindex = ifindex;
      std::memcpy(&info.ipi6_addr, train.local.data(), 16);
      append_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  if (train.ds_field != socket_ds_field) {
    append_control(header, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, int{train.ds_field});
  }
  if (segment != 0) append_control(header, SOL_UDP, UDP_SEGMENT, segment);
  if (header.msg_controllen == 0) header.msg_control = nullptr;
}

unsigned UdpSocket::SendState::fill(const UdpSocket& socket, std::span<const SendTrain> trains,
                                    Position from) {
  unsigned count = 0;
  while (from.train < trains.size() && count < kMaxMessages) {
    const auto& train = trains[from.train];
    if (train.destination.address.family() != socket.family_) {
      outcomes[from.train].error = EAFNOSUPPORT;
      from = {from.train + 1, 0};
      continue;
    }
    const auto& tried = attempts[from.train];
    const auto bytes =
        message_bytes(train, from.offset, socket.gso_ && !tried.one_by_one, socket.max_segments_);
    const auto segment = segment_of(train);
    parts[count] = {const_cast<std::uint8_t*>(train.bytes) + from.offset, bytes};
    messages[count].msg_hdr.msg_iov = &parts[count];
    messages[count].msg_hdr.msg_iovlen = 1;
    address(count, train);
    annotate(count, train, tried, bytes > segment ? static_cast<std::uint16_t>(segment) : std::uint16_t{0},
             socket.ds_field_);
    from.offset += bytes;
    if (from.offset >= train.size) from = {from.train + 1, 0};
    after[count++] = from;
  }
  return count;
}

UdpSocket::SendState::Position UdpSocket::SendState::taken(std::span<const SendTrain> trains, Position from,
                                                           unsigned count) {
  const auto end = after[count - 1];
  for (auto t = from.train; t <= end.train && t < trains.size(); ++t) {
    auto& outcome = outcomes[t];
    const auto upto = t < end.train ? trains[t].size : end.offset;
    if (outcome.error != 0 || (t == end.train && end.offset == 0)) continue;
    outcome.sent_bytes = upto;
    outcome.clear_source = attempts[t].without_source;
  }
  return end;
}

// What to do about the message at `at`, which the kernel refused with `code`: true to try again from there,
// changed; false when its train has to be given up.
bool UdpSocket::try_again(const SendTrain& train, std::size_t at, std::uint32_t offset, int code) noexcept {
  auto& tried = state_->attempts[at];
  const bool was_gso =
      gso_ && !tried.one_by_one && message_bytes(train, offset, true, max_segments_) > segment_of(train);
  if (code == EINTR) return true;
  if (code == EIO && was_gso) {  // no checksum offload on the way out
    gso_ = false;
    return true;
  }
  // An older kernel's word for a segment beyond the MTU, or a limit that we do not know: single datagrams
  // will tell.
  if (code == EINVAL && was_gso) return tried.one_by_one = true;
  // A receiver's error, or one that an earlier send queued, is handed out once and then gone.
  if (code != EINVAL && !tried.retried) return tried.retried = true;
  if (may_be_source(code) && train.has_local && !tried.without_source) {
    tried.one_by_one = false;
    return tried.without_source = true;
  }
  return false;
}

SendResult UdpSocket::send(std::span<const SendTrain> all) noexcept {
  auto& s = *state_;
  const auto trains = all.first(std::min(all.size(), kMaxTrains));
  s.begin(trains.size());
  const int flags = MSG_DONTWAIT | (trains.size() == 1 && trains[0].confirmed ? MSG_CONFIRM : 0);
  SendState::Position at;
  for (;;) {
    const auto count = s.fill(*this, trains, at);
    if (count == 0) break;
    const int done = ::sendmmsg(fd_, s.messages.data(), count, flags);
    if (done > 0) {
      at = s.taken(trains, at, static_cast<unsigned>(done));
      continue;
    }
    const int code = errno;
    // Trains of the wrong family are passed over by fill(): the message that failed is the first one after
    // them.
    while (s.outcomes[at.train].error != 0) at = {at.train + 1, 0};
    if (code == EAGAIN) {
      pollfd room{fd_, POLLOUT, 0};
      if (!s.waited && ::poll(&room, 1, kWaitForRoomMs) >= 0) {
        s.waited = true;
        continue;
      }
      for (auto t = at.train; t < trains.size(); ++t) {
        if (s.outcomes[t].error == 0) s.outcomes[t].error = EAGAIN;
      }
      break;
    }
    if (try_again(trains[at.train], at.train, at.offset, code)) continue;
    s.outcomes[at.train].error = code;
    at = {at.train + 1, 0};
  }
  return summary(trains.size(), all.size());
}

SendResult UdpSocket::summary(std::size_t trains, std::size_t asked) const noexcept {
  SendResult result;
  result.outcomes = {state_->outcomes.data(), trains};
  for (const auto& outcome : result.outcomes) {
    if (outcome.error == 0) ++result.sent;
    if (result.error == 0) result.error = outcome.error;
    result.clear_source = result.clear_source || outcome.clear_source;
  }
  if (asked > trains && result.error == 0) result.error = E2BIG;
  return result;
}

}  // namespace greywire::engine
