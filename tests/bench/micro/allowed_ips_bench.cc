// The allowed-IPs table at 10 to 10^6 prefixes: lookups of random covered addresses, updates one by one and
// in batches, bytes a prefix. IPv4 prefixes are of 16..24 bits, mostly 24, as in a full table; IPv6
// of 32..48, mostly 48.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"
#include "router/allowed_ips/prefix_set.h"

namespace greywire {
namespace {

class RandomPrefixes {
 public:
  RandomPrefixes(Family family, std::size_t count) : family_(family) {
    std::set<Prefix> seen;
    while (seen.size() < count)
      if (const Prefix p = next(); seen.insert(p).second)
        updates.push_back({p, {static_cast<std::uint32_t>(seen.size() % 512)}});
  }

  IpAddress address_in(const Prefix& p) {
    auto bytes = random_address();
    const auto fixed = p.address().bytes();
    for (unsigned bit = 0; bit < p.length(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(0x80U >> bit % 8);
      bytes[bit / 8] = static_cast<std::uint8_t>((bytes[bit / 8] & ~mask) | (fixed[bit / 8] & mask));
    }
    return make(bytes);
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  std::vector<AllowedIpsUpdate> updates;

 private:
  using Bytes = std::array<std::uint8_t, 16>;
  Bytes random_address() {
    Bytes bytes;
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random_());
    if (family_ == Family::kV6) bytes[0] = 0x20, bytes[1] &= 0x0f;
    return bytes;
  }
  IpAddress make(const Bytes& bytes) const {
    return family_ == Family::kV4 ? IpAddress::v4(std::span(bytes).first<4>()) : IpAddress::v6(bytes);
  }
  Prefix next() {
    const unsigned longest = family_ == Family::kV4 ? 24 : 48;
    const unsigned shorter =
        below(10) < 6 ? 0 : static_cast<unsigned>(below(family_ == Family::kV4 ? 9 : 17));
    return {make(random_address()), longest - shorter};
  }

  Family family_;
  std::mt19937_64 random_{42};
};

Family family_of(const benchmark::State& state) {
  return state.range(0) == 4 ? Family::kV4 : Family::kV6;
}

void allowed_ips_lookup(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(1));
  RandomPrefixes prefixes(family_of(state), count);
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  table.apply(prefixes.updates);
  std::vector<std::array<std::uint8_t, 16>> addresses(std::size_t{1} << 16);
  for (auto& address : addresses) {
    const IpAddress ip = prefixes.address_in(prefixes.updates[prefixes.below(count)].prefix);
    std::copy(ip.bytes().begin(), ip.bytes().end(), address.begin());
  }
  const AllowedIpsRoot* root = table.root().load(std::memory_order_acquire);
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(root->lookup(addresses[i++ & 0xffff].data(), family_of(state)));
  state.counters["bytes_a_prefix"] = static_cast<double>(table.memory_bytes()) / static_cast<double>(count);
}
BENCHMARK(allowed_ips_lookup)
    ->ArgNames({"v", "prefixes"})
    ->ArgsProduct({{4, 6}, {10, 1000, 100'000, 1'000'000}});

// A prefix leaves and comes back: `batch` of them in one apply().
void allowed_ips_update(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(1));
  const auto batch = static_cast<std::size_t>(state.range(2));
  RandomPrefixes prefixes(family_of(state), count);
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  table.apply(prefixes.updates);
  std::vector<AllowedIpsUpdate> away(batch), back(batch);
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) {
      back[i] = prefixes.updates[prefixes.below(count)];
      away[i] = {back[i].prefix, kNone};
    }
    table.apply(away);
    table.apply(back);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(2 * batch));
}
BENCHMARK(allowed_ips_update)
    ->ArgNames({"v", "prefixes", "batch"})
    ->ArgsProduct({{4, 6}, {1000, 100'000, 1'000'000}, {1, 1000}});

void allowed_ips_load(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(1));
  const RandomPrefixes prefixes(family_of(state), count);
  for (auto _ : state) {
    QuiescentDomain domain;
    AllowedIpsTable table(domain);
    table.apply(prefixes.updates);
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(allowed_ips_load)
    ->ArgNames({"v", "prefixes"})
    ->ArgsProduct({{4, 6}, {1000, 1'000'000}})
    ->Unit(benchmark::kMillisecond);

void prefix_set_contains(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  RandomPrefixes prefixes(Family::kV4, count);
  std::vector<Prefix> list;
  for (const auto& update : prefixes.updates) list.push_back(update.prefix);
  const PrefixSet set(list);
  std::vector<IpAddress> addresses;
  for (int i = 0; i < 4096; ++i) addresses.push_back(prefixes.address_in(list[prefixes.below(count)]));
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.contains(addresses[i++ & 4095]));
}
BENCHMARK(prefix_set_contains)->Arg(3)->Arg(100)->Arg(100'000);

}  // namespace
}  // namespace greywire
