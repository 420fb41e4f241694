#include "router/allowed_ips/allowed_ips_table.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "router/allowed_ips/prefix_trie.h"

namespace greywire {

struct PublishedRoot final : AllowedIpsRoot {
  explicit PublishedRoot(const TrieRoots& state) : roots(state) {}
  TrieRoots roots;
};

RouteTarget AllowedIpsRoot::lookup(const std::uint8_t* address, Family family) const noexcept {
  const auto& roots = static_cast<const PublishedRoot*>(this)->roots;
  return trie_lookup(roots.of(family), TrieKey::of(address, family));
}

void AllowedIpsRoot::lookup_batch(std::span<const std::uint8_t* const> addresses, Family family,
                                  RouteTarget* out) const noexcept {
  const auto& roots = static_cast<const PublishedRoot*>(this)->roots;
  TrieKey keys[kMaxBatch];
  const std::size_t count = std::min(addresses.size(), kMaxBatch);
  for (std::size_t i = 0; i < count; ++i) keys[i] = TrieKey::of(addresses[i], family);
  trie_lookup_batch(roots.of(family), {keys, count}, out);
}

void AllowedIpsRoot::for_each(const std::function<void(const Prefix&, RouteTarget)>& fn) const {
  const auto& roots = static_cast<const PublishedRoot*>(this)->roots;
  trie_for_each(roots.v4, Family::kV4, fn);
  trie_for_each(roots.v6, Family::kV6, fn);
}

RouteTarget AllowedIpsRoot::exact(const Prefix& prefix) const noexcept {
  const auto& roots = static_cast<const PublishedRoot*>(this)->roots;
  return trie_exact(roots.of(prefix.family()), TrieKey::of(prefix), prefix.length());
}

AllowedIpsTable::AllowedIpsTable(QuiescentDomain& domain)
    : domain_(domain), pool_(std::make_shared<TriePool>()), root_(nullptr) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("popcnt"))
    throw std::runtime_error("this CPU has no POPCNT instruction: x86-64-v2 is needed");
#endif
  root_.store(new PublishedRoot(TrieRoots()), std::memory_order_release);
}

AllowedIpsTable::~AllowedIpsTable() {
  delete &published();
}

const PublishedRoot& AllowedIpsTable::published() const {
  return static_cast<const PublishedRoot&>(
      *root_.load(std::memory_order_relaxed));  // the owner wrote it itself
}

void AllowedIpsTable::apply(std::span<const AllowedIpsUpdate> updates) {
  const PublishedRoot* old = &published();
  TrieRoots roots = old->roots;
  TrieEditor editor(*pool_, ++generation_);
  std::size_t size = size_;
  bool changed = false;
  for (const AllowedIpsUpdate& update : updates) {
    TrieNode& root = roots.of(update.prefix.family());
    const TrieKey key = TrieKey::of(update.prefix);
    const unsigned length = update.prefix.length();
    const RouteTarget present = trie_exact(root, key, length);
    if (present == update.target) continue;
    if (update.target == kNone) {
      editor.remove(root, key, length);
      --size;
    } else {
      editor.set(root, key, length, update.target);
      size += present == kNone ? 1 : 0;
    }
    changed = true;
  }
  if (!changed) return;
  const auto* fresh = new PublishedRoot(roots);
  root_.store(fresh, std::memory_order_seq_cst);
  size_ = size;
  domain_.retire([pool = pool_, old, blocks = std::move(editor.retired())] {
    for (const TrieBlock& block : blocks) pool->free(block);
    delete old;
  });
}

RouteTarget AllowedIpsTable::exact(const Prefix& prefix) const { return published().exact(prefix); }

std::size_t AllowedIpsTable::memory_bytes() const {
  return pool_->memory_bytes() + sizeof(PublishedRoot);
}

void AllowedIpsTable::for_each(const std::function<void(const Prefix&, RouteTarget)>& fn) const {
  published().for_each(fn);
}

}  // namespace greywire
