#include "overlay/control/http_session.h"

#include <gtest/gtest.h>

#include <string>

namespace greywire::control {
namespace {

HttpReply pages(std::string_view path) {
  if (path == "/metrics") return {200, "x 1\n", "text/plain; version=0.0.4"};
  if (path == "/readyz") return {503, "not yet\n"};
  return {404, "no such page\n"};
}

// Everything that the session answers, fed `step` bytes at a time.
std::string answers(std::string_view input, std::size_t step, bool& finished) {
  HttpSession session(pages);
  std::string out;
  for (std::size_t at = 0; at < input.size(); at += step) {
    auto part = input.substr(at, step);
    while (!part.empty() && !session.finished()) {
      const auto used = session.consume(part, out);
      EXPECT_GT(used, 0U);
      part.remove_prefix(used);
    }
  }
  finished = session.finished();
  return out;
}

constexpr const char* kPage =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 4\r\n\r\nx 1\n";

TEST(HttpSession, AnswersHoweverTheBytesCome) {
  const std::string two = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n\r\nHEAD /metrics?x=1 HTTP/1.1\nhost: a\n\n";
  for (std::size_t step = 1; step <= two.size(); ++step) {
    bool finished = false;
    const auto out = answers(two, step, finished);
    EXPECT_EQ(out, std::string(kPage) + std::string(kPage).substr(0, std::string(kPage).size() - 4)) << step;
    EXPECT_FALSE(finished);
  }
}

TEST(HttpSession, WhatIsRefusedAndWhatEndsTheConnection) {
  const struct {
    std::string request;
    const char* status;
    bool finished;
  } cases[] = {
      {"GET /nothing HTTP/1.1\r\n\r\n", "404 Not Found", false},
      {"GET /readyz HTTP/1.1\r\n\r\n", "503 Service Unavailable", false},
      {"GET /metrics HTTP/1.0\r\n\r\n", "200 OK", true},
      {"GET /metrics HTTP/1.1\r\ncONNECTION:  Close \r\n\r\n", "200 OK", true},
      {"POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed", true},
      {"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "400 Bad Request", true},
      {"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "200 OK", false},
      {"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request", true},
      {"GET /metrics HTTP/1.1\r\nnonsense\r\n\r\n", "400 Bad Request", true},
      {"GET /metrics HTTP/2.0\r\n\r\n", "505 HTTP Version", true},
      {"GET /metrics\r\n\r\n", "400 Bad Request", true},
      {"\x16\x03\x01\n\n", "400 Bad Request", true},
      {"GET /metrics HTTP/1.1\r\nX: " + std::string(kMaxHttpHead, 'a'), "431 Request Header", true},
      {std::string(2 * kMaxHttpHead, 'a'), "431 Request Header", true},
  };
  for (const auto& c : cases) {
    bool finished = false;
    const auto out = answers(c.request, 7, finished);
    EXPECT_TRUE(out.starts_with(std::string("HTTP/1.1 ") + c.status)) << c.request.substr(0, 60) << "\n" << out;
    EXPECT_EQ(finished, c.finished) << c.request.substr(0, 60);
    EXPECT_EQ(out.find("Connection: close") != std::string::npos, c.finished) << out;
  }
}

TEST(HttpSession, IsIdleBetweenRequestsOnly) {
  HttpSession session(pages);
  std::string out;
  EXPECT_TRUE(session.idle());
  session.consume("GET /met", out);
  EXPECT_FALSE(session.idle());
  session.consume("rics HTTP/1.1\r\n\r\n", out);
  EXPECT_EQ(out, kPage);
  EXPECT_TRUE(session.idle());
  session.consume("GET /met", out);
  session.end_of_input(out);
  EXPECT_TRUE(session.finished());
  EXPECT_EQ(out, kPage);
}

}  // namespace
}  // namespace greywire::control
