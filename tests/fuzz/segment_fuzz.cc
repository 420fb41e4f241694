// Frames into an L2 segment: any bytes from any port, with time going on. A verdict is one of three; what is sent goes
// where split horizon lets it, limits hold, and nothing is read past the frame.
#include <vector>

#include "router/gre/segment.h"
#include "tests/fuzz/check.h"

using namespace greywire;
using namespace greywire::gre;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  SegmentConfig config;
  config.spokes = {true, false, false};
  config.macs = {.total = 16, .per_port = 8, .age = std::chrono::seconds(3)};
  config.nonce = 1;
  config.forward_bpdus = true;
  Segment segment(config);
  TimePoint now{std::chrono::seconds(100)};
  // Records: port and pause in one byte, length in one, the frame.
  for (std::size_t at = 0; at + 2 <= size;) {
    const auto in = static_cast<SegmentPort>(bytes[at] % 4);
    now += std::chrono::milliseconds(bytes[at] / 4 * 50);
    const std::size_t length = std::min<std::size_t>(bytes[at + 1], size - at - 2);
    const std::vector<std::uint8_t> frame(bytes + at + 2, bytes + at + 2 + length);  // exact, for the sanitizer
    at += 2 + length;
    const SegmentVerdict verdict = segment.receive(in, frame, 1, now);
    FUZZ_CHECK(verdict.action == SegmentVerdict::Action::kDrop || frame.size() >= 14);
    if (verdict.action == SegmentVerdict::Action::kSend) {
      FUZZ_CHECK(verdict.to < segment.ports() && verdict.to != in);
      FUZZ_CHECK(in == 0 || verdict.to == 0 || in == 1 || verdict.to == 1);
    }
    FUZZ_CHECK(!segment.floods(in, in, now) && !segment.floods(2, 3, now));
    if (const auto port = segment.probe_due(now)) {
      std::uint8_t probe[Segment::kProbeSize];
      segment.write_probe(*port, probe);
      if (bytes[0] % 8 == 7) FUZZ_CHECK(segment.receive(in, probe, 1, now).reason == DropReason::kSegmentLoop);
    }
  }
  const SegmentStatus status = segment.status(now);
  std::size_t macs = 0;
  for (const auto& port : status.ports) macs += port.macs;
  FUZZ_CHECK(macs <= 16 && status.ports[1].macs <= 8);
  FUZZ_CHECK(segment.take_events().size() <= Segment::kMaxEvents);
  return 0;
}
