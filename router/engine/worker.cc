#include "router/engine/worker.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>

#include "router/engine/boot_clock.h"

namespace greywire::engine {
namespace {

// What an epoll event is about: the mailbox and sockets, one of those for data by its place, else the number of a link.
constexpr std::uint64_t kMailbox = ~std::uint64_t{0};
constexpr std::uint64_t kSocketV4 = kMailbox - 1;
constexpr std::uint64_t kSocketV6 = kMailbox - 2;
constexpr std::uint64_t kHandshakes = kMailbox - 3;
constexpr std::uint64_t kRouting = kMailbox - 4;
constexpr std::uint64_t kLane = std::uint64_t{1} << 32;
constexpr std::uint64_t kLastLane = kLane + 0xffff;
bool is_lane(std::uint64_t what) { return what >= kLane && what <= kLastLane; }

constexpr std::size_t kHeadroom = 64;
constexpr std::size_t kFrameRoom = kHeadroom + TunDevice::kMaxFrame;
constexpr std::size_t kFramesRoom = 4 * kFrameRoom;  // of a batch: they stay until it is sent

}  // namespace

Worker::Worker(unsigned number, Published& published, AeadProvider aead, std::function<void(LinkId)> link_gone)
    : number_(number),
      published_(published),
      reader_(published.domain.add_reader()),
      link_gone_(std::move(link_gone)),
      aead_(make_aead(aead)),
      outbound_(*aead_, *this, drops_),
      inbound_(*aead_, *this, outbound_, drops_, published.probe_nonce),
      batch_(16),
      handshake_batch_(number == 0 ? kHandshakeBatch : 1),
      routing_batch_(kRoutingBatch),
      gate_(random_, drops_),
      frames_(std::make_unique<std::uint8_t[]>(kFramesRoom)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      handshake_epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      routing_epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  outbound_.set_tap(&published.tap);
  inbound_.set_tap(&published.tap);
  watch(epoll_, event_, kMailbox);
  watch(epoll_, handshake_epoll_, kHandshakes);
  watch(epoll_, routing_epoll_, kRouting);
  reply_trains_.reserve(UdpSocket::kMaxTrains);
  for (auto* trains : {&send_v4_, &send_v6_}) trains->reserve(UdpSocket::kMaxTrains);
  for (auto* peers : {&peers_v4_, &peers_v6_}) peers->reserve(UdpSocket::kMaxTrains);
}

Worker::~Worker() {
  stop();
  ::close(event_);
  ::close(handshake_epoll_);
  ::close(routing_epoll_);
  ::close(epoll_);
}

void Worker::start() {
  running_ = true;
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), ("gw-data-" + std::to_string(number_)).c_str());
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(event_, &one, sizeof one);
  thread_.join();
  running_ = false;
  do_calls();
}

void Worker::execute(std::function<void()> fn) {
  if (!running_) return fn();
  std::promise<void> done;
  {
    std::lock_guard guard(calls_mutex_);
    calls_.push_back([&] {
      fn();
      done.set_value();
    });
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(event_, &one, sizeof one);
  done.get_future().wait();
}

void Worker::do_calls() {
  std::uint64_t count;
  [[maybe_unused]] const auto n = ::read(event_, &count, sizeof count);
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard guard(calls_mutex_);
    calls.swap(calls_);
  }
  for (auto& call : calls) call();
}

void Worker::watch(int epoll, int fd, std::uint64_t what) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = what;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void Worker::unwatch(int epoll, int fd) { ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); }

void Worker::add_link(LinkId link, std::shared_ptr<TunDevice> device, bool reads, bool reads_routing) {
  execute([&] {
    if (reads) watch(epoll_, device->fd(queue_of(*device)), link.value);
    if (const auto queue = device->routing_queue(); queue && reads_routing) {
      watch(routing_epoll_, device->fd(*queue), link.value);
    }
    links_[link] = std::move(device);
  });
}

void Worker::remove_link(LinkId link) {
  execute([&] {
    const auto it = links_.find(link);
    if (it == links_.end()) return;
    const TunDevice& device = *it->second;
    unwatch(epoll_, device.fd(queue_of(device)));
    if (const auto queue = device.routing_queue()) unwatch(routing_epoll_, device.fd(*queue));
    links_.erase(it);
  });
}

void Worker::set_sockets(std::vector<UdpSocket> sockets) {
  execute([&] {
    v4_ = v6_ = nullptr;
    lanes_.clear();  // those that are closed leave the epoll by themselves
    for (UdpSocket& socket : sockets) lanes_.push_back({std::move(socket), {}});
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      UdpSocket& socket = lanes_[i].socket;
      UdpSocket*& first = socket.family() == Family::kV4 ? v4_ : v6_;
      if (first == nullptr) first = &socket;
      watch(epoll_, socket.fd(), kLane + i);
    }
  });
}

void Worker::set_routing_sockets(std::optional<UdpSocket> v4, std::optional<UdpSocket> v6) {
  execute([&] {
    replace_routing(routing_v4_, v4, kSocketV4);
    replace_routing(routing_v6_, v6, kSocketV6);
  });
}

void Worker::set_handshake_sockets(std::vector<UdpSocket> sockets) {
  execute([&] {
    handshakes_ = std::move(sockets);
    for (std::size_t i = 0; i < handshakes_.size(); ++i) watch(handshake_epoll_, handshakes_[i].fd(), i);
  });
}

void Worker::replace_routing(std::optional<UdpSocket>& old, std::optional<UdpSocket>& fresh, std::uint64_t what) {
  if (old) unwatch(routing_epoll_, old->fd());
  old.reset();
  if (!fresh) return;
  old.emplace(std::move(*fresh));
  watch(routing_epoll_, old->fd(), what);
}

Result<void> Worker::set_mark(std::uint32_t fwmark) {
  Result<void> result;
  execute([&] {
    const auto mark = [&](UdpSocket& socket) {
      if (auto set = socket.set_mark(fwmark); !set) result = set.error();
    };
    for (Lane& lane : lanes_) mark(lane.socket);
    for (auto* socket : {&routing_v4_, &routing_v6_}) {
      if (*socket) mark(**socket);
    }
    for (UdpSocket& socket : handshakes_) mark(socket);
  });
  return result;
}

void Worker::run() {
  std::array<epoll_event, 64> events;
  while (!stopping_) {
    reader_.offline();
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    if (count <= 0) continue;
    reader_.online();
    round(events.data(), count);
  }
  reader_.offline();
}

void Worker::round(const epoll_event* events, int count) {
  bool handshakes = false;
  const bool alone = std::count_if(events, events + count, [](const auto& event) { return is_lane(event.data.u64); }) == 1;
  const bool routing = std::any_of(events, events + count, [](const auto& event) { return event.data.u64 == kRouting; });
  if (routing) serve_routing();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t what = events[i].data.u64;
    if (what == kRouting) continue;
    if (i != 0) serve_routing();
    if (what == kMailbox) {
      do_calls();
    } else if (is_lane(what)) {
      take_turn(what - kLane, alone);
    } else if (what == kHandshakes) {
      handshakes = true;
    } else {
      const LinkId link{static_cast<std::uint32_t>(what)};
      const auto it = links_.find(link);
      if (it != links_.end()) read_link(link, *it->second);
    }
    reader_.quiescent();
  }
  if (handshakes) receive_handshakes();
}

// An epoll hands out its level-triggered descriptors in turn: who was reported goes to the end of the line.
void Worker::receive_handshakes() {
  std::array<epoll_event, kHandshakeTurns> events;
  const int count = ::epoll_wait(handshake_epoll_, events.data(), kHandshakeTurns, 0);
  for (int i = 0; i < count; ++i) {
    const std::size_t place = events[static_cast<std::size_t>(i)].data.u64;
    if (place < handshakes_.size()) receive_batch(handshakes_[place], handshake_batch_);
    serve_routing();
    reader_.quiescent();
  }
}

// Called between batches: what waits here goes ahead of them.
void Worker::serve_routing() {
  std::array<epoll_event, 16> events;
  const int count = ::epoll_wait(routing_epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t what = events[static_cast<std::size_t>(i)].data.u64;
    if (what == kSocketV4 || what == kSocketV6) {
      auto& socket = what == kSocketV4 ? routing_v4_ : routing_v6_;
      if (socket) receive_batch(*socket, routing_batch_);
      continue;
    }
    const LinkId link{static_cast<std::uint32_t>(what)};
    const auto it = links_.find(link);
    if (it == links_.end()) continue;
    unsigned left = kRoutingFrames;
    read_batch(link, *it->second, *it->second->routing_queue(), left);
  }
}

// An epoll reports its descriptors in turn, so that each lane in which something waits comes round.
void Worker::take_turn(std::size_t place, bool alone) {
  if (place >= lanes_.size()) return;  // closed meanwhile
  Lane& lane = lanes_[place];
  lane.budget.begin(alone);
  while (lane.budget.left()) {
    const std::int64_t cost = receive_batch(lane.socket, batch_);
    lane.budget.spend(cost);
    if (batch_.size() < batch_.capacity()) return;
    serve_routing();
  }
}

// What it cost (TurnBudget); 0 when nothing waited.
std::int64_t Worker::receive_batch(UdpSocket& socket, ReceiveBatch& batch) {
  const int messages = socket.receive(batch);
  if (messages < 0) drops_.count(DropReason::kSocketError);
  if (messages <= 0) return 0;
  const TimePoint now = boot_now();
  received_at_ = now;
  receiving_ = &socket;
  // Routes first: the groups that they lead to were published before them.
  const AllowedIpsRoot& routes = *published_.routes->load(std::memory_order_seq_cst);
  const ForwardingTables& tables = *published_.tables.load(std::memory_order_seq_cst);
  inbound_.begin(tables, routes, *published_.index, now);
  outbound_.begin(tables);
  std::int64_t cost = 0;
  for (const ReceivedMessage& m : batch) {
    cost += TurnBudget::cost(m.size, m.segment_size);
    inbound_.message({m.bytes, m.size}, m.segment_size, {m.source, m.local, m.local_ifindex, m.has_local}, m.ds_field);
  }
  inbound_.finish();
  outbound_.flush(now);
  send_cookie_replies();
  return cost;
}

void Worker::read_link(LinkId link, TunDevice& device) {
  unsigned left = kFrameRounds;
  while (read_batch(link, device, queue_of(device), left)) serve_routing();
}

// Frames for one batch, which is sent; at most `left`, from which they are taken. False when no more wait.
bool Worker::read_batch(LinkId link, TunDevice& device, unsigned queue, unsigned& left) {
  const AllowedIpsRoot& routes = *published_.routes->load(std::memory_order_seq_cst);  // first, as above
  const ForwardingTables& tables = *published_.tables.load(std::memory_order_seq_cst);
  const TimePoint now = boot_now();
  outbound_.begin(tables);
  bool more = true;
  std::size_t used = 0;
  while (left != 0 && !outbound_.nearly_full() && used + kFrameRoom <= kFramesRoom) {
    VirtioNetHeader header;
    std::uint8_t* frame = frames_.get() + used + kHeadroom;
    const std::ptrdiff_t size = device.read(queue, header, {frame, TunDevice::kMaxFrame});
    more = size > 0;
    if (size < 0 && TunDevice::is_gone(size)) {
      for (const int epoll : {epoll_, routing_epoll_}) unwatch(epoll, device.fd(queue));
      link_gone_(link);
    }
    if (!more) break;
    --left;
    used += (kHeadroom + static_cast<std::size_t>(size) + kHeadroom - 1) / kHeadroom * kHeadroom;
    outbound_.frame(tables, routes, link, header, {frame, static_cast<std::size_t>(size)}, now);
  }
  outbound_.flush(now);
  return more && left != 0;
}

bool Worker::handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) {
  using Outcome = wireguard::HandshakeGate::Outcome;
  const auto& keys = *published_.receiver_keys.load(std::memory_order_seq_cst);
  CookieReply& reply = cookie_replies_[reply_trains_.size()];
  const Outcome outcome =
      gate_.judge(datagram, from.remote, keys, published_.inbox.under_load(), received_at_, reply);
  if (outcome == Outcome::kDropped) return true;
  if (outcome != Outcome::kCookieReply) return published_.inbox.handshake(datagram, from, outcome);
  reply_trains_.push_back({from.remote, from.local, from.local_ifindex, from.has_local, reply.data(),
                           static_cast<std::uint32_t>(reply.size()), 0, wireguard::kHandshakeDsField});
  if (reply_trains_.size() == cookie_replies_.size()) send_cookie_replies();
  return true;
}

// From where the messages came in. Those that are lost are asked for again.
void Worker::send_cookie_replies() {
  if (reply_trains_.empty()) return;
  receiving_->send(reply_trains_);
  reply_trains_.clear();
}

bool Worker::write(LinkId link, const MergedFrame& frame) {
  const auto it = links_.find(link);
  if (it == links_.end()) return false;
  return it->second->write(queue_of(*it->second), frame.header, frame.parts, frame.part_count) >= 0;
}

MergeUdp Worker::merges_udp(LinkId link) const {
  const auto it = links_.find(link);
  return it != links_.end() && it->second->offloads().uso ? MergeUdp::kYes : MergeUdp::kNo;
}

void Worker::send(std::span<const SealedTrain> trains) {
  send_v4_.clear();
  send_v6_.clear();
  peers_v4_.clear();
  peers_v6_.clear();
  for (const SealedTrain& train : trains) {
    const wireguard::Route route = train.peer->route();
    if (route.remote.port == 0) {
      drops_.count(DropReason::kNoEndpoint, train.count);
      continue;
    }
    const bool v4 = route.remote.address.is_v4();
    const SendTrain out{route.remote,      route.local, route.local_ifindex, route.has_local, train.bytes, train.size,
                        train.segment_size, train.ds_field};
    auto& first = v4 ? routing_v4_ : routing_v6_;
    if (first && is_routing_traffic(train.ds_field)) {
      first->go_first(train.ds_field);
      send_family(&*first, {&out, 1}, {&train.peer, 1});
      continue;
    }
    (v4 ? send_v4_ : send_v6_).push_back(out);
    (v4 ? peers_v4_ : peers_v6_).push_back(train.peer);
  }
  send_family(v4_, send_v4_, peers_v4_);
  send_family(v6_, send_v6_, peers_v6_);
}

void Worker::send_family(UdpSocket* socket, std::span<const SendTrain> trains,
                         std::span<wireguard::PeerData* const> peers) {
  if (trains.empty()) return;
  if (socket == nullptr) return drops_.count(DropReason::kSocketError, trains.size());
  const SendResult result = socket->send(trains);
  if (result.error == 0 && !result.clear_source) return;
  for (std::size_t i = 0; i < result.outcomes.size(); ++i) {
    const TrainOutcome& outcome = result.outcomes[i];
    if (outcome.clear_source) peers[i]->clear_source();
    if (outcome.error == 0) continue;
    if (outcome.error == EMSGSIZE && peers[i]->request(wireguard::Attention::kLargeSent)) attention(peers[i]->id);
    const std::uint32_t segment = trains[i].segment_size == 0 ? trains[i].size : trains[i].segment_size;
    drops_.count(DropReason::kSocketError, (trains[i].size - outcome.sent_bytes + segment - 1) / segment);
  }
}

}  // namespace greywire::engine
