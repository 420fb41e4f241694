// Allowed-IPs: longest-prefix match from an address to a next-hop group, IPv4 and IPv6, for 10^6 prefixes.
//
// One owner thread changes the table in batches; any number of workers look up without a lock. A batch copies
// what it touches, publishes one new root and gives what it replaced to a QuiescentDomain; memory of replaced
// parts is used again by later batches. The tables never shrink their memory before they are destroyed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "router/allowed_ips/route_target.h"
#include "router/base/ip_address.h"
#include "router/base/quiescence.h"

namespace greywire {

class TriePool;
struct PublishedRoot;

// One immutable state of the table. A worker that got it may use it until its next quiescent state.
class AllowedIpsRoot {
 public:
  // The longest match, or kNone. `address` is in network order: 4 or 16 bytes, any alignment. No allocation,
  // no lock.
  RouteTarget lookup(const std::uint8_t* address, Family family) const noexcept;
  RouteTarget lookup(const IpAddress& address) const noexcept {
    return lookup(address.data(), address.family());
  }

  // The same for many addresses of one family, which takes a fraction of the time: their way through the trie is walked
  // in turns, so that memory answers one while the others are worked on. At most kMaxBatch addresses.
  static constexpr std::size_t kMaxBatch = 64;
  void lookup_batch(std::span<const std::uint8_t* const> addresses, Family family, RouteTarget* out) const noexcept;
  // In the order of Prefix: IPv4 first, by address, shorter before longer.
  void for_each(const std::function<void(const Prefix&, RouteTarget)>& fn) const;
  RouteTarget exact(const Prefix& prefix) const noexcept;

  AllowedIpsRoot(const AllowedIpsRoot&) = delete;
  AllowedIpsRoot& operator=(const AllowedIpsRoot&) = delete;

 protected:
  AllowedIpsRoot() = default;  // only ever a PublishedRoot, which begins with this and holds the trie's roots
  ~AllowedIpsRoot() = default;
};

struct AllowedIpsUpdate {
  Prefix prefix;
  RouteTarget target = kNone;  // kNone removes the prefix; removing what is not there changes nothing
};

// Everything but root() belongs to the owner thread. Destroy it after the workers have stopped; the domain
// may go before or after it. Errors: std::bad_alloc out of apply(), which then leaves the table as it was to
// readers and owner; std::runtime_error out of the constructor on an x86-64 CPU without POPCNT (before 2009).
class AllowedIpsTable {
 public:
  explicit AllowedIpsTable(QuiescentDomain& domain);
  ~AllowedIpsTable();
  AllowedIpsTable(const AllowedIpsTable&) = delete;
  AllowedIpsTable& operator=(const AllowedIpsTable&) = delete;

  // Load with memory_order_acquire; never null.
  const std::atomic<const AllowedIpsRoot*>& root() const { return root_; }

  // In order, so the last update of a prefix wins. Nothing is published when nothing changes.
  void apply(std::span<const AllowedIpsUpdate> updates);

  RouteTarget exact(const Prefix& prefix) const;  // kNone when the prefix itself is not in the table
  std::size_t size() const { return size_; }      // prefixes
  std::size_t memory_bytes() const;               // of the whole table, free parts included
  // As AllowedIpsRoot::for_each; `fn` must not change the table.
  void for_each(const std::function<void(const Prefix&, RouteTarget)>& fn) const;

 private:
  const PublishedRoot& published() const;

  QuiescentDomain& domain_;
  std::shared_ptr<TriePool> pool_;  // shared with what the domain has yet to free
  std::uint64_t generation_ = 0;
  std::size_t size_ = 0;
  std::atomic<const AllowedIpsRoot*> root_;
};

}  // namespace greywire
