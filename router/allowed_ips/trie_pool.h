// Memory for the blocks of a trie: free lists by size in steps of 32 bytes over chunks that grow from 4 KiB
// to 1 MiB.
//
// A block goes back to the free list of its size; chunks are freed together with the pool, so nothing has to
// walk a trie to destroy it. One owner thread. Errors: std::bad_alloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace greywire {

struct TrieBlock {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
};

class TriePool {
 public:
  static constexpr std::size_t kStep = 32;  // bytes, and the alignment of every block
  static constexpr std::size_t kLargest =
      75 * kStep;  // 64 children, 63 targets and a generation: 2,308 bytes

  TriePool() = default;
  ~TriePool();
  TriePool(const TriePool&) = delete;
  TriePool& operator=(const TriePool&) = delete;

  std::uint8_t* allocate(std::size_t size);  // 1..kLargest
  void free(TrieBlock block) noexcept;
  std::size_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Free {
    Free* next;
  };
  void add_chunk();

  std::array<Free*, kLargest / kStep + 1> free_{};  // by size in steps
  std::uint8_t* bump_ = nullptr;                    // the rest of the newest chunk
  std::size_t bump_size_ = 0;
  std::size_t next_chunk_ = 4096;
  std::size_t memory_bytes_ = 0;
  std::vector<std::uint8_t*> chunks_;
};

}  // namespace greywire
