// Handshake messages of any content at a device with one peer: never an answer that is not owed, and the
// tables stay bounded. The first byte chooses what the rest is: raw, with a right mac1, or a change to a real
// message.
#include "tests/fuzz/check.h"
#include "tests/sim/site.h"

using namespace greywire;
using namespace greywire::test;

namespace {

struct Ends {
  Ends() : a(1), b(2) {
    GTEST_FLAG_SET(break_on_failure, true);  // what a site checks by itself ends the run, too
    PeerSetup of_b, of_a;
    of_b.endpoint = b_at;
    of_a.endpoint = a_at;
    b_of_a = a.add_peer(b.public_key(), of_b, at(0s));
    a_of_b = b.add_peer(a.public_key(), of_a, at(0s));
    of_a_macs.set_remote(b.public_key());
    a.initiate(b_of_a, at(0s));
    initiation = a.take_sent().at(0).bytes;
  }
  const Endpoint a_at = endpoint("192.0.2.1:1"), b_at = endpoint("192.0.2.2:2");
  Site a, b;
  PeerId b_of_a, a_of_b;
  wireguard::MessageAuthenticator of_a_macs;
  Bytes initiation;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  static Ends ends;
  static Duration time = 0s;
  time += 7ms;
  const std::uint8_t mode = bytes[0];
  Bytes message(bytes + 1, bytes + size);
  bool genuine = false;
  if (mode % 3 == 1 && message.size() >= 32) ends.of_a_macs.add_macs(message, at(time));
  if (mode % 3 == 2) {
    Bytes changed = ends.initiation;
    for (std::size_t i = 0; i + 1 < message.size(); i += 2)
      changed[message[i] % changed.size()] ^= message[i + 1];
    genuine = std::equal(changed.begin(), changed.begin() + 132, ends.initiation.begin());
    message = changed;
  }
  ends.b.under_load = (mode & 0x80) != 0;
  const std::uint64_t drops = ends.b.all_drops();
  ends.b.receive(message, ends.a_at, at(time));
  for (const auto& answer : ends.b.take_sent()) {
    if (answer.type() == 2) FUZZ_CHECK(genuine);
    if (answer.type() == 3) FUZZ_CHECK(answer.bytes.size() < message.size());
    FUZZ_CHECK(answer.type() != 4);
  }
  FUZZ_CHECK(genuine || ends.b.all_drops() == drops + 1);
  FUZZ_CHECK(ends.b.device.index_table().used() <= 4);
  // The same bytes where an answer is waited for.
  ends.a.receive(message, ends.b_at, at(time));
  FUZZ_CHECK(!ends.a.peer(ends.b_of_a).current);
  ends.a.take_sent();
  return 0;
}
