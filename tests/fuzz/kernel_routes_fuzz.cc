// A session with the kernel's routing tables, fed with messages one by one; those that claim to be of a dump get the number of
// the one that was asked for. Nothing may be read behind an end, and the adapter must hold what the session's table does.
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "routing/kernel_routes/session.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/routing_table.h"

namespace {

using namespace greywire;
using namespace greywire::routing;
using fuzz::Silent;
using fuzz::Table;

struct Session {
  Session() : session(filter(), adapter) {
    const auto rule = CeilingRule::parse("0.0.0.0/0 le 32").value();
    adapter.set_peers({{PeerId{1}, "a", {IpAddress::parse("10.255.0.2").value()}, {}, Ceiling({rule}), 3}}, now);
    adapter.set_overlay_ifindex(7, now);
    session.start(now);
    perform();
  }
  static kernel::Filter filter() {
    kernel::Filter f;
    f.never = {200};
    return f;
  }
  void perform() {
    while (const auto action = session.next_action()) {
      if (action->kind == kernel::Session::Action::Kind::kOpen) session.opened(now);
      if (action->kind == kernel::Session::Action::Kind::kSend) {
        sequence = reinterpret_cast<const nlmsghdr*>(action->bytes.data())->nlmsg_seq;
      }
    }
  }
  void receive(std::span<const std::uint8_t> bytes) {
    std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());  // aligned, and of exactly this size
    if (copy.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, copy.data(), sizeof header);
      if ((header.nlmsg_flags & NLM_F_MULTI) != 0 || header.nlmsg_type == NLMSG_DONE) header.nlmsg_seq = sequence;
      std::memcpy(copy.data(), &header, sizeof header);
    }
    session.received(copy, now);
    perform();
  }

  TimePoint now{std::chrono::hours(1)};
  Table table;
  Silent silent;
  RoutingAdapter adapter{table, silent};
  kernel::Session session;
  std::uint32_t sequence = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Session run;
  for (std::size_t at = 0; at < size;) {
    std::size_t length = size - at;
    if (length >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, bytes + at, sizeof header);
      length = std::min<std::size_t>(std::max<std::size_t>(header.nlmsg_len, 1), length);
    }
    run.receive({bytes + at, length});
    at += std::min<std::size_t>(NLMSG_ALIGN(length), size - at);
  }
  if (run.session.state() == kernel::Session::State::kSynced) run.session.drained(run.now);
  for (int i = 0; i < 100 && run.adapter.next_deadline() != kNever; ++i) {
    run.now = std::max(run.now, run.adapter.next_deadline());
    run.adapter.tick(run.now);
    if (run.session.state() < kernel::Session::State::kSyncing) return 0;  // held routes may go
  }
  const auto status = run.adapter.status();
  FUZZ_CHECK(status.routes == run.session.table().size());
  FUZZ_CHECK(status.accepted <= 3);
  FUZZ_CHECK(status.accepted + status.refused + status.unresolved + status.ignored == status.routes);
  FUZZ_CHECK(run.adapter.audit(run.now) == 0);
  return 0;
}
