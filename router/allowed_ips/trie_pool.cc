#include "router/allowed_ips/trie_pool.h"

#include <algorithm>
#include <new>

namespace greywire {

namespace {

constexpr std::size_t kLargestChunk = std::size_t{1} << 20;
constexpr std::align_val_t kAlignment{64};

constexpr std::size_t steps_of(std::size_t size) {
  return (size + TriePool::kStep - 1) / TriePool::kStep;
}

}  // namespace

TriePool::~TriePool() {
  for (std::uint8_t* chunk : chunks_) ::operator delete(chunk, kAlignment);
}

void TriePool::add_chunk() {
  chunks_.reserve(chunks_.size() + 1);
  auto* chunk = static_cast<std::uint8_t*>(::operator new(next_chunk_, kAlignment));
  chunks_.push_back(chunk);
  // The rest of the old chunk serves one block of its size.
  if (bump_size_ >= kStep) free({bump_, bump_size_});
  bump_ = chunk;
  bump_size_ = next_chunk_;
  memory_bytes_ += next_chunk_;
  next_chunk_ = std::min(next_chunk_ * 2, kLargestChunk);
}

std::uint8_t* TriePool::allocate(std::size_t size) {
  const std::size_t steps = steps_of(size);
  if (Free* block = free_[steps]; block != nullptr) {
    free_[steps] = block->next;
    return reinterpret_cast<std::uint8_t*>(block);
  }
  if (bump_size_ < steps * kStep) add_chunk();
  std::uint8_t* block = bump_;
  bump_ += steps * kStep;
  bump_size_ -= steps * kStep;
  return block;
}

void TriePool::free(TrieBlock block) noexcept {
  const std::size_t steps = steps_of(block.size);
  free_[steps] = new (block.bytes) Free{free_[steps]};
}

}  // namespace greywire
