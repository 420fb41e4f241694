#include "routing/zapi/codec.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/unit/routing/zapi/wire.h"

namespace greywire::routing::zapi {
namespace {

const Dialect& dialect_of(std::string_view release) {
  for (const auto& d : dialects()) {
    if (d.first_release == release) return d;
  }
  throw std::runtime_error("no such release in the table");
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What both the description of a capture and our decoder say about a route, as one text.
std::string summary(const std::string& prefix, const std::vector<std::string>& next_hops,
                    const std::string& rest) {
  std::string text = prefix + " [";
  for (const auto& hop : next_hops) text += hop + ";";
  return text + "] " + rest;
}

// The value behind "'name': ", or "-".
std::string field(const std::string& text, const std::string& name) {
  const auto key = "'" + name + "': ";
  const auto found = text.find(key);
  if (found == std::string::npos) return "-";
  auto start = found + key.size();
  if (text[start] == '\'') ++start;
  return text.substr(start, text.find_first_of(",'}", start) - start);
}

// Cuts the list of next hops out of a line.
std::vector<std::string> take_next_hops(std::string& line) {
  std::vector<std::string> hops;
  const auto start = line.find("'nexthops': [");
  if (start == std::string::npos) return hops;
  const auto end = line.find(']', start);
  const auto list = line.substr(start + 13, end - start - 13);
  line.erase(start, end - start);
  for (auto open = list.find('{'); open != std::string::npos; open = list.find('{', open + 1)) {
    hops.push_back(list.substr(open, list.find('}', open) - open + 1));
  }
  return hops;
}

std::string summary_of_line(const std::string& line) {
  std::vector<std::string> hops;
  std::string rest = line;
  for (const auto& hop : take_next_hops(rest)) {
    const auto gate = field(hop, "gate");
    const auto weight = field(hop, "weight");
    hops.push_back(field(hop, "vrf") + " " + (gate == "-" ? gate : IpAddress::parse(gate)->to_string()) +
                   " " + (field(hop, "ifindex") == "-" ? "0" : field(hop, "ifindex")) + " " +
                   (weight == "-" ? "1" : weight) + (field(hop, "bh") == "-" ? "" : " blackhole"));
  }
  return summary(Prefix::parse(field(rest, "prefix"))->to_string(), hops,
                 field(rest, "instance") + " " + field(rest, "message") + " " + field(rest, "distance") +
                     " " + field(rest, "metric") + " " + field(rest, "tag") + " " + field(rest, "mtu") + " " +
                     field(rest, "table"));
}

std::string summary_of_route(const WireRoute& route) {
  std::vector<std::string> hops;
  for (const auto& hop : route.next_hops) {
    const bool is_gateway = hop.kind == NextHop::Kind::kGateway;
    hops.push_back(std::to_string(hop.vrf) + " " + (is_gateway ? hop.gateway.to_string() : "-") + " " +
                   std::to_string(hop.ifindex) + " " + std::to_string(hop.weight) +
                   (hop.kind == NextHop::Kind::kBlackhole ? " blackhole" : ""));
  }
  const auto text = [](const auto& value) { return value ? std::to_string(*value) : std::string("-"); };
  return summary(route.prefix.to_string(), hops,
                 std::to_string(route.instance) + " " + std::to_string(route.message) + " " +
                     text(route.distance) + " " + text(route.metric) + " " + text(route.tag) + " " +
                     text(route.mtu) + " " + text(route.table));
}

struct CaptureCounts {
  std::size_t messages = 0, routes = 0, errors = 0, closes = 0;
};

void check_message(const Dialect& dialect, const std::string& line, const Frame& frame,
                   CaptureCounts& counts) {
  const auto name = line.substr(0, line.find(' '));
  const auto head =
      "vrf=" + std::to_string(frame.vrf) + " len=" + std::to_string(frame.body.size() + kHeaderBytes) + " {";
  ASSERT_NE(line.find(head), std::string::npos) << line << "\n" << head;
  ++counts.messages;

  EXPECT_EQ(name == "REDISTRIBUTE_ROUTE_ADD", frame.command == dialect.route_add) << line;
  EXPECT_EQ(name == "REDISTRIBUTE_ROUTE_DEL", frame.command == dialect.route_del) << line;
  EXPECT_EQ(name == "ERROR", frame.command == dialect.error) << line;
  EXPECT_EQ(name == "CLIENT_CLOSE_NOTIFY", frame.command == dialect.close_notify) << line;
  EXPECT_EQ(name == "HELLO", frame.command == dialect.hello) << line;
  if (name.find("ROUTE_ADD") != std::string::npos || name.find("ROUTE_DEL") != std::string::npos) {
    ++counts.routes;
    const auto route = decode_route(dialect, frame.body);
    ASSERT_TRUE(route.has_value()) << line << "\n" << route.error().text;
    EXPECT_EQ(summary_of_route(*route), summary_of_line(line));
    EXPECT_EQ(field(line, "type") == "BGP", route->type == dialect.bgp) << line;
  } else if (name == "ERROR") {
    ++counts.errors;
    EXPECT_EQ(std::to_string(decode_error(frame.body).value()), field(line, "error"));
  } else if (name == "CLIENT_CLOSE_NOTIFY") {
    ++counts.closes;
    EXPECT_EQ(field(line, "proto") == "BGP", decode_close_notify(frame.body).value() == dialect.bgp);
  } else if (name == "CAPABILITIES") {
    EXPECT_EQ(frame.command, dialect.hello + 1);
    EXPECT_EQ(frame.body.size(), dialect.capabilities_length);
  } else if (name == "REDISTRIBUTE_ADD") {
    EXPECT_EQ(frame.command, dialect.redistribute_add);
  }
}

TEST(Captures, EveryMessageReadsAsItsDescriptionSays) {
  CaptureCounts counts;
  std::size_t files = 0;
  const std::string folder = std::string(GREYWIRE_TESTS_DIR) + "/captures/zapi";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".bin") continue;
    ++files;
    const auto name = entry.path().filename().string();
    const auto& dialect = dialect_of(name.find("10.3") != std::string::npos ? "10.2" : "8.4");
    auto description = entry.path();
    const auto lines = read_lines(description.replace_extension(".txt").string());
    const auto stream = test::read_capture(name);
    FrameReader reader;
    reader.feed(stream);
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
      SCOPED_TRACE(name + ":" + std::to_string(i + 1));
      const auto frame = reader.next();
      ASSERT_TRUE(frame.has_value() && frame->has_value());
      check_message(dialect, lines[i], **frame, counts);
    }
    EXPECT_FALSE(reader.next().value().has_value()) << name << " has messages left over";
    EXPECT_EQ(reader.buffered(), 0U) << name << " has bytes left over";
  }
  EXPECT_EQ(files, 26U);
  EXPECT_EQ(counts.messages, 394U);
  EXPECT_EQ(counts.routes, 239U);
  EXPECT_EQ(counts.errors, 3U);
  EXPECT_EQ(counts.closes, 16U);
}

TEST(Codec, SendsTheBytesThatARealClientSent) {
  const auto expect_all = [](const Bytes& stream, const std::vector<std::pair<std::size_t, Bytes>>& ours) {
    std::vector<Bytes> messages;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t length = load_be16(&stream[at]);
      messages.emplace_back(stream.begin() + static_cast<std::ptrdiff_t>(at),
                            stream.begin() + static_cast<std::ptrdiff_t>(at + length));
      at += length;
    }
    for (const auto& [index, bytes] : ours) EXPECT_EQ(bytes, messages.at(index)) << "message " << index;
  };
  const auto& old_dialect = dialect_of("8.4");
  expect_all(test::read_capture("01_startup_dump_8.4.4_tx.bin"),
             {{0, encode_hello(18, 23)},
              {3, encode_redistribute_add(old_dialect, Afi::kIpv4, old_dialect.bgp)},
              {4, encode_redistribute_add(old_dialect, Afi::kIpv6, old_dialect.bgp)}});
  expect_all(test::read_capture("02_probe_invalid_cmd_tx.bin"), {{0, encode_probe()}});
  const auto& new_dialect = dialect_of("10.2");
  expect_all(test::read_capture("30_frr10.3_all_tx.bin"),
             {{0, encode_hello(19, 24)},
              {3, encode_redistribute_add(new_dialect, Afi::kIpv4, new_dialect.bgp)},
              {4, encode_redistribute_add(new_dialect, Afi::kIpv6, new_dialect.bgp)},
              {7, encode_probe()}});
}

TEST(Dialects, RowsThatCannotBeToldByTheHandshakeAreNeighboursAndShareTheirNumbers) {
  std::set<std::tuple<std::uint16_t, std::uint16_t, std::uint16_t>> closed;
  const auto rows = dialects();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& d = rows[i];
    const auto key = std::tuple(d.error, d.hello, d.capabilities_length);
    EXPECT_FALSE(closed.contains(key)) << d.first_release;
    const bool last = i + 1 == rows.size() || key != std::tuple(rows[i + 1].error, rows[i + 1].hello,
                                                                rows[i + 1].capabilities_length);
    if (last) {
      closed.insert(key);
      continue;
    }
    const auto& e = rows[i + 1];
    EXPECT_EQ(std::tie(d.redistribute_add, d.route_add, d.route_del, d.close_notify, d.bgp),
              std::tie(e.redistribute_add, e.route_add, e.route_del, e.close_notify, e.bgp));
  }
  EXPECT_TRUE(find_dialects(118, 18, 12).empty());
  EXPECT_TRUE(find_dialects(119, 18, 10).empty());
}

TEST(RouteDecoder, TellsWeightsOfFourAndEightBytesApartByExactConsumption) {
  const auto rows = find_dialects(118, 19, 11);
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& truth : rows) {
    RouteDecoder decoder(rows);
    EXPECT_EQ(decoder.release(), "FRR 10.0 to 10.1");
    ASSERT_TRUE(decoder.decode(test::route_body(truth, "10.3.0.0/24", {})).has_value());
    const auto body = test::route_body(truth, "10.2.0.0/16", {{"10.255.0.2"}, {"fe80::1"}});
    const auto route = decoder.decode(body);
    ASSERT_TRUE(route.has_value()) << truth.first_release;
    ASSERT_EQ(route->next_hops.size(), 2U);
    EXPECT_EQ(route->next_hops[1].gateway.to_string(), "fe80::1");
    EXPECT_EQ(route->next_hops[0].weight, 1U);
    EXPECT_EQ(decoder.release(), truth.weight_bytes == 8 ? "FRR 10.1" : "FRR 10.0 to 10.1");
    EXPECT_TRUE(decoder.decode(body).has_value());
  }
}

TEST(RouteDecoder, AnUnexpectedByteIsAnErrorInEveryDialect) {
  for (const auto& dialect : dialects()) {
    const auto body = test::route_body(dialect, "2001:db8::/33", {{"2001:db8::1"}, {"fe80::1", 3}});
    ASSERT_TRUE(decode_route(dialect, body).has_value()) << dialect.first_release;
    for (std::size_t length = 0; length < body.size(); ++length) {
      EXPECT_TRUE(decode_route(dialect, std::span(body).first(length)).has_error())
          << dialect.first_release << " cut to " << length;
    }
    auto longer = body;
    longer.push_back(0);
    EXPECT_TRUE(decode_route(dialect, longer).has_error()) << dialect.first_release;
  }
}

// A next hop with every optional part, written out from the layout of each group of releases.
TEST(RouteDecoder, ReadsOverWhatItDoesNotUse) {
  struct Case {
    const char* release;
    std::uint32_t route_flags;
    std::uint8_t hop_flags;
    std::uint32_t extra_message;
    std::size_t after_weight;  // bytes of router MAC, colour, backups (n = 2), SEG6LOCAL and SEG6 (n = 1)
    std::size_t labels;        // bytes before the two labels, with the count
  };
  const Case cases[] = {
      {"7.5", 0x20, 0x0e, 0x100, 6 + 4 + 3, 1},           {"8.0", 0x20, 0x0e, 0x200, 6 + 4 + 3, 1},
      {"8.1", 0x20, 0x3e, 0x200, 6 + 4 + 3 + 28 + 16, 1}, {"8.4", 0x20, 0x7e, 0x200, 6 + 4 + 3 + 28 + 16, 1},
      {"8.5", 0, 0x7e, 0x200, 6 + 4 + 3 + 32 + 16, 1},    {"9.0", 0, 0x7e, 0x200, 6 + 4 + 3 + 32 + 16, 2},
      {"9.1", 0, 0x7e, 0x200, 6 + 4 + 3 + 40 + 17, 2},    {"10.1", 0, 0x7e, 0x200, 6 + 4 + 3 + 40 + 17, 2},
      {"10.4", 0, 0x7e, 0x200, 6 + 4 + 3 + 40 + 21, 2},   {"10.6", 0, 0x7e, 0x200, 6 + 4 + 3 + 44 + 21, 2},
      {"10.7+", 0, 0x7e, 0x200, 6 + 4 + 3 + 44 + 37, 2},
  };
  for (const auto& c : cases) {
    const auto& dialect = dialect_of(c.release);
    Bytes body{dialect.bgp, 0, 0};
    test::append(body, test::big_endian(c.route_flags, 4));
    test::append(body, test::big_endian(0x3 | c.extra_message, 4));
    test::append(body, {1, 2, 24, 10, 2, 3, 0, 1});  // unicast, 10.2.3.0/24, one next hop
    test::append(body, {0, 0, 0, 0, 3, c.hop_flags, 10, 255, 0, 2, 0, 0, 0, 5});
    test::append(body, {2});
    test::append(body, Bytes(c.labels - 1 + 8));
    test::append(body, test::big_endian(7, dialect.weight_bytes));
    Bytes rest(c.after_weight);
    rest[10] = 2;  // count of backups, behind MAC and colour
    if ((c.hop_flags & 0x10) != 0 && dialect.seg6 != Seg6::kOne) {
      rest[6 + 4 + 3 + 4 + dialect.seg6local_bytes] = 1;  // count of segments
    }
    test::append(body, rest);
    test::append(body, {20});
    const auto route = decode_route(dialect, body);
    ASSERT_TRUE(route.has_value()) << c.release << ": " << route.error().text;
    EXPECT_EQ(route->next_hops.at(0).weight, 7U) << c.release;
    EXPECT_EQ(route->distance, 20) << c.release;
  }
}

TEST(RouteDecoder, RefusesNonsense) {
  const auto& dialect = dialect_of("8.4");
  const auto good = test::route_body(dialect, "10.2.0.0/16", {{"10.255.0.2"}});
  struct Case {
    const char* what;
    std::size_t at;
    std::uint8_t value;
  };
  const Case cases[] = {{"family 3", 12, 3},
                        {"/33", 13, 33},
                        {"count", 17, 200},
                        {"next hop type 0", 22, 0},
                        {"next hop type 7", 22, 7}};
  for (const auto& c : cases) {
    auto bad = good;
    bad[c.at] = c.value;
    EXPECT_TRUE(decode_route(dialect, bad).has_error()) << c.what;
  }
  EXPECT_TRUE(decode_error(Bytes{2, 0, 0}).has_error());
  EXPECT_TRUE(decode_close_notify(Bytes(8)).has_error());
}

}  // namespace
}  // namespace greywire::routing::zapi
