#include "overlay/control/control_session.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

namespace greywire::control {
namespace {

ControlCommands commands() {
  ControlCommands made;
  made.add("status", [](const boost::json::object&) -> Result<boost::json::value> {
    return boost::json::value{{"site", "ams"}};
  });
  made.add("explain", [](const boost::json::object& request) -> Result<boost::json::value> {
    if (!request.contains("address")) return Error{"explain needs an address"};
    return request.at("address");
  });
  return made;
}

TEST(ControlCommands, OneRequestOneReply) {
  const struct {
    std::string request;
    std::string reply;
  } cases[] = {
      {R"({"command":"status"})", R"({"ok":true,"result":{"site":"ams"}})"},
      {R"({"command":"status","more":[1,2]})", R"({"ok":true,"result":{"site":"ams"}})"},
      {R"(  {"command" : "status"}  )", R"({"ok":true,"result":{"site":"ams"}})"},
      {R"({"command":"explain","address":"10.0.0.1"})", R"({"ok":true,"result":"10.0.0.1"})"},
      {R"({"command":"explain"})", R"({"ok":false,"error":"explain needs an address"})"},
      {R"({"command":"stauts"})",
       R"x({"ok":false,"error":"unknown command 'stauts' (known: explain, status)"})x"},
      {R"({"command":7})", R"({"ok":false,"error":"expected a JSON object with a string \"command\""})"},
      {R"({})", R"({"ok":false,"error":"expected a JSON object with a string \"command\""})"},
      {R"([1])", R"({"ok":false,"error":"expected a JSON object with a string \"command\""})"},
      {"null", R"({"ok":false,"error":"expected a JSON object with a string \"command\""})"},
  };
  const auto made = commands();
  for (const auto& c : cases) EXPECT_EQ(made.answer(c.request), c.reply + "\n") << c.request;
}

TEST(ControlCommands, WhatIsNoJsonIsAnError) {
  const auto made = commands();
  for (const std::string& request :
       {std::string("{"), std::string("status"), std::string("{\"command\":\"status\"} trailing"),
        std::string("\xff\xfe"), std::string("{\"command\":\"\xc3\"}"), std::string(100, '['),
        std::string(1, '\0')}) {
    EXPECT_TRUE(made.answer(request).starts_with("{\"ok\":false,\"error\":\"")) << request;
  }
}

TEST(ControlSession, CutsAtEveryByteAreTheSame) {
  const auto made = commands();
  const std::string input =
      "{\"command\":\"status\"}\n\n\r\n{\"command\":\"explain\",\"address\":\"::1\"}\nx\n";
  for (std::size_t step = 1; step <= input.size(); ++step) {
    ControlSession session(made);
    std::string replies;
    for (std::size_t at = 0; at < input.size(); at += step) {
      std::string_view part = std::string_view(input).substr(at, step);
      while (!part.empty()) {
        std::string reply;
        part.remove_prefix(session.consume(part, reply));
        replies += reply;
      }
    }
    EXPECT_EQ(std::count(replies.begin(), replies.end(), '\n'), 4) << step;
    EXPECT_TRUE(replies.starts_with("{\"ok\":true,\"result\":{\"site\":\"ams\"}}\n")) << step;
    EXPECT_NE(replies.find("{\"ok\":true,\"result\":\"::1\"}\n"), std::string::npos) << step;
    EXPECT_TRUE(session.idle());
    EXPECT_FALSE(session.finished());
  }
}

TEST(ControlSession, ALineTooLongEndsIt) {
  const auto made = commands();
  ControlSession session(made);
  std::string reply;
  const std::string endless(kMaxControlRequest, ' ');
  EXPECT_EQ(session.consume(endless, reply), endless.size());
  EXPECT_EQ(reply, "");
  EXPECT_FALSE(session.idle());
  session.consume(" ", reply);
  EXPECT_EQ(reply, "{\"ok\":false,\"error\":\"a request takes at most 65536 bytes\"}\n");
  EXPECT_TRUE(session.finished());
}

TEST(ControlSession, AnUnfinishedLineIsNotAnswered) {
  const auto made = commands();
  ControlSession session(made);
  std::string reply;
  session.consume("{\"command\":\"status\"}", reply);
  session.end_of_input(reply);
  EXPECT_EQ(reply, "");
  EXPECT_TRUE(session.finished());
}

}  // namespace
}  // namespace greywire::control
