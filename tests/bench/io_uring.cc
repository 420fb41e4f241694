// Would io_uring pay for TUN and UDP? Nanoseconds of processor time a frame, of read(), write(), recvmmsg() and sendmmsg()
// beside io_uring's batches, by turns: median (10% to 90%).
//   io_uring_bench [TURNS]      as root; makes a network namespace of its own, with a TUN in it, and leaves nothing
// Frames wait in the device's queue before the clock starts, and a way to read ends with the read that finds nothing, as a
// worker's does. The time is that of the whole process, so that of io_uring's own threads is in it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "router/engine/tun_device.h"

namespace {

using namespace greywire;

constexpr const char* kOwn = "10.9.0.1";
constexpr const char* kFar = "10.9.0.2";
constexpr std::uint16_t kPort = 7000;
constexpr unsigned kBatch = 64;  // the largest
constexpr std::size_t kStride = 65536 + 256;
constexpr unsigned kMaxFrames = 250;  // half a device's queue
// Not in the headers of Debian 12 (Linux 6.7 brought it).
constexpr std::uint8_t kReadMultishot = 49;

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "io_uring_bench: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}
int need(int result, std::string_view what) {
  if (result < 0) fail(what);
  return result;
}

// One io_uring without liburing: one thread submits and reaps.
class Ring {
 public:
  Ring() {
    io_uring_params p{};
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    p.cq_entries = 1024;
    fd_ = need(static_cast<int>(::syscall(__NR_io_uring_setup, kBatch, &p)), "io_uring_setup");
    const std::size_t size = std::max(p.sq_off.array + p.sq_entries * sizeof(unsigned), p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe));
    auto* rings = map(size, IORING_OFF_SQ_RING);
    sqes_ = reinterpret_cast<io_uring_sqe*>(map(p.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    const auto at = [&](unsigned offset) { return reinterpret_cast<unsigned*>(rings + offset); };
    sq_tail_ = at(p.sq_off.tail), sq_mask_ = *at(p.sq_off.ring_mask);
    cq_head_ = at(p.cq_off.head), cq_tail_ = at(p.cq_off.tail), cq_mask_ = *at(p.cq_off.ring_mask);
    cqes_ = reinterpret_cast<io_uring_cqe*>(rings + p.cq_off.cqes);
    for (unsigned i = 0; i < p.sq_entries; ++i) at(p.sq_off.array)[i] = i;
  }
  // Before the first enter(); what is done afterwards names file 0 and buffer 0.
  void use(int file, std::span<std::uint8_t> memory) {
    const iovec buffer{memory.data(), memory.size()};
    call(IORING_REGISTER_FILES, &file, 1);
    call(IORING_REGISTER_BUFFERS, &buffer, 1);
  }
  void call(unsigned what, const void* argument, unsigned count) {
    need(static_cast<int>(::syscall(__NR_io_uring_register, fd_, what, argument, count)), "io_uring_register");
  }
  io_uring_sqe& next() {
    io_uring_sqe& sqe = sqes_[(*sq_tail_ + queued_++) & sq_mask_];
    sqe = {};
    sqe.flags = IOSQE_FIXED_FILE;
    return sqe;
  }
  // Submits what next() gave out, and waits for as many completions.
  void enter(unsigned wait) {
    std::atomic_ref(*sq_tail_).store(*sq_tail_ + queued_, std::memory_order_release);
    need(static_cast<int>(::syscall(__NR_io_uring_enter, fd_, std::exchange(queued_, 0), wait, IORING_ENTER_GETEVENTS, nullptr, 0)), "io_uring_enter");
  }
  template <class F>
  void reap(F&& each) {
    const unsigned tail = std::atomic_ref(*cq_tail_).load(std::memory_order_acquire);
    unsigned head = *cq_head_;
    for (; head != tail; ++head) each(cqes_[head & cq_mask_]);
    std::atomic_ref(*cq_head_).store(head, std::memory_order_release);
  }

 private:
  std::uint8_t* map(std::size_t size, off_t what) const {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    if (at == MAP_FAILED) fail("mmap of a ring");
    return static_cast<std::uint8_t*>(at);
  }

  int fd_ = -1;
  io_uring_sqe* sqes_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  unsigned *sq_tail_ = nullptr, *cq_head_ = nullptr, *cq_tail_ = nullptr;
  unsigned sq_mask_ = 0, cq_mask_ = 0, queued_ = 0;
};

// Aligned and of huge pages where there are some, as the engine's.
std::span<std::uint8_t> memory(std::size_t bytes) {
  constexpr std::size_t kHuge = 2 << 20;
  bytes = (bytes + kHuge - 1) / kHuge * kHuge;
  auto* at = static_cast<std::uint8_t*>(std::aligned_alloc(kHuge, bytes));
  ::madvise(at, bytes, MADV_HUGEPAGE);
  std::memset(at, 0, bytes);
  return {at, bytes};
}

sockaddr_in address_of(const char* text) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(kPort);
  ::inet_pton(AF_INET, text, &a.sin_addr);
  return a;
}

void write_file(const char* path, std::string_view text) {
  const int fd = need(::open(path, O_WRONLY | O_CLOEXEC), path);
  if (::write(fd, text.data(), text.size()) < 0) fail(path);
  ::close(fd);
}

void bring_up(const std::string& name, const char* address, int control) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (address != nullptr) {
    auto a = address_of(address), mask = address_of("255.255.255.0");
    std::memcpy(&request.ifr_addr, &a, sizeof a);
    need(::ioctl(control, SIOCSIFADDR, &request), "SIOCSIFADDR");
    std::memcpy(&request.ifr_netmask, &mask, sizeof mask);
    need(::ioctl(control, SIOCSIFNETMASK, &request), "SIOCSIFNETMASK");
    request.ifr_mtu = 1420;
    need(::ioctl(control, SIOCSIFMTU, &request), "SIOCSIFMTU");
  }
  request.ifr_flags = IFF_UP;
  need(::ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
}

// A socket with a buffer for everything, connected to the same port of `to`.
int peer_socket(const char* from, const char* to) {
  const int fd = need(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const int buffer = 64 << 20, on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  ::setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  const auto a = address_of(from), b = address_of(to);
  need(::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a), "bind");
  need(::connect(fd, reinterpret_cast<const sockaddr*>(&b), sizeof b), "connect");
  return fd;
}

double process_ns() {
  timespec t;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// What waits to be read, or is to be written: `frames` of them, each of `datagrams` of `bytes` of payload.
struct Load {
  const char* title;
  unsigned frames;
  std::uint16_t bytes;
  std::size_t datagrams;
};

struct Way {
  std::string name;
  std::function<unsigned(const Load&)> run;  // returns how many frames it dealt with
  std::vector<double> ns{};
};

class Bench {
 public:
  explicit Bench(unsigned turns) : turns_(turns), memory_(memory(kBatch * kStride)) {
    auto device = engine::TunDevice::open("bench0", engine::TunKind::kTun, 1);
    if (!device) {
      fmt::print(stderr, "io_uring_bench: {}\n", device.error().text);
      std::exit(1);
    }
    device_ = std::make_unique<engine::TunDevice>(std::move(*device));
    const int control = need(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    bring_up("lo", nullptr, control);
    bring_up(device_->name(), kOwn, control);
    ::close(control);
    socket_ = peer_socket(kOwn, kFar);
    tun_ring_.use(tun(), memory_);
    one_ = peer_socket("127.0.0.1", "127.0.0.2");
    other_ = peer_socket("127.0.0.2", "127.0.0.1");
    send_ring_.use(one_, memory_);
    receive_ring_.use(other_, memory_);
    for (unsigned i = 0; i < kBatch; ++i) parts_[i] = {slot(i), kStride};
  }

  void reads(const Load& load) {
    std::vector<Way> ways{{"read()", [this](const Load&) { return read_each(); }}};
    for (const unsigned batch : {8U, 32U, 64U}) {
      ways.push_back({fmt::format("io_uring, {}", batch), [=, this](const Load&) { return read_batches(batch); }});
    }
    ways.push_back({"multishot", [this](const Load&) { return read_multishot(); }});
    measure("read from the TUN", load, ways, [&] { send_load(socket_, load); }, [this] { read_each(); });
  }

  void writes(const Load& load) {
    send_load(socket_, {"", 1, load.bytes, load.datagrams});
    const auto size = static_cast<std::size_t>(need(static_cast<int>(::read(tun(), slot(0), kStride)), "a frame to write"));
    std::uint8_t* ip = slot(0) + sizeof(VirtioNetHeader);
    std::swap_ranges(ip + 12, ip + 16, ip + 16);  // back to where it came from; no sum changes
    for (unsigned i = 1; i < kBatch; ++i) std::memcpy(slot(i), slot(0), size);
    std::vector<Way> ways{{"write()", [=, this](const Load& l) { return write_each(l.frames, size); }}};
    for (const unsigned batch : {8U, 32U, 64U}) {
      ways.push_back({fmt::format("io_uring, {}", batch), [=, this](const Load& l) { return write_batches(l.frames, size, batch); }});
    }
    measure("write to the TUN", load, ways, [] {}, [this] { drain(socket_); });
  }

  void datagrams(const Load& load) {
    std::vector<Way> receive{{"recvmmsg(), 64", [this](const Load&) { return receive_batches(false); }},
                             {"io_uring, 64", [this](const Load&) { return receive_batches(true); }}};
    measure("receive from a UDP socket", load, receive, [&] { send_load(one_, load); }, [this] { drain(other_); });
    std::vector<Way> send{{"sendmmsg(), 64", [this](const Load& l) { return send_batches(l, false); }},
                          {"io_uring, 64", [this](const Load& l) { return send_batches(l, true); }}};
    measure("send to a UDP socket", load, send, [] {}, [this] { drain(other_); });
  }

 private:
  int tun() const { return device_->fd(0); }
  std::uint8_t* slot(unsigned i) const { return memory_.data() + i * kStride; }

  void measure(const char* what, const Load& load, std::vector<Way>& ways, const std::function<void()>& before, const std::function<void()>& after) {
    for (unsigned turn = 0; turn < turns_; ++turn) {
      for (std::size_t i = 0; i < ways.size(); ++i) {
        Way& way = ways[turn % 2 == 0 ? i : ways.size() - 1 - i];
        before();
        const double start = process_ns();
        const unsigned done = way.run(load);
        const double took = process_ns() - start;
        after();
        if (done != load.frames) {
          fmt::print(stderr, "io_uring_bench: {}: {} dealt with {} of {} frames\n", what, way.name, done, load.frames);
          std::exit(1);
        }
        if (turn >= 4) way.ns.push_back(took / load.frames);
      }
    }
    fmt::print("{}, {}:", what, load.title);
    for (Way& way : ways) {
      std::sort(way.ns.begin(), way.ns.end());
      const auto part = [&](double q) { return way.ns[static_cast<std::size_t>(q * static_cast<double>(way.ns.size() - 1))]; };
      fmt::print("  {} {:.0f} ({:.0f}-{:.0f})", way.name, part(0.5), part(0.1), part(0.9));
    }
    fmt::print("\n");
    std::fflush(stdout);
  }

  void send_load(int fd, const Load& load) {
    for (unsigned i = 0; i < load.frames; ++i) {
      const iovec part{slot(0), load.bytes * load.datagrams};
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(&part);
      message.msg_iovlen = 1;
      Control control = segment_control(load.bytes);
      if (load.datagrams > 1) message.msg_control = control.bytes, message.msg_controllen = sizeof control.bytes;
      need(static_cast<int>(::sendmsg(fd, &message, 0)), "sendmsg");
    }
  }

  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(std::uint16_t))];
  };
  static Control segment_control(std::uint16_t segment) {
    Control control{};
    auto& c = *reinterpret_cast<cmsghdr*>(control.bytes);
    c.cmsg_level = SOL_UDP;
    c.cmsg_type = UDP_SEGMENT;
    c.cmsg_len = CMSG_LEN(sizeof segment);
    std::memcpy(CMSG_DATA(&c), &segment, sizeof segment);
    return control;
  }

  void drain(int fd) {
    while (::recv(fd, slot(0), 1, MSG_TRUNC) > 0) {
    }
  }

  unsigned read_each() {
    unsigned count = 0;
    while (::read(tun(), slot(0), kStride) > 0) ++count;
    return count;
  }

  unsigned read_batches(unsigned batch) {
    unsigned count = 0;
    for (bool more = true; more;) {
      for (unsigned i = 0; i < batch; ++i) {
        io_uring_sqe& sqe = tun_ring_.next();
        sqe.opcode = IORING_OP_READ_FIXED;
        sqe.addr = reinterpret_cast<std::uint64_t>(slot(i));
        sqe.len = kStride;
        sqe.rw_flags = RWF_NOWAIT;
      }
      tun_ring_.enter(batch);
      tun_ring_.reap([&](const io_uring_cqe& cqe) { cqe.res > 0 ? void(++count) : void(more = false); });
    }
    return count;
  }

  // A ring of its own, since it stays armed; the kernel picks the buffers.
  unsigned read_multishot() {
    if (!buffers_) {
      shots_ring_.use(tun(), memory_);
      const auto pages = memory(4096);
      buffers_ = reinterpret_cast<io_uring_buf_ring*>(pages.data());
      io_uring_buf_reg registration{};
      registration.ring_addr = reinterpret_cast<std::uint64_t>(buffers_);
      registration.ring_entries = kBatch;
      shots_ring_.call(IORING_REGISTER_PBUF_RING, &registration, 1);
      for (unsigned i = 0; i < kBatch; ++i) give_back(i);
    }
    unsigned count = 0;
    bool more = true;
    while (more) {
      if (!armed_) {
        io_uring_sqe& sqe = shots_ring_.next();
        sqe.opcode = kReadMultishot;
        sqe.flags |= IOSQE_BUFFER_SELECT;
        armed_ = true;
      }
      shots_ring_.enter(0);
      unsigned came = 0;
      shots_ring_.reap([&](const io_uring_cqe& cqe) {
        if (cqe.res > 0) ++came, give_back(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        if ((cqe.flags & IORING_CQE_F_MORE) == 0) armed_ = false;
        if (cqe.res < 0 && cqe.res != -ENOBUFS) errno = -cqe.res, fail("multishot read");
      });
      count += came;
      more = came != 0;
    }
    return count;
  }
  void give_back(unsigned i) {
    // Not buffers_->bufs, which the headers of Debian 12 put elsewhere in C++.
    io_uring_buf& buffer = reinterpret_cast<io_uring_buf*>(buffers_)[tail_ & (kBatch - 1)];
    buffer.addr = reinterpret_cast<std::uint64_t>(slot(i));
    buffer.len = kStride;
    buffer.bid = static_cast<std::uint16_t>(i);
    std::atomic_ref(buffers_->tail).store(++tail_, std::memory_order_release);
  }

  unsigned write_each(unsigned frames, std::size_t size) {
    unsigned count = 0;
    for (unsigned i = 0; i < frames; ++i) count += ::write(tun(), slot(i % kBatch), size) > 0;
    return count;
  }

  unsigned write_batches(unsigned frames, std::size_t size, unsigned batch) {
    unsigned count = 0;
    for (unsigned done = 0; done < frames; done += batch) {
      const unsigned now = std::min(batch, frames - done);
      for (unsigned i = 0; i < now; ++i) {
        io_uring_sqe& sqe = tun_ring_.next();
        sqe.opcode = IORING_OP_WRITE_FIXED;
        sqe.addr = reinterpret_cast<std::uint64_t>(slot(i));
        sqe.len = static_cast<std::uint32_t>(size);
      }
      tun_ring_.enter(now);
      tun_ring_.reap([&](const io_uring_cqe& cqe) { count += cqe.res > 0; });
    }
    return count;
  }

  void fill_messages(unsigned count, std::size_t size, Control* control) {
    for (unsigned i = 0; i < count; ++i) {
      parts_[i] = {slot(i), size};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      if (control != nullptr) messages_[i].msg_hdr.msg_control = control->bytes, messages_[i].msg_hdr.msg_controllen = sizeof control->bytes;
    }
  }

  unsigned ring_messages(Ring& ring, std::uint8_t opcode, unsigned count) {
    unsigned done = 0;
    for (unsigned i = 0; i < count; ++i) {
      io_uring_sqe& sqe = ring.next();
      sqe.opcode = opcode;
      sqe.addr = reinterpret_cast<std::uint64_t>(&messages_[i].msg_hdr);
      sqe.len = 1;
      sqe.msg_flags = MSG_DONTWAIT;
    }
    ring.enter(count);
    ring.reap([&](const io_uring_cqe& cqe) { done += cqe.res > 0; });
    return done;
  }

  unsigned receive_batches(bool ring) {
    unsigned count = 0;
    for (;;) {
      fill_messages(kBatch, kStride, nullptr);
      const int n = ring ? static_cast<int>(ring_messages(receive_ring_, IORING_OP_RECVMSG, kBatch))
                         : ::recvmmsg(other_, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
      if (n > 0) count += static_cast<unsigned>(n);
      if (n < static_cast<int>(kBatch)) return count;
    }
  }

  unsigned send_batches(const Load& load, bool ring) {
    Control control = segment_control(load.bytes);
    unsigned count = 0;
    for (unsigned done = 0; done < load.frames; done += kBatch) {
      const unsigned now = std::min(kBatch, load.frames - done);
      fill_messages(now, load.bytes * load.datagrams, load.datagrams > 1 ? &control : nullptr);
      count += ring ? ring_messages(send_ring_, IORING_OP_SENDMSG, now) : static_cast<unsigned>(::sendmmsg(one_, messages_.data(), now, 0));
    }
    return count;
  }

  const unsigned turns_;
  const std::span<std::uint8_t> memory_;
  std::unique_ptr<engine::TunDevice> device_;
  int socket_ = -1;            // whose datagrams go into the TUN, and to which what is written comes
  int one_ = -1, other_ = -1;  // over loopback
  Ring tun_ring_, shots_ring_, send_ring_, receive_ring_;
  io_uring_buf_ring* buffers_ = nullptr;
  std::uint16_t tail_ = 0;
  bool armed_ = false;
  std::array<mmsghdr, kBatch> messages_{};
  std::array<iovec, kBatch> parts_{};
};

double system_call_ns() {
  constexpr int kCalls = 100000;
  const double start = process_ns();
  for (int i = 0; i < kCalls; ++i) ::syscall(SYS_getppid);
  return (process_ns() - start) / kCalls;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned turns = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 200;
  if (::unshare(CLONE_NEWNET) != 0) fail("a network namespace");
  write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  fmt::print("nanoseconds a frame; an empty system call takes {:.0f}\n", system_call_ns());
  Bench bench(turns);
  const Load loads[] = {{"64 bytes", kMaxFrames, 64 - 28, 1}, {"1,420 bytes", kMaxFrames, 1420 - 28, 1}, {"64 KB", 100, 1372, 47}};
  for (const Load& load : loads) bench.reads(load);
  for (const Load& load : loads) bench.writes(load);
  for (const Load& load : loads) bench.datagrams(load);
}
