// Quiescent-state reclamation: workers read what the owner publishes through atomic pointers, without locks or
// reference counts; the owner frees what it replaced once every worker has passed a quiescent state.
//
// A worker calls online() before it reads published pointers, quiescent() between batches (it then holds none), and
// offline() before it sleeps: a worker asleep counts as quiescent. retire() and reclaim() belong to one owner thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace greywire {

class QuiescentDomain {
 public:
  class Reader {
   public:
    explicit Reader(QuiescentDomain& domain) : domain_(domain) {}
    void online() { seen_.store(domain_.epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst); }
    void quiescent() { online(); }
    void offline() { seen_.store(kOffline, std::memory_order_release); }

   private:
    friend class QuiescentDomain;
    static constexpr std::uint64_t kOffline = ~std::uint64_t{0};
    QuiescentDomain& domain_;
    std::atomic<std::uint64_t> seen_{kOffline};
  };

  // Readers are made before the threads start and live as long as the domain. Owner thread only.
  Reader& add_reader() {
    readers_.push_back(std::make_unique<Reader>(*this));
    return *readers_.back();
  }

  // Runs `destroy` once no reader can hold what it destroys. The object must be unpublished already.
  void retire(std::function<void()> destroy) {
    const auto epoch = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
    retired_.push_back({epoch, std::move(destroy)});
    reclaim();
  }

  // Frees what is free by now; call it now and then. Returns how many wait still.
  std::size_t reclaim() {
    std::uint64_t oldest = ~std::uint64_t{0};
    for (const auto& reader : readers_) oldest = std::min(oldest, reader->seen_.load(std::memory_order_seq_cst));
    while (!retired_.empty() && retired_.front().epoch <= oldest) {
      auto destroy = std::move(retired_.front().destroy);
      retired_.pop_front();
      destroy();
    }
    return retired_.size();
  }

  ~QuiescentDomain() {
    for (auto& r : retired_) r.destroy();
  }

 private:
  struct Retired {
    std::uint64_t epoch;
    std::function<void()> destroy;
  };
  std::atomic<std::uint64_t> epoch_{1};
  std::vector<std::unique_ptr<Reader>> readers_;
  std::deque<Retired> retired_;
};

}  // namespace greywire
