#include "router/engine/receive_batch.h"

#include <netinet/udp.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "router/engine/receive_batch_storage.h"
#include "router/engine/udp_socket.h"

namespace greywire::engine {
namespace {

constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kStride = ReceiveBatch::kBufferBytes + 2 * ReceiveBatch::kSlack;
static_assert(kStride % 64 == 0 && ReceiveBatch::kSlack % 64 == 0, "buffers start at cache lines");

void read_source(const sockaddr_storage& from, Endpoint& source) {
  if (from.ss_family == AF_INET) {
    const auto& a = reinterpret_cast<const sockaddr_in&>(from);
    source = {IpAddress::v4(ntohl(a.sin_addr.s_addr)), ntohs(a.sin_port), 0};
  } else {
    const auto& a = reinterpret_cast<const sockaddr_in6&>(from);
    source = {IpAddress::v6(std::span<const std::uint8_t, 16>(a.sin6_addr.s6_addr)), ntohs(a.sin6_port),
              a.sin6_scope_id};
  }
}

template <class T>
T control_value(const cmsghdr* c) {
  T value;
  std::memcpy(&value, CMSG_DATA(c), sizeof value);
  return value;
}

void read_control(msghdr& message, ReceivedMessage& out) {
  out.segment_size = 0;
  out.ds_field = 0;
  out.has_local = false;
  out.local_ifindex = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      const int segment = control_value<int>(c);
      if (segment > 0 && static_cast<unsigned>(segment) < out.size) {
        out.segment_size = static_cast<std::uint16_t>(segment);
      }
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      const auto info = control_value<in_pktinfo>(c);
      out.local = IpAddress::v4(ntohl(info.ipi_spec_dst.s_addr));
      out.local_ifindex = static_cast<std::uint32_t>(info.ipi_ifindex);
      out.has_local = true;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto info = control_value<in6_pktinfo>(c);
      out.local = IpAddress::v6(std::span<const std::uint8_t, 16>(info.ipi6_addr.s6_addr));
      out.local_ifindex = info.ipi6_ifindex;
      out.has_local = true;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      out.ds_field = control_value<std::uint8_t>(c);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      out.ds_field = static_cast<std::uint8_t>(control_value<int>(c));
    }
  }
}

}  // namespace

ReceiveBatch::ReceiveBatch(std::size_t messages) : storage_(std::make_unique<Storage>()) {
  const auto n = std::clamp<std::size_t>(messages, 1, kMaxMessages);
  const auto bytes = (n * kStride + kHugePage - 1) / kHugePage * kHugePage;
  storage_->region.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kHugePage, bytes)));
  if (!storage_->region) throw std::bad_alloc();
  ::madvise(storage_->region.get(), bytes, MADV_HUGEPAGE);
  storage_->capacity = n;
  for (std::size_t i = 0; i < n; ++i) {
    auto* buffer = storage_->region.get() + i * kStride + kSlack;
    storage_->received[i].bytes = buffer;
    storage_->parts[i] = {buffer, kBufferBytes};
    auto& header = storage_->messages[i].msg_hdr;
    header.msg_iov = &storage_->parts[i];
    header.msg_iovlen = 1;
    header.msg_name = &storage_->sources[i];
    header.msg_control = storage_->control[i].bytes;
  }
}

ReceiveBatch::ReceiveBatch(ReceiveBatch&&) noexcept = default;
ReceiveBatch& ReceiveBatch::operator=(ReceiveBatch&&) noexcept = default;
ReceiveBatch::~ReceiveBatch() = default;

std::size_t ReceiveBatch::capacity() const {
  return storage_->capacity;
}
std::size_t ReceiveBatch::size() const {
  return storage_->size;
}
const ReceivedMessage& ReceiveBatch::operator[](std::size_t i) const {
  return storage_->received[i];
}
const ReceivedMessage* ReceiveBatch::begin() const {
  return storage_->received.data();
}
const ReceivedMessage* ReceiveBatch::end() const {
  return begin() + storage_->size;
}

int UdpSocket::receive(ReceiveBatch& batch) noexcept {
  auto& s = *batch.storage_;
  s.size = 0;
  for (std::size_t i = 0; i < s.capacity; ++i) {
    auto& header = s.messages[i].msg_hdr;
    header.msg_namelen = sizeof s.sources[i];
    header.msg_controllen = sizeof s.control[i].bytes;
  }
  int n;
  do n = ::recvmmsg(fd_, s.messages.data(), static_cast<unsigned>(s.capacity), MSG_DONTWAIT, nullptr);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? 0 : -errno;
  s.size = static_cast<std::size_t>(n);
  for (std::size_t i = 0; i < s.size; ++i) {
    auto& out = s.received[i];
    out.size = s.messages[i].msg_len;
    read_source(s.sources[i], out.source);
    read_control(s.messages[i].msg_hdr, out);
  }
  return n;
}

}  // namespace greywire::engine
