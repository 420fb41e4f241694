#include "overlay/control/http_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace greywire::control {
namespace {

std::string_view phrase(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the first line off, without its end. A lone LF ends a line too (RFC 9112 §2.2).
std::string_view take_line(std::string_view& rest) {
  const auto newline = rest.find('\n');
  auto line = rest.substr(0, newline);
  rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string message(const HttpReply& reply, bool with_body, bool last) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n", reply.status,
                                phrase(reply.status), reply.content_type, reply.body.size(),
                                reply.status == 405 ? "Allow: GET, HEAD\r\n" : "", last ? "Connection: close\r\n" : "");
  if (with_body) out += reply.body;
  return out;
}

}  // namespace

std::size_t HttpSession::consume(std::string_view bytes, std::string& reply) {
  std::size_t used = 0;
  while (used < bytes.size() && !finished_) {
    const std::size_t newline = bytes.find('\n', used);
    const bool complete = newline != std::string_view::npos;
    const auto part = bytes.substr(used, complete ? newline + 1 - used : std::string_view::npos);
    used += part.size();
    head_.append(part);
    if (head_.size() > kMaxHttpHead) {
      reply += refuse(431, fmt::format("a request takes at most {} bytes", kMaxHttpHead));
      break;
    }
    if (!complete) break;
    if (head_ == "\n" || head_ == "\r\n") {  // before a request: RFC 9112 §2.2
      head_.clear();
      continue;
    }
    if (!head_.ends_with("\n\r\n") && !head_.ends_with("\n\n")) continue;
    reply += answer(std::exchange(head_, {}));
    break;
  }
  return finished_ ? bytes.size() : used;
}

std::string HttpSession::answer(std::string_view head) {
  const auto request = take_line(head);
  const auto first = request.find(' ');
  const auto last = request.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "no HTTP request");
  const auto method = request.substr(0, first);
  auto target = request.substr(first + 1, last - first - 1);
  const auto version = request.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return refuse(505, "HTTP/1.1 only");
  bool close = version == "HTTP/1.0";
  while (!head.empty()) {
    const auto line = take_line(head);
    const auto colon = line.find(':');
    if (line.empty()) break;
    if (colon == std::string_view::npos || colon == 0) return refuse(400, "a header field without a name");
    const auto name = line.substr(0, colon);
    const auto value = trimmed(line.substr(colon + 1));
    if (same(name, "connection") && same(value, "close")) close = true;
    const bool body = same(name, "transfer-encoding") || (same(name, "content-length") && value != "0");
    if (body) return refuse(400, "no body is taken here");
  }
  if (method != "GET" && method != "HEAD") return refuse(405, "GET and HEAD only");
  target = target.substr(0, target.find('?'));
  finished_ = close;
  return message(pages_(target), method == "GET", close);
}

std::string HttpSession::refuse(unsigned status, std::string_view why) {
  finished_ = true;
  head_.clear();
  return message({status, fmt::format("{}\n", why)}, true, true);
}

}  // namespace greywire::control
