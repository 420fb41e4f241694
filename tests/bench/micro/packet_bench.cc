// Checksums, cutting and merging: nanoseconds a packet of the data path.
#include <benchmark/benchmark.h>

#include <vector>

#include "router/packet/checksum.h"
#include "router/packet/gro_merge.h"
#include "router/packet/gso_split.h"
#include "router/packet/ip_fragment.h"
#include "router/packet/ip_reassembly.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;

void checksum_range(benchmark::State& state) {
  const Bytes data(static_cast<std::size_t>(state.range(0)), 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(checksum_add(data.data(), data.size(), 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_range)->Arg(64)->Arg(1420)->Arg(60000);

void checksum_and_copy(benchmark::State& state) {
  const Bytes data(static_cast<std::size_t>(state.range(0)), 0x5a);
  Bytes out(data.size());
  for (auto _ : state) benchmark::DoNotOptimize(checksum_copy(out.data(), data.data(), data.size(), 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_and_copy)->Arg(64)->Arg(1420)->Arg(60000);

// A super-frame of 42 packets of 1420 bytes.
void gso_split(benchmark::State& state) {
  const Family family = state.range(0) == 4 ? Family::kV4 : Family::kV6;
  const std::size_t size = 1420U - (family == Family::kV4 ? 52U : 72U);
  const Bytes frame =
      test::tcp_packet({.family = family, .options = Bytes(12, 1), .payload = Bytes(42 * size, 3)});
  const VirtioNetHeader header{.flags = kNeedsCsum,
                               .gso_type = family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6,
                               .gso_size = static_cast<std::uint16_t>(size)};
  Bytes out(2048);
  std::int64_t packets = 0;
  for (auto _ : state) {
    GsoPlan plan;
    if (!plan_gso(header, frame, 0, plan)) return state.SkipWithError("no plan");
    for (std::size_t i = 0; i < plan.segments; ++i) {
      benchmark::DoNotOptimize(write_gso_segment(plan, frame, i, out.data()));
    }
    packets += static_cast<std::int64_t>(plan.segments);
  }
  state.SetItemsProcessed(packets);
}
BENCHMARK(gso_split)->Arg(4)->Arg(6);

// A batch of 64 packets of 1420 bytes, of one flow, then of 64.
void gro_merge(benchmark::State& state) {
  std::vector<Bytes> packets;
  for (std::uint16_t i = 0; i < 64; ++i) {
    const auto flow = static_cast<std::uint16_t>(state.range(0) == 1 ? 0 : i);
    packets.push_back(
        test::tcp_packet({.source_port = flow, .sequence = i * 1380U, .payload = Bytes(1380, 3)}));
  }
  const std::vector<Bytes> fresh = packets;
  GroMerger merger(Layer::kL3);
  for (auto _ : state) {
    for (auto& p : packets) merger.add(p);
    merger.flush([](const MergedFrame& frame) { benchmark::DoNotOptimize(frame.bytes); });
    // Headers were rewritten: put them back.
    for (std::size_t i = 0; i < packets.size(); ++i) std::memcpy(packets[i].data(), fresh[i].data(), 40);
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(gro_merge)->Arg(1)->Arg(64);

// A delivery packet of 1538 bytes in two fragments, and together again.
void fragment_and_reassemble(benchmark::State& state) {
  const Bytes packet = test::udp_packet({.payload = Bytes(1510, 3), .dont_fragment = false});
  IpReassembly reassembly;
  Bytes out(2048);
  for (auto _ : state) {
    FragmentPlan plan;
    if (!plan_fragments(packet, Mtu{1420}, plan)) return state.SkipWithError("no plan");
    for (std::size_t i = 0; i < plan.count; ++i) {
      const std::size_t size = write_fragment(plan, packet, i, out.data());
      benchmark::DoNotOptimize(reassembly.add({out.data(), size}, TimePoint{}).packet.data());
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(fragment_and_reassemble);

}  // namespace
}  // namespace greywire
