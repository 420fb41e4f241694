// Which port of an L2 segment each Ethernet address was seen at, by VLAN (IEEE 802.1Q §8.8, independent learning).
//
// Any thread. find() and the learning of what is known take no lock; what is new or moved takes a spin lock for one
// bucket's work, or, where a limit is hit, at most once a second for a sweep of the table. All memory comes at the start.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "router/base/spin_lock.h"
#include "router/base/time.h"
#include "router/packet/mac_address.h"

namespace greywire::gre {

using SegmentPort = std::uint16_t;  // 0: our own TAP; peers from 1

struct MacKey {
  MacAddress mac;
  std::uint16_t vlan = 0;  // of the outermost tag, 0 without one
};

struct MacLimits {
  std::size_t total = 8192;
  std::size_t per_port = 2048;  // of peers; the TAP has only the total
  Duration age = std::chrono::seconds(300);
  friend bool operator==(const MacLimits&, const MacLimits&) = default;
};

class MacTable {
 public:
  // Ports are below `ports`. `seed` keeps strangers from filling one bucket.
  MacTable(const MacLimits& limits, std::size_t ports, std::uint64_t seed);

  enum class Result : std::uint8_t {
    kKnown,
    kNew,
    kMoved,    // from Learning::from
    kStatic,   // fixed to this port
    kForeign,  // fixed to another port: whoever sends from there is not who it says
    kFull,     // not learned: a limit
  };
  struct Learning {
    Result result = Result::kKnown;
    SegmentPort from = 0;
    unsigned moves = 0;  // of this address, each within kMoveWindow of the one before
  };
  static constexpr unsigned kMoveWindow = 10;  // seconds

  // Before any other call.
  void fix(const MacAddress& mac, SegmentPort port) { fixed_[mac.number()] = port; }

  std::optional<SegmentPort> find(const MacKey& key, TimePoint now) const;
  Learning learn(const MacKey& key, SegmentPort port, TimePoint now);
  void forget(SegmentPort port);  // what was learned there

  std::size_t count(SegmentPort port) const { return counts_[port].load(std::memory_order_relaxed); }
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  struct Entry {
    MacKey key;
    SegmentPort port = 0;
    std::optional<Duration> age;  // since it was heard; none: fixed
  };
  std::vector<Entry> entries(TimePoint now) const;  // what find() knows, in the order of the address; for people
  void sweep(TimePoint now);  // forgets what is too old, so that the counts are exact

 private:
  static constexpr std::size_t kWays = 8;
  // A key is 0 or valid; a reader takes a value only if the key stands before and after.
  struct Bucket {
    std::array<std::atomic<std::uint64_t>, kWays> keys{};
    std::array<std::atomic<std::uint64_t>, kWays> values{};
  };
  using Seconds = std::uint32_t;

  Bucket& bucket(std::uint64_t key) const;
  bool expired(std::uint64_t value, Seconds now) const;
  void drop(Bucket& bucket, std::size_t way);
  void sweep_locked(Seconds now);
  bool full(SegmentPort port) const;
  bool room_for(SegmentPort port, Seconds now);
  Learning learn_slowly(std::uint64_t key, SegmentPort port, Seconds now);

  const MacLimits limits_;
  const Seconds age_;
  const std::uint64_t seed_;
  std::size_t mask_ = 0;
  std::unique_ptr<Bucket[]> buckets_;
  std::unordered_map<std::uint64_t, SegmentPort> fixed_;
  std::vector<std::atomic<std::size_t>> counts_;
  std::atomic<std::size_t> size_{0};
  SpinLock lock_;
  std::atomic<Seconds> swept_{0};
};

}  // namespace greywire::gre
