#include "overlay/daemon/name_lookup.h"

#include <ares.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <map>
#include <utility>

namespace greywire::daemon {
namespace {

constexpr int kTryMilliseconds = 2000;
constexpr int kTries = 2;
constexpr std::chrono::milliseconds kTick{250};  // how often time-outs are looked at

std::optional<ResolvedAddress> address_of(const ares_addrinfo_node& node) {
  ResolvedAddress out;
  out.ttl = std::chrono::seconds(std::max(node.ai_ttl, 0));
  if (node.ai_family == AF_INET) {
    sockaddr_in a;
    std::memcpy(&a, node.ai_addr, sizeof a);
    out.address = IpAddress::v4(ntohl(a.sin_addr.s_addr));
    return out;
  }
  if (node.ai_family != AF_INET6) return std::nullopt;
  sockaddr_in6 a;
  std::memcpy(&a, node.ai_addr, sizeof a);
  out.address = IpAddress::v6(std::span<const std::uint8_t, 16>(a.sin6_addr.s6_addr));
  out.scope = a.sin6_scope_id;
  return out;
}

std::vector<ResolvedAddress> addresses_of(const ares_addrinfo& info) {
  std::vector<ResolvedAddress> out;
  for (const auto* node = info.nodes; node != nullptr; node = node->ai_next) {
    auto found = address_of(*node);
    if (!found || found->address.is_unspecified() || found->address.is_multicast()) continue;
    // What is behind an alias holds no longer than the alias.
    for (const auto* alias = info.cnames; alias != nullptr; alias = alias->next) {
      found->ttl = std::min(found->ttl, std::chrono::seconds(std::max(alias->ttl, 0)));
    }
    const bool known = std::any_of(out.begin(), out.end(), [&](const auto& a) { return a.address == found->address; });
    if (!known) out.push_back(*found);
  }
  return out;
}

}  // namespace

// One lookup with a resolver of its own. The resolver calls back from within its own functions and must not be
// destroyed there, so the end is posted.
class NameLookup::Query : public std::enable_shared_from_this<Query> {
 public:
  Query(boost::asio::io_context& io, std::function<void(Query*, Result<std::vector<ResolvedAddress>>)> done)
      : io_(io), tick_(io), done_(std::move(done)) {}
  ~Query() {
    done_ = nullptr;
    if (channel_ != nullptr) ares_destroy(channel_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  void start(const std::string& host) {
    ares_options options{};
    options.timeout = kTryMilliseconds;
    options.tries = kTries;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Query*>(self)->socket_changed(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    const int status = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
      channel_ = nullptr;
      return finish(Error{ares_strerror(status)});
    }
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_flags = ARES_AI_NOSORT;
    ares_getaddrinfo(
        channel_, host.c_str(), nullptr, &hints,
        [](void* self, int result, int, ares_addrinfo* info) {
          static_cast<Query*>(self)->answered(result, info);
        },
        this);
    tick();
  }

 private:
  struct Socket {
    explicit Socket(boost::asio::io_context& io) : descriptor(io) {}
    boost::asio::posix::stream_descriptor descriptor;
    bool read_wanted = false, write_wanted = false, reading = false, writing = false;
  };

  void answered(int status, ares_addrinfo* info) {
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner(info, ares_freeaddrinfo);
    if (!done_) return;
    if (status != ARES_SUCCESS) return finish(Error{ares_strerror(status)});
    auto addresses = addresses_of(*owner);
    if (addresses.empty()) return finish(Error{"it has no address"});
    finish(std::move(addresses));
  }

  void finish(Result<std::vector<ResolvedAddress>> result) {
    boost::asio::post(io_, [self = weak_from_this(), result = std::move(result)] {
      const auto query = self.lock();
      if (query && query->done_) std::exchange(query->done_, nullptr)(query.get(), result);
    });
  }

  // The descriptors belong to the resolver: they are let go before it closes them.
  void socket_changed(ares_socket_t fd, bool readable, bool writable) {
    auto& socket = sockets_[fd];
    if (!readable && !writable) {
      if (socket) socket->descriptor.release();
      sockets_.erase(fd);
      return;
    }
    if (!socket) {
      socket = std::make_shared<Socket>(io_);
      socket->descriptor.assign(fd);
    }
    socket->read_wanted = readable;
    socket->write_wanted = writable;
    wait(fd, socket);
  }

  void wait(ares_socket_t fd, const std::shared_ptr<Socket>& socket) {
    using Descriptor = boost::asio::posix::descriptor_base;
    const auto arm = [&](bool wanted, bool Socket::* armed, Descriptor::wait_type what, bool read) {
      if (!wanted || (*socket).*armed) return;
      (*socket).*armed = true;
      socket->descriptor.async_wait(what, [self = weak_from_this(), weak = std::weak_ptr(socket), armed, fd,
                                           read](const boost::system::error_code& error) {
        const auto query = self.lock();
        const auto alive = weak.lock();
        if (!query || !alive) return;
        (*alive).*armed = false;
        if (error) return;
        ares_process_fd(query->channel_, read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
        const auto still = query->sockets_.find(fd);
        if (still != query->sockets_.end() && still->second == alive) query->wait(fd, alive);
      });
    };
    arm(socket->read_wanted, &Socket::reading, Descriptor::wait_read, true);
    arm(socket->write_wanted, &Socket::writing, Descriptor::wait_write, false);
  }

  void tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      const auto query = self.lock();
      if (error || !query || !query->done_) return;
      ares_process_fd(query->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      query->tick();
    });
  }

  boost::asio::io_context& io_;
  boost::asio::steady_timer tick_;
  std::function<void(Query*, Result<std::vector<ResolvedAddress>>)> done_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, std::shared_ptr<Socket>> sockets_;
};

NameLookup::NameLookup(boost::asio::io_context& io) : io_(io) { ares_library_init(ARES_LIB_INIT_ALL); }

NameLookup::~NameLookup() {
  queries_.clear();
  ares_library_cleanup();
}

void NameLookup::start(const std::string& host, Answer answer) {
  auto query = std::make_shared<Query>(
      io_, [this, answer = std::move(answer)](Query* ended, const Result<std::vector<ResolvedAddress>>& result) {
        std::erase_if(queries_, [&](const auto& q) { return q.get() == ended; });
        answer(result);
      });
  queries_.push_back(query);
  query->start(host);
}

}  // namespace greywire::daemon
