#include "overlay/daemon/endpoint_resolver.h"

namespace greywire::daemon {
namespace {

constexpr std::chrono::seconds kRetry{10};

Endpoint endpoint_of(const boost::asio::ip::udp::endpoint& from) {
  Endpoint endpoint;
  endpoint.port = from.port();
  if (from.address().is_v4()) {
    endpoint.address = IpAddress::v4(from.address().to_v4().to_uint());
  } else {
    endpoint.address = IpAddress::v6(from.address().to_v6().to_bytes());
    endpoint.scope = static_cast<std::uint32_t>(from.address().to_v6().scope_id());
  }
  return endpoint;
}

}  // namespace

EndpointResolver::EndpointResolver(boost::asio::io_context& io, config::PeerEndpoint endpoint,
                                   std::function<void(const Endpoint&)> found,
                                   std::function<void(const std::string&)> failed)
    : resolver_(io),
      timer_(io),
      endpoint_(std::move(endpoint)),
      found_(std::move(found)),
      failed_(std::move(failed)) {}

void EndpointResolver::start() {
  if (endpoint_.literal) return found_(*endpoint_.literal);
  resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port),
                          [this](const boost::system::error_code& error, const auto& results) {
                            if (error == boost::asio::error::operation_aborted) return;
                            if (error || results.empty()) {
                              if (!told_) failed_(error.message());
                              told_ = true;
                              return retry();
                            }
                            told_ = false;
                            found_(endpoint_of(results.begin()->endpoint()));
                          });
}

void EndpointResolver::retry() {
  timer_.expires_after(kRetry);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) start();
  });
}

}  // namespace greywire::daemon
