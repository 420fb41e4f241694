// Learned routes at the size of a full table: lookups, from empty to complete, a peer's prefixes moved, bytes a prefix.
//
//   bench_routes [--v4 N] [--v6 N] [--peers N] [--moved N] [--seed N] [--no-limits]
//   bench_routes --leak N [--peers N] [--seed N]      one peer announces N prefixes, with a maximum of 1,000
//
// Routes go the whole way: bytes as zebra of FRR 8.4 sends them, codec, session, adapter with policy, and the engine's book
// and table. Exits with 1 where a limit is missed, unless --no-limits. Two threads where lookups run beside updates.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <unordered_map>

#include "full_table.h"
#include "router/allowed_ips/allowed_ips_book.h"
#include "routing/adapter.h"
#include "routing/zapi/session.h"
#include "zebra_stream.h"

namespace greywire::bench {
namespace {

using namespace greywire::routing;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kOverlay = 7;
constexpr std::size_t kReadBytes = 230 * 1024;  // as much as one read gets from zebra

struct Options {
  std::size_t v4 = 1'000'000, v6 = 200'000, moved = 100'000;
  std::uint32_t peers = 64;
  std::uint64_t seed = 42;
  bool limits = true;
  std::size_t leak = 0;
};

TimePoint boot_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What the engine's protocol thread does with learned routes.
class EngineSide final : public AllowedIpsSink, public RoutingEvents {
 public:
  void apply(std::span<const LearnedChange> changes) override {
    const auto start = Clock::now();
    routes_.clear();
    for (const auto& change : changes) {
      const auto action = change.action == LearnedChange::Action::kPeer      ? LearnedRoute::Action::kToPeer
                          : change.action == LearnedChange::Action::kDiscard ? LearnedRoute::Action::kRefused
                          : change.action == LearnedChange::Action::kGroup   ? LearnedRoute::Action::kToGroup
                                                                             : LearnedRoute::Action::kWithdrawn;
      routes_.push_back({change.prefix, action, change.peer, change.group});
    }
    book.learn(routes_);
    book.flush();
    domain.reclaim();
    longest = std::max(longest, seconds_since(start));
  }
  void define_group(NextHopGroupId, std::span<const WeightedPeer>) override {}
  void drop_group(NextHopGroupId) override {}
  void for_each_learned(const std::function<void(const LearnedChange&)>& visit) override {
    table.for_each([&](const Prefix& prefix, RouteTarget target) {
      if (target == kDiscard) return visit({prefix, LearnedChange::Action::kDiscard, {}});
      visit({prefix, LearnedChange::Action::kPeer, PeerId{target.value}});
    });
  }
  void notice(std::string_view) override {}
  void alert(std::string_view line) override {
    if (++alerts <= 3) fmt::print("alert: {}\n", line);
  }

  QuiescentDomain domain;
  AllowedIpsTable table{domain};
  AllowedIpsBook book{table};
  int alerts = 0;
  double longest = 0;  // s that one batch held the protocol thread

 private:
  std::vector<LearnedRoute> routes_;
};

std::vector<PeerRouting> peers(std::uint32_t count) {
  std::vector<PeerRouting> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    PeerRouting peer;
    peer.id = PeerId{i};
    peer.name = fmt::format("peer{}", i);
    peer.overlay_addresses = {next_hop_v4(i), next_hop_v6(i)};
    peer.accept = Ceiling({CeilingRule::parse("0.0.0.0/0 le 24").value(), CeilingRule::parse("::/0 le 64").value()});
    out.push_back(std::move(peer));
  }
  return out;
}

// The routing side: a session that is fed by hand, and the adapter.
class RoutingSide {
 public:
  RoutingSide(EngineSide& engine, std::vector<PeerRouting> all)
      : adapter(engine, engine), session_("zebra", adapter) {
    const auto now = boot_now();
    adapter.set_overlay_ifindex(kOverlay, now);
    adapter.set_peers(std::move(all), now);
    session_.start(now);
    session_.connected(now);
    Bytes bytes;
    append_error(bytes);
    append_capabilities(bytes);
    feed(bytes);
  }

  void feed(const Bytes& bytes) {
    session_.received(bytes, boot_now());
    while (session_.next_action()) {
    }
    tick();
  }
  void tick() {
    const auto now = boot_now();
    if (now >= adapter.next_deadline()) adapter.tick(now);
  }
  void finish() {
    while (adapter.next_deadline() != kNever) adapter.tick(adapter.next_deadline());
  }

  RoutingAdapter adapter;

 private:
  zapi::Session session_;
};

// Feeds the entries in reads of zebra's size; `between` runs after each.
template <class Entries, class Between>
void stream(RoutingSide& routing, const Entries& entries, Between&& between) {
  Bytes bytes;
  for (const TableEntry& entry : entries) {
    append_route(bytes, entry, kOverlay);
    if (bytes.size() < kReadBytes) continue;
    routing.feed(bytes);
    between();
    bytes.clear();
  }
  routing.feed(bytes);
}

struct Addresses {
  std::vector<std::array<std::uint8_t, 16>> bytes;
  Addresses(const std::vector<TableEntry>& table, Family family, std::uint64_t seed) : bytes(std::size_t{1} << 18) {
    std::mt19937_64 random(seed);
    std::vector<const Prefix*> prefixes;
    for (const auto& entry : table) {
      if (entry.prefix.family() == family) prefixes.push_back(&entry.prefix);
    }
    for (auto& out : bytes) {
      const auto address = address_in(*prefixes[random() % prefixes.size()], random);
      std::copy(address.bytes().begin(), address.bytes().end(), out.begin());
    }
  }
};

// Nanoseconds a lookup in batches of 64: the median over rounds of 2^16 lookups, and the least. Counts what found nothing.
struct LookupTimes {
  double median = 0, least = 0;
  std::size_t nothing = 0;
};
LookupTimes look_up(EngineSide& engine, QuiescentDomain::Reader& reader, const Addresses& addresses, Family family,
                    unsigned rounds) {
  std::vector<double> times;
  LookupTimes out;
  std::size_t at = 0;
  RouteTarget found[64];
  const std::uint8_t* batch[64];
  for (unsigned round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    for (unsigned n = 0; n < 1024; ++n) {
      reader.online();
      const auto* root = engine.table.root().load(std::memory_order_seq_cst);
      for (auto& address : batch) address = addresses.bytes[at++ & (addresses.bytes.size() - 1)].data();
      root->lookup_batch(batch, family, found);
      for (const auto& target : found) out.nothing += target == kNone ? 1 : 0;
    }
    times.push_back(seconds_since(start) * 1e9 / 65536);
  }
  reader.offline();
  std::sort(times.begin(), times.end());
  out.median = times[times.size() / 2];
  out.least = times.front();
  return out;
}

class Verdict {
 public:
  explicit Verdict(bool limits) : limits_(limits) {}
  void line(const std::string& what, double value, double limit, bool at_most, const char* unit) {
    const bool good = at_most ? value <= limit : value >= limit;
    fmt::print("{:<58} {:>10.1f} {:<9} {} {:g}{}\n", what, value, unit, at_most ? "<=" : ">=", limit,
               good ? "" : "   MISSED");
    missed_ |= !good;
  }
  int status() const { return limits_ && missed_ ? 1 : 0; }

 private:
  const bool limits_;
  bool missed_ = false;
};

// One peer announces far more than it may; the others have a table of their own.
int run_leak(const Options& options) {
  constexpr std::size_t kMaximum = 1000;
  Verdict verdict(options.limits);
  auto table = make_full_table(20'000, 0, options.peers, options.seed);
  std::unordered_map<Prefix, std::uint32_t> owners;
  for (auto& entry : table) {
    if (entry.peer == 0) entry.peer = 1;
    owners[entry.prefix] = entry.peer;
  }
  auto leaked = make_full_table(options.leak, 0, 1, options.seed + 9);
  std::erase_if(leaked, [&](const TableEntry& entry) { return owners.count(entry.prefix) != 0; });
  fmt::print("{} prefixes from a peer that may have {}, beside {} of {} others\n", leaked.size(), kMaximum, table.size(),
             options.peers - 1);
  EngineSide engine;
  auto all = peers(options.peers);
  all.front().max_prefixes = kMaximum;
  RoutingSide routing(engine, std::move(all));
  stream(routing, table, [] {});
  routing.finish();
  const auto count_wrong = [&] {
    std::size_t right = 0;
    engine.table.for_each([&](const Prefix& prefix, RouteTarget target) {
      const auto it = owners.find(prefix);
      right += it != owners.end() && target != kDiscard && target.value == it->second ? 1U : 0U;
    });
    return static_cast<double>(owners.size() - right);
  };
  verdict.line("prefixes of the others that lead elsewhere, before", count_wrong(), 0, true, "");
  malloc_trim(0);
  const auto before = heap_bytes();
  const int alerts = engine.alerts;
  const auto start = Clock::now();
  stream(routing, leaked, [] {});
  routing.finish();
  fmt::print("{:<58} {:>10.1f} s\n", "the leak took", seconds_since(start));
  const auto status = routing.adapter.status();
  verdict.line("prefixes of the leaking peer", static_cast<double>(status.peers.front().accepted), kMaximum, true, "");
  verdict.line("... and at least", static_cast<double>(status.peers.front().accepted), kMaximum, false, "");
  verdict.line("refused, each a discard", static_cast<double>(status.refused), static_cast<double>(leaked.size() - kMaximum), false, "");
  verdict.line("prefixes of the others that lead elsewhere", count_wrong(), 0, true, "");
  verdict.line("bytes a leaked prefix", static_cast<double>(heap_bytes() - before) / static_cast<double>(leaked.size()), 250, true, "");
  verdict.line("lines in the log", engine.alerts - alerts, 1, true, "");
  Bytes bytes;
  for (const auto& entry : leaked) {
    append_route(bytes, entry, kOverlay, true);
    if (bytes.size() >= kReadBytes) {
      routing.feed(bytes);
      bytes.clear();
    }
  }
  routing.feed(bytes);
  routing.finish();
  verdict.line("prefixes left after its withdrawal", static_cast<double>(engine.table.size()), static_cast<double>(table.size()), true, "");
  verdict.line("prefixes of the others that lead elsewhere, after", count_wrong(), 0, true, "");
  return verdict.status();
}

int run(const Options& options) {
  Verdict verdict(options.limits);
  auto table = make_full_table(options.v4, options.v6, options.peers, options.seed);
  const auto count = static_cast<double>(table.size());
  fmt::print("{} IPv4 + {} IPv6 prefixes over {} peers\n", options.v4, options.v6, options.peers);

  malloc_trim(0);
  const auto heap_before = heap_bytes();
  EngineSide engine;
  auto& reader = engine.domain.add_reader();
  std::optional<RoutingSide> routing;
  routing.emplace(engine, peers(options.peers));

  auto start = Clock::now();
  stream(*routing, table, [] {});
  routing->finish();
  const double filled = seconds_since(start);
  if (engine.table.size() != table.size()) {
    fmt::print("only {} of {} prefixes arrived\n", engine.table.size(), table.size());
    return 1;
  }
  verdict.line("from empty to complete", count / filled / 1000, 300, false, "k/s");
  verdict.line("longest that one batch held the protocol thread", engine.longest * 1e3, 50, true, "ms");
  const auto heap_full = heap_bytes();

  start = Clock::now();
  stream(*routing, table, [] {});
  routing->finish();
  fmt::print("{:<58} {:>10.1f} k/s\n", "all repeated without a change", count / seconds_since(start) / 1000);
  start = Clock::now();
  const auto drift = routing->adapter.audit(boot_now());
  fmt::print("{:<58} {:>10.1f} ms   ({} repaired)\n", "an audit", seconds_since(start) * 1e3, drift);

  const Addresses v4(table, Family::kV4, options.seed + 1), v6(table, Family::kV6, options.seed + 2);
  const auto quiet4 = look_up(engine, reader, v4, Family::kV4, 101);
  const auto quiet6 = look_up(engine, reader, v6, Family::kV6, 101);
  verdict.line(fmt::format("a lookup, IPv4 (least {:.1f})", quiet4.least), quiet4.median, 30, true, "ns");
  verdict.line(fmt::format("a lookup, IPv6 (least {:.1f})", quiet6.least), quiet6.median, 60, true, "ns");

  // Another thread looks up while this one takes updates, all over the table: each goes to the next peer. As many as a busy
  // day's bursts have, then as many as it can.
  std::atomic<bool> stop{false};
  std::size_t nothing = quiet4.nothing + quiet6.nothing;
  for (const double wanted : {20'000.0, 1e9}) {
    LookupTimes busy4, busy6;
    stop = false;
    std::thread looker([&] {
      busy4 = look_up(engine, reader, v4, Family::kV4, 301);
      busy6 = look_up(engine, reader, v6, Family::kV6, 301);
      stop = true;
    });
    std::size_t updates = 0;
    start = Clock::now();
    while (!stop) {
      routing->tick();
      if (static_cast<double>(updates) > wanted * seconds_since(start)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      std::vector<TableEntry> part;
      for (std::size_t i = 0; i < 100; ++i) {
        auto& entry = table[(updates * 7919) % table.size()];
        entry.peer = (entry.peer + 1) % options.peers;
        part.push_back(entry);
        ++updates;
      }
      stream(*routing, part, [] {});
    }
    const double streamed = static_cast<double>(updates) / seconds_since(start) / 1000;
    looker.join();
    nothing += busy4.nothing + busy6.nothing;
    if (wanted < 1e9) {
      verdict.line(fmt::format("the same beside {:.0f} k updates/s, IPv4", streamed), busy4.median, 30, true, "ns");
      verdict.line(fmt::format("the same beside {:.0f} k updates/s, IPv6", streamed), busy6.median, 60, true, "ns");
    } else {
      fmt::print("{:<58} {:>10.1f} ns\n", fmt::format("beside {:.0f} k updates/s, IPv4", streamed), busy4.median);
      fmt::print("{:<58} {:>10.1f} ns\n", fmt::format("beside {:.0f} k updates/s, IPv6", streamed), busy6.median);
    }
  }
  verdict.line("lookups that found nothing", static_cast<double>(nothing), 0, true, "");

  // One peer's prefixes go to another, while a thread looks them up.
  routing->finish();
  std::vector<TableEntry> moved;
  for (auto& entry : table) {
    if (moved.size() == options.moved || entry.prefix.family() != Family::kV4) break;
    entry.peer = 1 % options.peers;
    moved.push_back(entry);
  }
  stream(*routing, moved, [] {});
  routing->finish();
  for (auto& entry : moved) entry.peer = 2 % options.peers;
  const Addresses theirs(moved, Family::kV4, options.seed + 3);
  nothing = 0;
  stop = false;
  std::thread checker([&] {
    while (!stop) nothing += look_up(engine, reader, theirs, Family::kV4, 1).nothing;
  });
  start = Clock::now();
  stream(*routing, moved, [] {});
  routing->finish();
  const double took = seconds_since(start);
  stop = true;
  checker.join();
  verdict.line(fmt::format("{} prefixes of a peer moved to another", moved.size()), took * 1e3, 200, true, "ms");
  verdict.line("lookups meanwhile that found nothing", static_cast<double>(nothing), 0, true, "");

  const auto before = heap_bytes();
  routing.reset();
  malloc_trim(0);
  const double adapter_bytes = static_cast<double>(before - heap_bytes());
  const double engine_bytes = static_cast<double>(heap_full - heap_before) - adapter_bytes;
  verdict.line("the engine's bytes a prefix", engine_bytes / count, 100, true, "");
  verdict.line("with the adapter's route table", (engine_bytes + adapter_bytes) / count, 250, true, "");
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{:<58} {:>10.1f} MiB\n", "most memory of the process, the generator's table in it",
             static_cast<double>(usage.ru_maxrss) / 1024);
  return verdict.status();
}

}  // namespace
}  // namespace greywire::bench

int main(int argc, char** argv) {
  greywire::bench::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--no-limits") {
      options.limits = false;
      continue;
    }
    const auto value = i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
    if (name == "--v4") {
      options.v4 = value;
    } else if (name == "--v6") {
      options.v6 = value;
    } else if (name == "--peers") {
      options.peers = static_cast<std::uint32_t>(value);
    } else if (name == "--moved") {
      options.moved = value;
    } else if (name == "--leak") {
      options.leak = value;
    } else if (name == "--seed") {
      options.seed = value;
    } else {
      fmt::print(stderr, "usage: bench_routes [--v4 N] [--v6 N] [--peers N] [--moved N] [--seed N] [--no-limits] [--leak N]\n");
      return 2;
    }
  }
  return options.leak != 0 ? greywire::bench::run_leak(options) : greywire::bench::run(options);
}
