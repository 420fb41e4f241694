#include "router/forwarder/capture_tap.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kTtl = 64;

void write_address(std::uint8_t* out, const IpAddress& address, bool known, std::size_t size) {
  if (known) {
    std::memcpy(out, address.data(), size);
  } else {
    std::memset(out, 0, size);
  }
}

}  // namespace

void CaptureTap::add(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> packet, TimePoint now) {
  append(wanted, outbound, {}, packet, now);
}

void CaptureTap::add_inner(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> padded, TimePoint now) {
  if (padded.empty()) return;  // a keepalive
  IpPacketInfo info;
  append(wanted, outbound, {}, parse_ip(padded, info) ? padded.first(info.total_size) : padded, now);
}

void CaptureTap::add_outer(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> datagram,
                           const wireguard::Route& route, std::uint16_t own_port, TimePoint now) {
  std::array<std::uint8_t, kIpv6Header + kUdpHeader> head{};
  const bool v4 = route.remote.address.is_v4();
  const std::size_t ip = v4 ? kIpv4Header : kIpv6Header;
  const auto udp_size = static_cast<std::uint16_t>(kUdpHeader + datagram.size());
  const std::size_t address = v4 ? 4 : 16;
  std::uint8_t* const source = head.data() + (v4 ? 12 : 8);
  std::uint8_t* const destination = source + address;
  if (v4) {
    head[0] = 0x45;
    store_be16(head.data() + 2, static_cast<std::uint16_t>(ip + udp_size));
    head[8] = kTtl;
    head[9] = kUdp;
  } else {
    head[0] = 0x60;
    store_be16(head.data() + 4, udp_size);
    head[6] = kUdp;
    head[7] = kTtl;
  }
  const bool own_known = route.has_local && route.local.is_v4() == v4;
  write_address(outbound ? source : destination, route.local, own_known, address);
  write_address(outbound ? destination : source, route.remote.address, true, address);
  if (v4) store_be16(head.data() + 10, checksum_finish(checksum_add(head.data(), kIpv4Header, 0)));
  std::uint8_t* const udp = head.data() + ip;
  store_be16(udp, outbound ? own_port : route.remote.port);
  store_be16(udp + 2, outbound ? route.remote.port : own_port);
  store_be16(udp + 4, udp_size);
  append(wanted, outbound, {head.data(), ip + kUdpHeader}, datagram, now);
}

void CaptureTap::append(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> head,
                        std::span<const std::uint8_t> packet, TimePoint now) {
  const auto original = static_cast<std::uint32_t>(head.size() + packet.size());
  const std::uint32_t size = std::min(original, kSnapLength);
  const Head entry{now.time_since_epoch().count(), size, original, outbound ? 1U : 0U};
  std::lock_guard guard(mutex_);
  if (wanted_.load(std::memory_order_relaxed) != wanted) return;  // another capture, or none, since this batch began
  if (buffer_.size() + sizeof entry + size > kBuffer) {
    ++lost_;
    return;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&entry);
  buffer_.insert(buffer_.end(), bytes, bytes + sizeof entry);
  buffer_.insert(buffer_.end(), head.begin(), head.end());
  buffer_.insert(buffer_.end(), packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size - head.size()));
  some_.notify_one();
}

bool CaptureTap::start(CaptureWhat what, std::uint32_t id) {
  std::lock_guard guard(mutex_);
  if (wanted_.load(std::memory_order_relaxed) != 0) return false;
  buffer_.clear();
  buffer_.reserve(kBuffer);
  lost_ = 0;
  wanted_.store(token(what, id), std::memory_order_relaxed);
  return true;
}

void CaptureTap::stop() {
  std::lock_guard guard(mutex_);
  wanted_.store(0, std::memory_order_relaxed);
  buffer_ = {};
  some_.notify_all();
}

void CaptureTap::take(std::chrono::milliseconds wait, std::vector<std::uint8_t>& scratch,
                      const std::function<void(const CapturedPacket&)>& fn, std::uint64_t& lost) {
  {
    std::unique_lock lock(mutex_);
    some_.wait_for(lock, wait, [&] { return !buffer_.empty() || wanted_.load(std::memory_order_relaxed) == 0; });
    scratch.clear();
    scratch.reserve(kBuffer);
    std::swap(scratch, buffer_);
    lost = lost_;
  }
  for (std::size_t at = 0; at < scratch.size();) {
    Head entry;
    std::memcpy(&entry, scratch.data() + at, sizeof entry);
    at += sizeof entry;
    fn({TimePoint{Duration{entry.at}}, entry.outbound != 0, entry.original, {scratch.data() + at, entry.size}});
    at += entry.size;
  }
}

}  // namespace greywire
