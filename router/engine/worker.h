// A data worker: one thread with one queue of every device and one UDP socket a family. It takes each batch to its end:
// read -> split -> encapsulate -> look up -> seal -> send, or receive -> open -> check -> decapsulate -> merge -> write.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "router/crypto/aead.h"
#include "router/crypto/system_random.h"
#include "router/engine/published.h"
#include "router/engine/receive_batch.h"
#include "router/engine/tun_device.h"
#include "router/engine/turn_budget.h"
#include "router/engine/udp_socket.h"
#include "router/forwarder/inbound.h"
#include "router/forwarder/outbound.h"
#include "router/wireguard/handshake_gate.h"

namespace greywire::engine {

class Worker final : private ForwarderSink {
 public:
  // `link_gone` is called on the worker's thread when somebody deleted a device.
  Worker(unsigned number, Published& published, AeadProvider aead, std::function<void(LinkId)> link_gone);
  ~Worker();  // stops and joins

  void start();
  void stop();  // joins; the devices and sockets stay until destruction

  // The next six may be called from any other thread, and return once the worker has done it. Before start() and
  // after stop() they act at once.
  // With `reads` false it only writes to the device: its one queue is another worker's to read. `reads_routing`: it reads
  // the queue for routing traffic.
  void add_link(LinkId link, std::shared_ptr<TunDevice> device, bool reads = true, bool reads_routing = true);
  void remove_link(LinkId link);
  // Replaces the sockets for data, in any number of either family; the old ones are closed. Those in which data waits get
  // their turns by its cost (TurnBudget). The first one of a family is sent from.
  void set_sockets(std::vector<UdpSocket> sockets);
  // Those of routing traffic, each way; an empty optional closes. What waits in them, or in a device's queue for routing traffic, comes before the
  // next batch of anything else.
  void set_routing_sockets(std::optional<UdpSocket> v4, std::optional<UdpSocket> v6);
  // Those to which handshake messages are steered (UnderlaySockets). After each round of data a few of them get their
  // turn, one after the other, so that a flood in one delays the others by no more than a batch.
  void set_handshake_sockets(std::vector<UdpSocket> sockets);
  Result<void> set_mark(std::uint32_t fwmark);

  const DropCounters& drops() const { return drops_; }
  const PathCounters& path_counters() const { return outbound_.path_counters(); }

 private:
  static constexpr unsigned kFrameRounds = 64;
  static constexpr int kHandshakeTurns = 2;  // sockets that get their turn after a round of data
  static constexpr std::size_t kHandshakeBatch = 32;
  static constexpr std::size_t kRoutingBatch = 8;
  static constexpr unsigned kRoutingFrames = 32;  // of one queue before others get their turn

  // ForwarderSink
  void send(std::span<const SealedTrain> trains) override;
  bool write(LinkId link, const MergedFrame& frame) override;
  MergeUdp merges_udp(LinkId link) const override;
  void attention(PeerId peer) override { published_.inbox.attention(peer); }
  bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) override;
  void unknown_session(const Endpoint& from) override { published_.inbox.unknown_session(from); }
  void probe_reply(const ProbeReply& reply) override { published_.inbox.probe_reply(reply); }

  void run();
  void round(const epoll_event* events, int count);
  void serve_routing();
  std::int64_t receive_batch(UdpSocket& socket, ReceiveBatch& batch);
  void take_turn(std::size_t lane, bool alone);
  void receive_handshakes();
  void send_cookie_replies();
  void replace_routing(std::optional<UdpSocket>& old, std::optional<UdpSocket>& fresh, std::uint64_t what);
  void read_link(LinkId link, TunDevice& device);
  bool read_batch(LinkId link, TunDevice& device, unsigned queue, unsigned& left);
  void send_family(UdpSocket* socket, std::span<const SendTrain> trains, std::span<wireguard::PeerData* const> peers);
  unsigned queue_of(const TunDevice& device) const { return device.queue_count() == 1 ? 0 : number_; }
  static void watch(int epoll, int fd, std::uint64_t what);
  static void unwatch(int epoll, int fd);
  void do_calls();
  void execute(std::function<void()> fn);

  const unsigned number_;
  Published& published_;
  QuiescentDomain::Reader& reader_;
  std::function<void(LinkId)> link_gone_;
  DropCounters drops_;
  std::unique_ptr<Aead> aead_;
  Outbound outbound_;
  Inbound inbound_;
  ReceiveBatch batch_;
  ReceiveBatch handshake_batch_;
  ReceiveBatch routing_batch_;
  UdpSocket* receiving_ = nullptr;
  TimePoint received_at_;
  SystemRandom random_;
  wireguard::HandshakeGate gate_;
  using CookieReply = std::array<std::uint8_t, wireguard::kCookieReplySize>;
  std::array<CookieReply, UdpSocket::kMaxTrains> cookie_replies_;
  std::vector<SendTrain> reply_trains_;
  std::unique_ptr<std::uint8_t[]> frames_;

  int epoll_ = -1;
  int event_ = -1;
  std::map<LinkId, std::shared_ptr<TunDevice>> links_;
  struct Lane {
    UdpSocket socket;
    TurnBudget budget;
  };
  std::vector<Lane> lanes_;
  UdpSocket* v4_ = nullptr;  // of lanes_, to send from
  UdpSocket* v6_ = nullptr;
  std::vector<UdpSocket> handshakes_;
  int handshake_epoll_ = -1;  // of handshakes_, by their place; readable as one of them is
  std::optional<UdpSocket> routing_v4_;
  std::optional<UdpSocket> routing_v6_;
  int routing_epoll_ = -1;  // of these and of devices' queues for routing traffic
  std::vector<SendTrain> send_v4_, send_v6_;
  std::vector<wireguard::PeerData*> peers_v4_, peers_v6_;

  std::mutex calls_mutex_;
  std::vector<std::function<void()>> calls_;
  std::atomic<bool> running_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace greywire::engine
