#include "router/wireguard/handshake_gate.h"

#include <algorithm>

#include "router/wireguard/constants.h"
#include "router/wireguard/messages.h"

namespace greywire::wireguard {
namespace {

// Of one address and port. A device sends a few handshake messages a minute, so whoever sends more than this is a flood
// and is not worth a hash.
constexpr Duration kMessageInterval = std::chrono::milliseconds(5);
constexpr unsigned kMessageBurst = 50;
constexpr std::size_t kMessageBuckets = 1 << 14;
// Cookie replies, the dearest thing before the queue. A device asks for one each Rekey-Timeout at most.
constexpr Duration kCookieInterval = std::chrono::milliseconds(200);
constexpr unsigned kCookieBurst = 5;
// Many more, since each is used up by a source that sends a little more than that.
constexpr std::size_t kCookieBuckets = 1 << 18;

std::size_t expected_size(MessageType type) {
  switch (type) {
    case MessageType::kInitiation: return kInitiationSize;
    case MessageType::kResponse: return kResponseSize;
    case MessageType::kCookieReply: return kCookieReplySize;
    case MessageType::kTransportData: break;
  }
  return 0;
}

std::uint64_t random_seed(RandomSource& random) {
  return static_cast<std::uint64_t>(random.next_u32()) << 32 | random.next_u32();
}

}  // namespace

HandshakeGate::HandshakeGate(RandomSource& random, DropCounters& drops)
    : random_(random),
      drops_(drops),
      message_limiter_(random_seed(random), kMessageInterval, kMessageBurst, kMessageBuckets),
      cookie_limiter_(random_seed(random), kCookieInterval, kCookieBurst, kCookieBuckets) {}

HandshakeGate::Outcome HandshakeGate::judge(std::span<const std::uint8_t> datagram, const Endpoint& from,
                                            std::span<const ReceiverKeys> keys, bool under_load, TimePoint now,
                                            std::span<std::uint8_t, kCookieReplySize> reply) {
  if (datagram.size() < kMinTransportSize) return drop(DropReason::kTooShort);
  const std::uint32_t word = load_le32(datagram.data());
  if (word < 1 || word > 3) return drop(DropReason::kBadType);
  const auto type = static_cast<MessageType>(word);
  if (datagram.size() != expected_size(type)) return drop(DropReason::kBadLength);
  if (!message_limiter_.admit(from, now)) return drop(DropReason::kRateLimited);
  if (type == MessageType::kCookieReply) return Outcome::kAnswer;
  const auto made_for = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.mac1_valid(datagram); });
  if (made_for == keys.end()) return drop(DropReason::kBadMac1);

  const Outcome through = type == MessageType::kInitiation ? Outcome::kInitiation : Outcome::kAnswer;
  if (under_load) under_load_until_ = now + kUnderLoadLinger;
  if (now >= under_load_until_) return through;
  if (!cookies_.mac2_valid(datagram, from, now)) {
    drops_.count(DropReason::kBadMac2);
    if (!cookie_limiter_.admit(from, now)) return Outcome::kDropped;
    cookies_.create_cookie_reply(*made_for, datagram, load_le32(datagram.data() + initiation::kSender), from, now, random_,
                                 reply);
    return Outcome::kCookieReply;
  }
  if (!rate_limiter_.admit(from.address, now)) return drop(DropReason::kRateLimited);
  return type == MessageType::kInitiation ? Outcome::kProven : Outcome::kAnswer;
}

}  // namespace greywire::wireguard
