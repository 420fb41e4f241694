// Receiver index -> session. Workers look up without locks; the protocol thread reserves, publishes and frees.
//
// An index is random, and its low bits are its slot, so a lookup is one load and one comparison. Growing keeps every
// index where the wider mask finds it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "router/base/ids.h"
#include "router/base/quiescence.h"
#include "router/base/random_source.h"
#include "router/wireguard/session.h"

namespace greywire::wireguard {

class IndexTable {
 public:
  explicit IndexTable(QuiescentDomain& domain) : domain_(domain), entries_(kInitialSlots) {
    slots_.store(new Slots(kInitialSlots), std::memory_order_release);
  }
  ~IndexTable() { delete slots_.load(); }
  IndexTable(const IndexTable&) = delete;
  IndexTable& operator=(const IndexTable&) = delete;

  // Any thread that is online in the domain. Null when the index means nothing.
  Session* find(std::uint32_t index) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    Session* session = slots->cells[index & slots->mask].load(std::memory_order_acquire);
    return session != nullptr && session->local_index == index ? session : nullptr;
  }

  // The rest: protocol thread only.
  std::uint32_t reserve(PeerId owner, RandomSource& random) {
    if (used_ * 2 >= entries_.size()) grow();
    for (;;) {
      const std::uint32_t index = random.next_u32();
      Entry& entry = entries_[index & (entries_.size() - 1)];
      if (entry.used) continue;
      entry = {index, owner, true};
      ++used_;
      return index;
    }
  }
  bool owner_of(std::uint32_t index, PeerId& owner) const {
    const Entry& entry = entries_[index & (entries_.size() - 1)];
    if (!entry.used || entry.index != index) return false;
    owner = entry.owner;
    return true;
  }
  void publish(Session* session) { cell(session->local_index).store(session, std::memory_order_seq_cst); }
  void free(std::uint32_t index) {
    Entry& entry = entries_[index & (entries_.size() - 1)];
    if (!entry.used || entry.index != index) return;
    entry.used = false;
    --used_;
    cell(index).store(nullptr, std::memory_order_seq_cst);
  }
  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t kInitialSlots = 256;
  struct Slots {
    explicit Slots(std::size_t n) : mask(static_cast<std::uint32_t>(n - 1)), cells(n) {}
    std::uint32_t mask;
    std::vector<std::atomic<Session*>> cells;
  };
  struct Entry {
    std::uint32_t index = 0;
    PeerId owner;
    bool used = false;
  };

  std::atomic<Session*>& cell(std::uint32_t index) {
    Slots* slots = slots_.load(std::memory_order_relaxed);
    return slots->cells[index & slots->mask];
  }
  void grow() {
    Slots* old = slots_.load(std::memory_order_relaxed);
    auto* wider = new Slots(entries_.size() * 2);
    std::vector<Entry> entries(entries_.size() * 2);
    for (const Entry& entry : entries_) {
      if (!entry.used) continue;
      entries[entry.index & (entries.size() - 1)] = entry;
      wider->cells[entry.index & wider->mask].store(old->cells[entry.index & old->mask].load());
    }
    entries_ = std::move(entries);
    slots_.store(wider, std::memory_order_seq_cst);
    domain_.retire([old] { delete old; });
  }

  QuiescentDomain& domain_;
  std::atomic<Slots*> slots_{nullptr};
  std::vector<Entry> entries_;
  std::size_t used_ = 0;
};

}  // namespace greywire::wireguard
