// The trie behind the allowed-IPs table: a tree bitmap of 6-bit strides with skipped chains, copied on write.
//
// Source: Eatherton, Varghese, Dittia: "Tree Bitmap" (2004). A node covers 6 address bits. `internal` has a
// bit for each prefix of 0..5 bits that ends in the node, numbered like a heap (1 << length | bits), so that
// the longest match is the highest bit; `external` has a bit for each of 64 children. Children (side by side)
// and targets share one block. A chain of up to 10 nodes without prefixes and with one child each is skipped:
// `path` holds its 6-bit chunks, left-aligned, and their number in the low 4 bits. Nothing is leaf-pushed: a
// prefix is one bit and one target.
//
// A published block never changes; what a batch has made itself (it has the batch's generation) is changed in
// place. For the sources of this folder only. Owner thread, except lookup on a published root.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "router/allowed_ips/route_target.h"
#include "router/allowed_ips/trie_pool.h"
#include "router/base/byte_order.h"
#include "router/base/ip_address.h"

namespace greywire {

inline constexpr unsigned kMaxSkipped = 10;  // chunks that fit a path

struct TrieNode {
  std::uint64_t internal = 0;
  std::uint64_t external = 0;
  std::uint64_t path = 0;
  union {
    std::uint8_t* block;            // children, targets, generation
    RouteTarget inline_targets[2];  // where there are no children and at most 2 prefixes
  };

  TrieNode() : block(nullptr) {}

  unsigned children() const { return static_cast<unsigned>(std::popcount(external)); }
  unsigned targets() const { return static_cast<unsigned>(std::popcount(internal)); }
  bool is_inline() const { return external == 0 && targets() <= 2; }
  bool is_empty() const { return internal == 0 && external == 0; }
  unsigned skipped() const { return static_cast<unsigned>(path & 15); }  // chunks
  unsigned path_chunk(unsigned index) const { return static_cast<unsigned>(path >> (58 - 6 * index)) & 63; }
  TrieNode* child_array() const { return reinterpret_cast<TrieNode*>(block); }
  const RouteTarget* target_array() const {
    return is_inline() ? inline_targets
                       : reinterpret_cast<const RouteTarget*>(block + children() * sizeof(TrieNode));
  }
  unsigned child_rank(unsigned chunk) const { return rank(external, chunk); }
  unsigned target_rank(unsigned position) const { return rank(internal, position); }

  static unsigned rank(std::uint64_t bits, unsigned index) {
    return static_cast<unsigned>(std::popcount(bits & ((std::uint64_t{1} << index) - 1)));
  }
};
static_assert(sizeof(TrieNode) == 32);

// The bits of an address that are not used yet, left-aligned.
struct TrieKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static TrieKey of(const std::uint8_t* address, Family family) {
    if (family == Family::kV4) return {std::uint64_t{load_be32(address)} << 32, 0};
    return {load_be64(address), load_be64(address + 8)};
  }
  static TrieKey of(const Prefix& prefix) { return of(prefix.address().data(), prefix.family()); }
  unsigned chunk() const { return static_cast<unsigned>(high >> 58); }
  void consume(unsigned bits) {  // 1..63
    high = high << bits | low >> (64 - bits);
    low <<= bits;
  }
  void consume_chunks(unsigned count) {  // 0..10
    if (count != 0) consume(6 * count);
  }
};

struct TrieRoots {
  TrieNode v4;
  TrieNode v6;

  const TrieNode& of(Family family) const { return family == Family::kV4 ? v4 : v6; }
  TrieNode& of(Family family) { return family == Family::kV4 ? v4 : v6; }
};

RouteTarget trie_lookup(const TrieNode& root, TrieKey key) noexcept;  // the longest match, or kNone
// The same for each of at most 64 keys, which are used up.
void trie_lookup_batch(const TrieNode& root, std::span<TrieKey> keys, RouteTarget* out) noexcept;
RouteTarget trie_exact(const TrieNode& root, TrieKey key, unsigned length);
void trie_for_each(const TrieNode& root, Family family,
                   const std::function<void(const Prefix&, RouteTarget)>& fn);

// One batch of changes. Blocks of earlier generations that the batch replaced are collected in retired().
// Where it throws, the roots of before are valid still; what the batch had taken from the pool stays taken.
class TrieEditor {
 public:
  TrieEditor(TriePool& pool, std::uint64_t generation) : pool_(pool), generation_(generation) {}

  // The prefix of `length` bits of `key` gets `target`. `root` is the caller's own copy.
  void set(TrieNode& root, TrieKey key, unsigned length, RouteTarget target);
  void remove(TrieNode& root, TrieKey key, unsigned length);  // it must be there; recurses once a node

  std::vector<TrieBlock>& retired() { return retired_; }

 private:
  void make_writable(TrieNode& node);
  void rebuild(TrieNode& node, std::uint64_t internal, std::uint64_t external);
  void drop(const TrieNode& shape);
  void put_target(TrieNode& node, unsigned position, RouteTarget target);
  void take_target(TrieNode& node, unsigned position);
  TrieNode& add_child(TrieNode& node, unsigned chunk);
  void take_child(TrieNode& node, unsigned chunk);
  void split(TrieNode& node, unsigned common);
  void join(TrieNode& node);

  TriePool& pool_;
  const std::uint64_t generation_;
  std::vector<TrieBlock> retired_;
};

}  // namespace greywire
