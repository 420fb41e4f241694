// Names to addresses with their TTLs, over the host's own resolver settings (resolv.conf, hosts, nsswitch), which are read
// anew for each lookup. Control thread; the work is done on its io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "overlay/daemon/endpoint_choice.h"
#include "router/base/result.h"

namespace greywire::daemon {

class NameLookup {
 public:
  // Called once a lookup, never from within start(). Errors: in words, as "could not contact DNS servers".
  using Answer = std::function<void(const Result<std::vector<ResolvedAddress>>&)>;

  explicit NameLookup(boost::asio::io_context& io);
  ~NameLookup();  // ends all lookups without an answer
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // IPv4 and IPv6 addresses of `host`.
  void start(const std::string& host, Answer answer);

 private:
  class Query;
  boost::asio::io_context& io_;
  std::vector<std::shared_ptr<Query>> queries_;
};

}  // namespace greywire::daemon
