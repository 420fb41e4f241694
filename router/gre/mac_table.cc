#include "router/gre/mac_table.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>

namespace greywire::gre {
namespace {

// A value: port 16 | last seen 32, in seconds | moves 8 | second of the last move, modulo 256
constexpr std::uint64_t kSeenShift = 16;
constexpr std::uint64_t kMovesShift = 48;
constexpr std::uint64_t kMovedAtShift = 56;
constexpr std::uint64_t kSeenMask = 0xffffffffULL << kSeenShift;

constexpr std::uint64_t kValid = std::uint64_t{1} << 62;

std::uint32_t seconds(TimePoint now) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
}

std::uint64_t packed(const MacKey& key) {
  return kValid | std::uint64_t{key.vlan} << 48 | key.mac.number();
}

SegmentPort port_of(std::uint64_t value) {
  return static_cast<SegmentPort>(value);
}
std::uint32_t seen(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> kSeenShift);
}

}  // namespace

MacTable::MacTable(const MacLimits& limits, std::size_t ports, std::uint64_t seed)
    : limits_(limits),
      age_(static_cast<Seconds>(std::chrono::duration_cast<std::chrono::seconds>(limits.age).count())),
      seed_(seed),
      counts_(ports) {
  // Half full at the limit, so that a bucket hardly ever overflows before it.
  const std::size_t buckets = std::bit_ceil(std::max<std::size_t>(1, limits.total * 2 / kWays));
  mask_ = buckets - 1;
  buckets_ = std::make_unique<Bucket[]>(buckets);
}

MacTable::Bucket& MacTable::bucket(std::uint64_t key) const {
  std::uint64_t h = (key ^ seed_) * 0x9e3779b97f4a7c15ULL;
  h ^= h >> 32;
  h *= 0xff51afd7ed558ccdULL;
  return buckets_[(h >> 32) & mask_];
}

bool MacTable::expired(std::uint64_t value, Seconds now) const {
  const std::uint32_t age = now - seen(value);
  return age >= age_ && age < 0x80000000U;  // another worker's clock may be a moment ahead
}

std::optional<SegmentPort> MacTable::find(const MacKey& key, TimePoint now) const {
  if (!fixed_.empty()) {
    if (const auto it = fixed_.find(key.mac.number()); it != fixed_.end()) return it->second;
  }
  const std::uint64_t wanted = packed(key);
  const Bucket& b = bucket(wanted);
  for (std::size_t way = 0; way < kWays; ++way) {
    if (b.keys[way].load(std::memory_order_acquire) != wanted) continue;
    const std::uint64_t value = b.values[way].load(std::memory_order_acquire);
    if (b.keys[way].load(std::memory_order_relaxed) != wanted || expired(value, seconds(now))) return std::nullopt;
    return port_of(value);
  }
  return std::nullopt;
}

std::vector<MacTable::Entry> MacTable::entries(TimePoint now) const {
  std::vector<Entry> out;
  const auto mac_of = [](std::uint64_t number) {
    MacAddress mac;
    for (std::size_t i = mac.bytes.size(); i-- > 0; number >>= 8) mac.bytes[i] = static_cast<std::uint8_t>(number);
    return mac;
  };
  for (const auto& [number, port] : fixed_) out.push_back({{mac_of(number), 0}, port, std::nullopt});
  for (std::size_t i = 0; i <= mask_; ++i) {
    const Bucket& b = buckets_[i];
    for (std::size_t way = 0; way < kWays; ++way) {
      const std::uint64_t key = b.keys[way].load(std::memory_order_acquire);
      const std::uint64_t value = b.values[way].load(std::memory_order_acquire);
      if (key == 0 || b.keys[way].load(std::memory_order_relaxed) != key || expired(value, seconds(now))) continue;
      const Seconds age = seconds(now) - seen(value);
      const MacKey known{mac_of(key), static_cast<std::uint16_t>((key & ~kValid) >> 48)};
      out.push_back({known, port_of(value), std::chrono::seconds(age < 0x80000000U ? age : 0)});
    }
  }
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.key.mac, a.key.vlan) < std::pair(b.key.mac, b.key.vlan);
  });
  return out;
}

MacTable::Learning MacTable::learn(const MacKey& key, SegmentPort port, TimePoint now) {
  if (!fixed_.empty()) {
    if (const auto it = fixed_.find(key.mac.number()); it != fixed_.end()) {
      return {it->second == port ? Result::kStatic : Result::kForeign, it->second, 0};
    }
  }
  const std::uint64_t wanted = packed(key);
  const Seconds second = seconds(now);
  Bucket& b = bucket(wanted);
  bool present = false;
  for (std::size_t way = 0; way < kWays; ++way) {
    if (b.keys[way].load(std::memory_order_acquire) != wanted) continue;
    present = true;
    std::uint64_t value = b.values[way].load(std::memory_order_acquire);
    if (port_of(value) != port || expired(value, second)) break;
    if (seen(value) != second) {
      const std::uint64_t fresh = (value & ~kSeenMask) | std::uint64_t{second} << kSeenShift;
      b.values[way].compare_exchange_strong(value, fresh, std::memory_order_release);
    }
    return {};
  }
  // A flood of made-up addresses ends here and takes no lock.
  if (!present && full(port) && swept_.load(std::memory_order_relaxed) == second) return {Result::kFull, port, 0};
  return learn_slowly(wanted, port, second);
}

MacTable::Learning MacTable::learn_slowly(std::uint64_t key, SegmentPort port, Seconds now) {
  std::lock_guard guard(lock_);
  Bucket& b = bucket(key);
  std::size_t free = kWays;
  for (std::size_t way = 0; way < kWays; ++way) {
    const std::uint64_t present = b.keys[way].load(std::memory_order_relaxed);
    const std::uint64_t value = b.values[way].load(std::memory_order_relaxed);
    if (present != 0 && expired(value, now)) drop(b, way);
    if (b.keys[way].load(std::memory_order_relaxed) == 0) {
      free = way;
      continue;
    }
    if (present != key) continue;
    const SegmentPort from = port_of(value);
    if (from == port) return {};  // another worker was faster
    if (!room_for(port, now)) return {Result::kFull, from, 0};
    const auto moved_at = static_cast<std::uint8_t>(value >> kMovedAtShift);
    const auto before = static_cast<std::uint8_t>(value >> kMovesShift);
    const bool soon = static_cast<std::uint8_t>(static_cast<std::uint8_t>(now) - moved_at) <= kMoveWindow;
    const unsigned moves = soon ? std::min(before + 1U, 255U) : 1U;
    counts_[from].fetch_sub(1, std::memory_order_relaxed);
    counts_[port].fetch_add(1, std::memory_order_relaxed);
    b.values[way].store(port | std::uint64_t{now} << kSeenShift | std::uint64_t{moves} << kMovesShift |
                            std::uint64_t{static_cast<std::uint8_t>(now)} << kMovedAtShift,
                        std::memory_order_release);
    return {Result::kMoved, from, moves};
  }
  if (!room_for(port, now) || size() >= limits_.total || free == kWays) return {Result::kFull, port, 0};
  const std::uint64_t never_moved = std::uint64_t{static_cast<std::uint8_t>(now + 128)} << kMovedAtShift;
  b.values[free].store(port | std::uint64_t{now} << kSeenShift | never_moved, std::memory_order_release);
  b.keys[free].store(key, std::memory_order_release);
  counts_[port].fetch_add(1, std::memory_order_relaxed);
  size_.fetch_add(1, std::memory_order_relaxed);
  return {Result::kNew, port, 0};
}

bool MacTable::full(SegmentPort port) const {
  return size() >= limits_.total || (port != 0 && count(port) >= limits_.per_port);
}

// Whether the port may have one more; what is too old makes room first.
bool MacTable::room_for(SegmentPort port, Seconds now) {
  if (full(port) && swept_.load(std::memory_order_relaxed) != now) sweep_locked(now);
  return port == 0 || count(port) < limits_.per_port;
}

void MacTable::drop(Bucket& b, std::size_t way) {
  counts_[port_of(b.values[way].load(std::memory_order_relaxed))].fetch_sub(1, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  b.keys[way].store(0, std::memory_order_release);
}

void MacTable::sweep_locked(Seconds now) {
  swept_.store(now, std::memory_order_relaxed);
  for (std::size_t i = 0; i <= mask_; ++i) {
    for (std::size_t way = 0; way < kWays; ++way) {
      Bucket& b = buckets_[i];
      if (b.keys[way].load(std::memory_order_relaxed) == 0) continue;
      if (expired(b.values[way].load(std::memory_order_relaxed), now)) drop(b, way);
    }
  }
}

void MacTable::sweep(TimePoint now) {
  std::lock_guard guard(lock_);
  sweep_locked(seconds(now));
}

void MacTable::forget(SegmentPort port) {
  std::lock_guard guard(lock_);
  for (std::size_t i = 0; i <= mask_; ++i) {
    for (std::size_t way = 0; way < kWays; ++way) {
      Bucket& b = buckets_[i];
      if (b.keys[way].load(std::memory_order_relaxed) == 0) continue;
      if (port_of(b.values[way].load(std::memory_order_relaxed)) == port) drop(b, way);
    }
  }
}

}  // namespace greywire::gre
