#include "router/crypto/key_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "router/crypto/wipe.h"

namespace greywire {

KeyMemory::KeyMemory(std::size_t slot_bytes)
    : slot_bytes_((std::max<std::size_t>(slot_bytes, 1) + kSlotAlignment - 1) / kSlotAlignment *
                  kSlotAlignment) {
  if (slot_bytes_ > kSlabBytes) throw std::bad_alloc();
}

KeyMemory::~KeyMemory() {
  for (std::uint8_t* slab : slabs_) {
    wipe(slab, kSlabBytes);
    munmap(slab, kSlabBytes);
  }
}

void KeyMemory::add_slab() {
  const std::size_t slots = kSlabBytes / slot_bytes_;
  slabs_.reserve(slabs_.size() + 1);
  free_.reserve((slabs_.size() + 1) * slots);
  void* slab = mmap(nullptr, kSlabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (slab == MAP_FAILED) throw std::bad_alloc();
  if (mlock(slab, kSlabBytes) != 0) locked_ = false;
  madvise(slab, kSlabBytes, MADV_DONTDUMP);
  auto* bytes = static_cast<std::uint8_t*>(slab);
  slabs_.push_back(bytes);
  for (std::size_t slot = slots; slot > 0; --slot) free_.push_back(bytes + (slot - 1) * slot_bytes_);
}

void* KeyMemory::allocate() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) add_slab();
  std::uint8_t* slot = free_.back();
  free_.pop_back();
  ++in_use_;
  return slot;
}

void KeyMemory::free(void* slot) noexcept {
  if (slot == nullptr) return;
  wipe(slot, slot_bytes_);
  const std::lock_guard lock(mutex_);
  free_.push_back(static_cast<std::uint8_t*>(slot));
  --in_use_;
}

bool KeyMemory::locked() const {
  const std::lock_guard lock(mutex_);
  return locked_;
}

std::size_t KeyMemory::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t KeyMemory::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  return slabs_.size() * kSlabBytes;
}

}  // namespace greywire
