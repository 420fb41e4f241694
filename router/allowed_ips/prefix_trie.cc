#include "router/allowed_ips/prefix_trie.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace greywire {

namespace {

// By chunk: the heap positions of the prefixes of 0..5 bits that cover it.
constexpr std::array<std::uint64_t, 64> kCovering = [] {
  std::array<std::uint64_t, 64> masks{};
  for (unsigned chunk = 0; chunk < 64; ++chunk)
    for (unsigned position = (64 | chunk) >> 1; position > 0; position >>= 1)
      masks[chunk] |= std::uint64_t{1} << position;
  return masks;
}();

constexpr std::uint64_t bit(unsigned index) {
  return std::uint64_t{1} << index;
}

// The heap position of a prefix that ends `length` (0..5) bits into the chunk.
unsigned position_of(unsigned chunk, unsigned length) {
  return 1U << length | chunk >> (6 - length);
}

bool path_matches(const TrieNode& node, const TrieKey& key) {
  const unsigned skipped = node.skipped();
  return skipped == 0 || (key.high ^ node.path) >> (64 - 6 * skipped) == 0;
}

// By heap position: the positions below it, itself included, and the children below it.
struct Below {
  std::uint64_t internal = 0;
  std::uint64_t external = 0;
};
constexpr std::array<Below, 64> kBelow = [] {
  std::array<Below, 64> below{};
  for (unsigned leaf = 1; leaf < 128; ++leaf)
    for (unsigned position = leaf; position > 0; position >>= 1) {
      if (position >= 64) continue;
      if (leaf < 64)
        below[position].internal |= std::uint64_t{1} << leaf;
      else
        below[position].external |= std::uint64_t{1} << (leaf - 64);
    }
  return below;
}();

void walk(const TrieNode& node, std::array<std::uint8_t, 16>& address, unsigned depth, Family family,
          const std::function<void(const Prefix&, RouteTarget)>& fn);

void put_chunk(std::array<std::uint8_t, 16>& address, unsigned depth, unsigned chunk) {
  for (unsigned i = 0; i < 6 && depth + i < 128; ++i) {
    const unsigned at = depth + i;
    const auto mask = static_cast<std::uint8_t>(0x80U >> at % 8);
    const bool one = (chunk >> (5 - i) & 1) != 0;
    address[at / 8] = static_cast<std::uint8_t>(one ? address[at / 8] | mask : address[at / 8] & ~mask);
  }
}

// Preorder over the heap positions is the order of addresses, shorter prefixes first; a position past 63 is a
// child.
void walk_position(const TrieNode& node, unsigned position, std::array<std::uint8_t, 16>& address,
                   unsigned depth, Family family, const std::function<void(const Prefix&, RouteTarget)>& fn) {
  if (position >= 64) {
    const unsigned chunk = position - 64;
    if ((node.external & bit(chunk)) == 0) return;
    put_chunk(address, depth, chunk);
    walk(node.child_array()[node.child_rank(chunk)], address, depth + 6, family, fn);
    return;
  }
  if (((node.internal & kBelow[position].internal) | (node.external & kBelow[position].external)) == 0)
    return;
  if ((node.internal & bit(position)) != 0) {
    const auto length = static_cast<unsigned>(std::bit_width(position)) - 1;
    put_chunk(address, depth, (position ^ 1U << length) << (6 - length));
    const IpAddress ip = family == Family::kV4 ? IpAddress::v4(std::span(address).first<4>())
                                               : IpAddress::v6(std::span<const std::uint8_t, 16>(address));
    fn(Prefix(ip, depth + length), node.target_array()[node.target_rank(position)]);
  }
  walk_position(node, 2 * position, address, depth, family, fn);
  walk_position(node, 2 * position + 1, address, depth, family, fn);
}

void walk(const TrieNode& node, std::array<std::uint8_t, 16>& address, unsigned depth, Family family,
          const std::function<void(const Prefix&, RouteTarget)>& fn) {
  for (unsigned i = 0; i < node.skipped(); ++i, depth += 6) put_chunk(address, depth, node.path_chunk(i));
  walk_position(node, 1, address, depth, family, fn);
}

}  // namespace

RouteTarget trie_lookup(const TrieNode& root, TrieKey key) noexcept {
  const TrieNode* node = &root;
  const TrieNode* best = nullptr;
  std::uint64_t best_bits = 0;
  for (;;) {
    const unsigned chunk = key.chunk();
    if (const std::uint64_t covering = node->internal & kCovering[chunk]; covering != 0) {
      best = node;
      best_bits = covering;
    }
    if ((node->external & bit(chunk)) == 0) break;
    node = node->child_array() + node->child_rank(chunk);
    key.consume(6);
    if (const unsigned skipped = node->skipped(); skipped != 0) {
      if (!path_matches(*node, key)) break;
      key.consume(6 * skipped);
    }
  }
  if (best == nullptr) return kNone;
  return best->target_array()[best->target_rank(static_cast<unsigned>(std::bit_width(best_bits)) - 1)];
}

// One step a key and round; what the next round reads is asked for in this one. The target of the best match so far is
// asked for as well, but read at the end only: it is in another cache line than its node.
void trie_lookup_batch(const TrieNode& root, std::span<TrieKey> keys, RouteTarget* out) noexcept {
  struct Lane {
    const TrieNode* node;
    const TrieNode* best;
    std::uint64_t best_bits;
    std::uint32_t index;
  };
  Lane lanes[64];
  std::size_t active = keys.size();
  for (std::size_t i = 0; i < active; ++i) lanes[i] = {&root, nullptr, 0, static_cast<std::uint32_t>(i)};
  const RouteTarget* targets[64];
  while (active != 0) {
    std::size_t left = 0;
    for (std::size_t i = 0; i < active; ++i) {
      Lane lane = lanes[i];
      TrieKey& key = keys[lane.index];
      const TrieNode* node = lane.node;
      bool on_path = true;
      if (const unsigned skipped = node->skipped(); skipped != 0) {
        on_path = path_matches(*node, key);
        key.consume(6 * skipped);
      }
      const unsigned chunk = key.chunk();
      if (on_path) {
        if (const std::uint64_t covering = node->internal & kCovering[chunk]; covering != 0) {
          lane.best = node;
          lane.best_bits = covering;
        }
        if ((node->external & bit(chunk)) != 0) {
          lane.node = node->child_array() + node->child_rank(chunk);
          __builtin_prefetch(lane.node);
          key.consume(6);
          lanes[left++] = lane;
          continue;
        }
      }
      const RouteTarget*& target = targets[lane.index];
      target = nullptr;
      if (lane.best == nullptr) continue;
      target = lane.best->target_array() +
               lane.best->target_rank(static_cast<unsigned>(std::bit_width(lane.best_bits)) - 1);
      __builtin_prefetch(target);
    }
    active = left;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) out[i] = targets[i] == nullptr ? kNone : *targets[i];
}

RouteTarget trie_exact(const TrieNode& root, TrieKey key, unsigned length) {
  const TrieNode* node = &root;
  for (;;) {
    if (length < 6) {
      const unsigned position = position_of(key.chunk(), length);
      if ((node->internal & bit(position)) == 0) return kNone;
      return node->target_array()[node->target_rank(position)];
    }
    const unsigned chunk = key.chunk();
    if ((node->external & bit(chunk)) == 0) return kNone;
    node = node->child_array() + node->child_rank(chunk);
    key.consume(6);
    length -= 6;
    if (length < 6 * node->skipped() || !path_matches(*node, key)) return kNone;
    key.consume_chunks(node->skipped());
    length -= 6 * node->skipped();
  }
}

void trie_for_each(const TrieNode& root, Family family,
                   const std::function<void(const Prefix&, RouteTarget)>& fn) {
  std::array<std::uint8_t, 16> address{};
  walk(root, address, 0, family, fn);
}

}  // namespace greywire
