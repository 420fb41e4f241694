// Memory for session keys: locked into RAM, left out of core dumps, wiped when given back.
//
// One allocator hands out slots of one size from 64 KiB slabs (mlock, MADV_DONTDUMP), so 100,000 slots cost
// some 200 mappings of locked memory where a guarded allocation for each would run into the kernel's limit of
// mappings. Slabs are kept until the allocator is destroyed; every slot must have been given back by then.
//
// Where RLIMIT_MEMLOCK (or the lack of CAP_IPC_LOCK) forbids locking, slots come from unlocked slabs all the
// same and locked() turns false for good: keys may then reach swap, which the daemon reports once.
//
// Threads: every function may be called from any thread. This is for the making and ending of sessions, not
// for packets. Errors: std::bad_alloc when the kernel has no memory at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace greywire {

class KeyMemory {
 public:
  static constexpr std::size_t kSlabBytes = 64 * 1024;
  static constexpr std::size_t kSlotAlignment = 64;  // a cache line, so that two sessions never share one

  // `slot_bytes` is rounded up to kSlotAlignment; at most kSlabBytes. The first slab is made with the first
  // slot.
  explicit KeyMemory(std::size_t slot_bytes);
  ~KeyMemory();
  KeyMemory(const KeyMemory&) = delete;
  KeyMemory& operator=(const KeyMemory&) = delete;

  [[nodiscard]] void* allocate();  // slot_bytes() of zeros
  void free(void* slot) noexcept;  // wipes; null is ignored

  std::size_t slot_bytes() const { return slot_bytes_; }
  bool locked() const;               // whether every slab so far is locked
  std::size_t in_use() const;        // slots
  std::size_t memory_bytes() const;  // of all slabs

  template <class T>
  struct Deleter {
    KeyMemory* memory = nullptr;
    void operator()(T* object) const noexcept {
      object->~T();
      memory->free(object);
    }
  };
  template <class T>
  using Ptr = std::unique_ptr<T, Deleter<T>>;

  // An object in a slot; the allocator must outlive it. sizeof(T) must fit: else std::bad_alloc.
  template <class T, class... Args>
  Ptr<T> make(Args&&... args) {
    static_assert(alignof(T) <= kSlotAlignment);
    if (sizeof(T) > slot_bytes_) throw std::bad_alloc();
    void* slot = allocate();
    try {
      return Ptr<T>(new (slot) T(std::forward<Args>(args)...), Deleter<T>{this});
    } catch (...) {
      free(slot);
      throw;
    }
  }

 private:
  void add_slab();  // with mutex_ held

  const std::size_t slot_bytes_;
  mutable std::mutex mutex_;
  std::vector<std::uint8_t*> slabs_;
  std::vector<std::uint8_t*> free_;  // capacity for every slot, so that free() never allocates
  std::size_t in_use_ = 0;
  bool locked_ = true;
};

}  // namespace greywire
