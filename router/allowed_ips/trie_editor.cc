#include <algorithm>
#include <bit>
#include <cstring>

#include "router/allowed_ips/prefix_trie.h"

namespace greywire {

namespace {

constexpr std::uint64_t bit(unsigned index) {
  return std::uint64_t{1} << index;
}

unsigned position_of(unsigned chunk, unsigned length) {
  return 1U << length | chunk >> (6 - length);
}

std::uint64_t make_path(std::uint64_t chunks, unsigned count) {
  return count == 0 ? 0 : (chunks & ~std::uint64_t{0} << (64 - 6 * count)) | count;
}

RouteTarget* targets_of(TrieNode& node) {
  return node.is_inline() ? node.inline_targets
                          : reinterpret_cast<RouteTarget*>(node.block + node.children() * sizeof(TrieNode));
}

// The generation stands at the end, 4-byte aligned, so that the children begin at a cache line or its half.
std::size_t generation_offset(const TrieNode& shape) {
  return shape.children() * sizeof(TrieNode) + shape.targets() * sizeof(RouteTarget);
}

std::size_t block_size(const TrieNode& shape) {
  return generation_offset(shape) + sizeof(std::uint64_t);
}

}  // namespace

void TrieEditor::make_writable(TrieNode& node) {
  if (node.is_inline()) return;
  if (load_le64(node.block + generation_offset(node)) == generation_) return;
  const std::size_t size = block_size(node);
  std::uint8_t* copy = pool_.allocate(size);
  std::memcpy(copy, node.block, size);
  store_le64(copy + generation_offset(node), generation_);
  drop(node);
  node.block = copy;
}

void TrieEditor::drop(const TrieNode& shape) {
  if (shape.is_inline()) return;
  const TrieBlock block{shape.block, block_size(shape)};
  if (load_le64(shape.block + generation_offset(shape)) == generation_)
    pool_.free(block);  // nobody else has seen it
  else
    retired_.push_back(block);
}

// The node gets room for the prefixes of `internal` and the children of `external`. What was there is kept;
// what is new is empty or kNone, for the caller to fill.
void TrieEditor::rebuild(TrieNode& node, std::uint64_t internal, std::uint64_t external) {
  const TrieNode old = node;
  TrieNode fresh;
  fresh.internal = internal;
  fresh.external = external;
  fresh.path = old.path;
  if (!fresh.is_inline()) {
    fresh.block = pool_.allocate(block_size(fresh));
    store_le64(fresh.block + generation_offset(fresh), generation_);
  }
  unsigned index = 0;
  for (std::uint64_t rest = external; rest != 0; rest &= rest - 1, ++index) {
    const auto chunk = static_cast<unsigned>(std::countr_zero(rest));
    const bool kept = (old.external & bit(chunk)) != 0;
    new (fresh.child_array() + index) TrieNode(kept ? old.child_array()[old.child_rank(chunk)] : TrieNode());
  }
  index = 0;
  for (std::uint64_t rest = internal; rest != 0; rest &= rest - 1, ++index) {
    const auto position = static_cast<unsigned>(std::countr_zero(rest));
    const bool kept = (old.internal & bit(position)) != 0;
    targets_of(fresh)[index] = kept ? old.target_array()[old.target_rank(position)] : kNone;
  }
  node = fresh;
  drop(old);
}

void TrieEditor::put_target(TrieNode& node, unsigned position, RouteTarget target) {
  if ((node.internal & bit(position)) == 0)
    rebuild(node, node.internal | bit(position), node.external);
  else
    make_writable(node);
  targets_of(node)[node.target_rank(position)] = target;
}

void TrieEditor::take_target(TrieNode& node, unsigned position) {
  rebuild(node, node.internal & ~bit(position), node.external);
}

TrieNode& TrieEditor::add_child(TrieNode& node, unsigned chunk) {
  rebuild(node, node.internal, node.external | bit(chunk));
  return node.child_array()[node.child_rank(chunk)];
}

void TrieEditor::take_child(TrieNode& node, unsigned chunk) {
  rebuild(node, node.internal, node.external & ~bit(chunk));
}

// Puts a node after the first `common` chunks of the path.
void TrieEditor::split(TrieNode& node, unsigned common) {
  TrieNode lower = node;
  lower.path = make_path(node.path << (6 * (common + 1)), node.skipped() - common - 1);
  TrieNode upper;
  upper.path = make_path(node.path, common);
  add_child(upper, node.path_chunk(common)) = lower;
  node = upper;
}

// The reverse: a node without prefixes and with one child becomes that child, where the path has room.
void TrieEditor::join(TrieNode& node) {
  if (node.internal != 0 || node.children() != 1) return;
  TrieNode merged = node.child_array()[0];
  const unsigned skipped = node.skipped();
  const unsigned total = skipped + 1 + merged.skipped();
  if (total > kMaxSkipped) return;
  const auto chunk = static_cast<std::uint64_t>(std::countr_zero(node.external));
  const std::uint64_t front = make_path(node.path, skipped) & ~std::uint64_t{15};
  const std::uint64_t back = (merged.path & ~std::uint64_t{15}) >> (6 * (skipped + 1));
  merged.path = make_path(front | chunk << (58 - 6 * skipped) | back, total);
  drop(node);
  node = merged;
}

void TrieEditor::set(TrieNode& root, TrieKey key, unsigned length, RouteTarget target) {
  TrieNode* node = &root;
  while (length >= 6) {
    const unsigned chunk = key.chunk();
    key.consume(6);
    length -= 6;
    unsigned passed = 0;
    if ((node->external & bit(chunk)) == 0) {
      passed = std::min(kMaxSkipped, length / 6);
      node = &add_child(*node, chunk);
      node->path = make_path(key.high, passed);
    } else {
      make_writable(*node);
      node = node->child_array() + node->child_rank(chunk);
      passed = std::min(
          {node->skipped(), length / 6, static_cast<unsigned>(std::countl_zero(key.high ^ node->path)) / 6});
      if (passed < node->skipped()) split(*node, passed);
    }
    key.consume_chunks(passed);
    length -= 6 * passed;
  }
  put_target(*node, position_of(key.chunk(), length), target);
}

void TrieEditor::remove(TrieNode& node, TrieKey key, unsigned length) {
  if (length < 6) {
    take_target(node, position_of(key.chunk(), length));
    return;
  }
  const unsigned chunk = key.chunk();
  make_writable(node);
  TrieNode& child = node.child_array()[node.child_rank(chunk)];
  key.consume(6);
  key.consume_chunks(child.skipped());
  remove(child, key, length - 6 - 6 * child.skipped());
  if (child.is_empty())
    take_child(node, chunk);
  else
    join(child);
}

}  // namespace greywire
