// The little of HTTP/1.1 (RFC 9112) that a monitoring system needs: GET and HEAD of a few pages, without a body, one request
// after the other. Everything else is refused with a status, and ends the connection where its bounds are not known.
// Control thread only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "overlay/control/stream_session.h"

namespace greywire::control {

inline constexpr std::size_t kMaxHttpHead = 8 * 1024;  // bytes of request line and header fields

struct HttpReply {
  unsigned status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

// Answers for a path ("/metrics"), which comes without its query.
using HttpPages = std::function<HttpReply(std::string_view path)>;

class HttpSession final : public StreamSession {
 public:
  explicit HttpSession(HttpPages pages) : pages_(std::move(pages)) {}

  std::size_t consume(std::string_view bytes, std::string& reply) override;
  void end_of_input(std::string&) override { finished_ = true; }  // an unfinished request is not answered
  bool finished() const override { return finished_; }
  bool idle() const override { return head_.empty(); }

 private:
  std::string answer(std::string_view head);
  std::string refuse(unsigned status, std::string_view why);

  HttpPages pages_;
  std::string head_;
  bool finished_ = false;
};

}  // namespace greywire::control
