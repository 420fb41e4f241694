// Keys leave no trace: this process searches its own memory for them after each way in which keys end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "router/crypto/aead.h"
#include "router/crypto/system_random.h"
#include "router/wireguard/device.h"

namespace greywire::wireguard {
namespace {

// A secret as the test remembers it: masked, so that the search does not find the test's own copy.
class Remembered {
 public:
  Remembered(std::string name, std::span<const std::uint8_t, kKeySize> secret) : name_(std::move(name)) {
    for (std::size_t i = 0; i < kKeySize; ++i) masked_[i] = static_cast<std::uint8_t>(secret[i] ^ kMask);
  }
  const std::string& name() const { return name_; }
  std::size_t count_in(std::span<const std::uint8_t> memory) const {
    std::size_t found = 0;
    for (std::size_t i = 0; i + kKeySize <= memory.size(); ++i) {
      const void* next = std::memchr(memory.data() + i, masked_[0] ^ kMask, memory.size() - kKeySize + 1 - i);
      if (next == nullptr) break;
      i = static_cast<std::size_t>(static_cast<const std::uint8_t*>(next) - memory.data());
      std::size_t same = 1;
      while (same < kKeySize && (memory[i + same] ^ kMask) == masked_[same]) ++same;
      if (same == kKeySize) ++found;
    }
    return found + spread_in(memory);
  }

 private:
  static constexpr std::uint8_t kMask = 0xa5;
  // A word of it in each lane of a vector, as ciphers of many packets at a time hold their keys. Every word of the memory is looked
  // at, which takes a minute where each look is checked; and the frames that count are the plain build's.
#if defined(__SANITIZE_ADDRESS__)
  static std::size_t spread_in(std::span<const std::uint8_t>) { return 0; }
#else
  std::size_t spread_in(std::span<const std::uint8_t> memory) const {
    constexpr std::size_t kWord = 4, kLanes = 4;
    std::size_t found = 0;
    const std::uint8_t* at = memory.data();
    for (std::size_t left = memory.size() / kWord; left >= kLanes; --left, at += kWord) {
      std::uint64_t first, second;
      std::memcpy(&first, at, sizeof first);
      std::memcpy(&second, at + sizeof first, sizeof second);
      if (first != second || static_cast<std::uint32_t>(first) != static_cast<std::uint32_t>(first >> 32)) continue;
      for (std::size_t word = 0; word < kKeySize; word += kWord) {
        std::uint32_t masked;
        std::memcpy(&masked, &masked_[word], sizeof masked);
        if ((static_cast<std::uint32_t>(first) ^ (0x01010101U * kMask)) == masked) ++found;
      }
    }
    return found;
  }
#endif
  std::string name_;
  std::array<std::uint8_t, kKeySize> masked_;
};

// Everything that this process can write, as the kernel sees it.
class OwnMemory {
 public:
  OwnMemory()
      : window_(static_cast<std::uint8_t*>(
            ::mmap(nullptr, kWindow, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~OwnMemory() { ::munmap(window_, kWindow); }
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

  // How often each secret is there.
  std::vector<std::size_t> count(const std::vector<Remembered>& secrets) {
    std::vector<std::size_t> found(secrets.size());
    const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    char line[512];
    while (std::fgets(line, sizeof line, maps) != nullptr) {
      std::uintptr_t begin = 0, end = 0;
      char rights[5] = {};
      if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, rights) != 3) continue;
      // A sanitizer's shadow is reserved by the terabyte and holds no data.
      if (rights[0] != 'r' || rights[1] != 'w' || end - begin > (std::size_t{1} << 30)) continue;
      if (begin <= address(window_) && address(window_) < end) {
        search(memory, begin, address(window_), secrets, found);
        begin = address(window_) + kWindow;
      }
      search(memory, begin, end, secrets, found);
    }
    std::fclose(maps);
    ::close(memory);
    std::memset(window_, 0, kWindow);
    return found;
  }

 private:
  static constexpr std::size_t kWindow = 1 << 20;
  static std::uintptr_t address(const std::uint8_t* p) { return reinterpret_cast<std::uintptr_t>(p); }
  void search(int memory, std::uintptr_t begin, std::uintptr_t end, const std::vector<Remembered>& secrets,
              std::vector<std::size_t>& found) {
    while (begin < end) {
      const std::size_t want = std::min<std::size_t>(kWindow, end - begin);
      const ssize_t size = ::pread(memory, window_, want, static_cast<off_t>(begin));
      if (size <= 0) return;
      for (std::size_t i = 0; i < secrets.size(); ++i) {
        found[i] += secrets[i].count_in({window_, static_cast<std::size_t>(size)});
      }
      if (begin + static_cast<std::size_t>(size) >= end) return;
      begin += static_cast<std::size_t>(size) - kKeySize + 1;  // across the seam too
    }
  }
  std::uint8_t* const window_;
};

struct End final : Outbox {
  explicit End(Aead& aead) : device(domain, random, aead, *this) {}
  void send(const Route&, std::span<const std::uint8_t> datagram, std::uint8_t) override {
    sent.emplace_back(datagram.begin(), datagram.end());
  }
  SystemRandom random;
  QuiescentDomain domain;
  std::vector<std::vector<std::uint8_t>> sent;
  Device device;
  Peer* peer = nullptr;
};

constexpr Now at(Duration since_start) { return {TimePoint{1000s + since_start}, {1'700'000'000, 0}}; }

struct Pair {
  explicit Pair(AeadProvider provider) : aead(make_aead(provider)), one(*aead), other(*aead) {
    Route route;
    route.remote = *Endpoint::parse("192.0.2.1:51820");
    set_key(one), set_key(other);
    one.peer = &one.device.add_peer(other.device.identity().public_key, Origin::kConfig);
    other.peer = &other.device.add_peer(one.device.identity().public_key, Origin::kConfig);
    one.device.set_endpoint(*one.peer, route.remote);
    PresharedKey preshared;
    one.random.fill(preshared.writable_bytes());
    one.device.set_preshared_key(*one.peer, preshared);
    other.device.set_preshared_key(*other.peer, preshared);

    one.device.initiate(*one.peer, at(0s));
    remember("ephemeral key", one.peer->handshake.ephemeral.bytes());
    remember("chaining key", one.peer->handshake.sent.chaining_key);
    other.device.receive_handshake(one.sent.back(), route, at(0s));
    remember("responder's session key", other.peer->next->send_key().bytes());
    one.device.receive_handshake(other.sent.back(), route, at(0s));
    remember("session key to send", one.peer->current->send_key().bytes());
    remember("session key to receive", one.peer->current->receive_key().bytes());
    remember("preshared key", one.peer->handshake.preshared_key.bytes());
    remember("DH of the static keys", one.peer->handshake.static_static.bytes());
    remember("private key", one.device.identity().private_key.bytes());
    one.sent.clear(), other.sent.clear();
  }

  static void set_key(End& end) {
    PrivateKey key;
    end.random.fill(key.writable_bytes());
    end.device.set_private_key(clamp(key));
  }
  void remember(std::string name, std::span<const std::uint8_t, kKeySize> secret) {
    secrets.emplace_back(std::move(name), secret);
  }
  void both(const std::function<void(End&)>& fn) {
    fn(one), fn(other);
    for (QuiescentDomain* domain : {&one.domain, &other.domain}) domain->reclaim();
  }

  std::vector<Remembered> secrets;
  std::unique_ptr<Aead> aead;
  End one, other;
};

enum Secret { kEphemeral, kChaining, kResponders, kSend, kReceive, kPreshared, kStaticStatic, kPrivate };

class KeyErasure : public testing::TestWithParam<AeadProvider> {
 protected:
  // Those of `gone` are nowhere; those of `there` are found, so that the search is known to work.
  void expect(const Pair& pair, const std::vector<Secret>& there, const std::vector<Secret>& gone) {
    const auto found = memory_.count(pair.secrets);
    for (const Secret s : there) EXPECT_GT(found[s], 0U) << pair.secrets[s].name() << " should be there";
    for (const Secret s : gone) EXPECT_EQ(found[s], 0U) << pair.secrets[s].name() << " is still in memory";
  }
  OwnMemory memory_;
};

TEST_P(KeyErasure, HandshakeSecretsAreGoneOnceItIsComplete) {
  Pair pair(GetParam());
  expect(pair, {kSend, kReceive, kPreshared, kStaticStatic, kPrivate}, {kEphemeral, kChaining});
}

TEST_P(KeyErasure, RemovingThePeer) {
  Pair pair(GetParam());
  pair.both([](End& end) { end.device.remove_peer(end.peer->id); });
  expect(pair, {kPrivate}, {kResponders, kSend, kReceive, kPreshared, kStaticStatic});
}

TEST_P(KeyErasure, ThreeTimesRejectAfterTime) {
  Pair pair(GetParam());
  pair.both([](End& end) {
    for (Duration t = 1s; t <= kEraseKeysAfter + 1s; t += 1s) end.device.advance(at(t));
  });
  expect(pair, {kPreshared, kStaticStatic, kPrivate}, {kResponders, kSend, kReceive});
}

TEST_P(KeyErasure, ClearingThePrivateKey) {
  Pair pair(GetParam());
  pair.both([](End& end) { end.device.set_private_key(PrivateKey()); });
  expect(pair, {kPreshared}, {kResponders, kSend, kReceive, kStaticStatic, kPrivate});
}

// The key is exchanged: for a window both are there, then the first is nowhere.
TEST_P(KeyErasure, TheEndOfThePreviousKey) {
  Pair pair(GetParam());
  PrivateKey fresh;
  pair.one.random.fill(fresh.writable_bytes());
  fresh = clamp(fresh);
  const auto set = [&](const PrivateKey& previous) {
    pair.one.device.set_identities(fresh, previous, at(1s));
    pair.one.domain.reclaim();
  };
  set(pair.one.device.identity().private_key);
  expect(pair, {kSend, kReceive, kPrivate, kStaticStatic}, {});
  pair.other.device.remove_peer(pair.other.peer->id);  // it has the same secrets
  pair.other.domain.reclaim();
  set({});
  expect(pair, {kPreshared}, {kSend, kReceive, kPrivate, kStaticStatic});
}

TEST_P(KeyErasure, ReplacingThePresharedKey) {
  Pair pair(GetParam());
  pair.both([](End& end) { end.device.set_preshared_key(*end.peer, PresharedKey()); });
  expect(pair, {kSend}, {kPreshared});
}

TEST_P(KeyErasure, EndOfTheDevice) {
  std::vector<Remembered> secrets;
  {
    Pair pair(GetParam());
    secrets = std::move(pair.secrets);
  }
  const auto found = memory_.count(secrets);
  for (std::size_t i = 0; i < secrets.size(); ++i) EXPECT_EQ(found[i], 0U) << secrets[i].name();
}

TEST_P(KeyErasure, SealingAndOpeningLeaveNoKey) {
  std::vector<Remembered> secrets;
  {
    Pair pair(GetParam());
    std::array<std::uint8_t, 100> packet{};
    for (int i = 0; i < 40; ++i) pair.one.device.send_packet(*pair.one.peer, packet, 0, at(1s));
    Session& receiver = *pair.other.peer->next;
    std::vector<OpenJob> jobs;  // alone, then the rest as a run of one size
    for (auto& datagram : pair.one.sent) {
      jobs.push_back({load_le64(datagram.data() + transport::kCounter), datagram.data() + kTransportHeaderSize,
                      datagram.data() + kTransportHeaderSize,
                      static_cast<std::uint32_t>(datagram.size() - kMinTransportSize), false});
    }
    const auto all = std::span(jobs);
    pair.aead->open(receiver.receive_key(), all.first(1));
    pair.aead->open(receiver.receive_key(), all.subspan(1));
    for (const OpenJob& job : jobs) EXPECT_TRUE(job.ok);
    std::vector<SealJob> seals;
    for (std::size_t i = 1; i < jobs.size(); ++i) seals.push_back({i, jobs[i].out, jobs[i].out, jobs[i].size});
    pair.aead->seal(receiver.receive_key(), seals);
    pair.aead->open_and_sum(receiver.receive_key(), all.subspan(1));
    std::vector<std::array<std::uint8_t, 256>> texts(seals.size());
    for (std::size_t i = 0; i < seals.size(); ++i) {
      seals[i].in = texts[i].data();
      seals[i].head = kSealUnit;
      seals[i].padding = 4;
    }
    pair.aead->seal(receiver.receive_key(), seals);
    pair.both([](End& end) { end.device.remove_peer(end.peer->id); });
    expect(pair, {kPrivate}, {kSend, kReceive});  // while the contexts live
  }
}

std::string provider_name(const testing::TestParamInfo<AeadProvider>& info) {
  std::string name(aead_provider_name(info.param));
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Providers, KeyErasure, testing::ValuesIn(available_aeads()), provider_name);

TEST(KeyMemoryOfManyPeers, IsLocked) {
  const auto aead = make_aead(AeadProvider::kSodium);
  End end(*aead);
  Pair::set_key(end);
  for (unsigned i = 0; i < 10'000; ++i) {
    PublicKey key;
    end.random.fill(key.writable_bytes());
    end.device.add_peer(key, Origin::kConfig);
  }
  EXPECT_TRUE(end.device.keys_locked() || ::geteuid() != 0);
  EXPECT_EQ(end.device.peers().size(), 10'000U);
}

}  // namespace
}  // namespace greywire::wireguard
