#include "overlay/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace greywire::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::int64_t kLongestMilliseconds = 366LL * 24 * 3'600'000;

template <class T>
std::optional<T> parse_number(std::string_view digits) {
  T value{};
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || digits[0] == '-' || ec != std::errc{} || end != digits.data() + digits.size()) return {};
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool is_word(std::string_view text) { return std::all_of(text.begin(), text.end(), is_word_character); }

// RFC 1123 §2.1 as resolvers see it: labels of 1 to 63, 253 in all, a last dot allowed; '_' is met in the wild.
bool is_dns_name(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > 253 || !is_word(name)) return false;
  std::size_t label = 0;
  for (const char c : name) {
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  if (name.front() == '.' || name.find("..") != std::string_view::npos) return false;
  // All digits and dots would be an IPv4 address with a slip in it.
  return name.find_first_not_of("0123456789.") != std::string_view::npos;
}

}  // namespace

Result<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return address.error();
  if (slash == std::string_view::npos) {
    return Error{fmt::format("'{}' has no prefix length: write for example {}/{}", text, text, address->is_v4() ? 30 : 64)};
  }
  const auto length = parse_number<unsigned>(text.substr(slash + 1));
  if (!length || *length == 0 || *length > address->bits()) {
    return Error{fmt::format("'{}' has no valid prefix length (1 to {})", text, address->bits())};
  }
  if (address->is_unspecified() || address->is_loopback() || address->is_multicast() || address->is_v4_mapped()) {
    return Error{fmt::format("'{}' cannot be the address of an interface", text)};
  }
  return InterfaceAddress{*address, *length};
}

std::string InterfaceAddress::to_string() const { return fmt::format("{}/{}", address.to_string(), length); }

Result<PeerEndpoint> PeerEndpoint::parse(std::string_view text) {
  if (const auto literal = Endpoint::parse(text)) {
    if (literal->port == 0) return Error{fmt::format("'{}' has port 0 (expected 1 to 65535)", text)};
    if (literal->address.is_unspecified() || literal->address.is_multicast()) {
      return Error{fmt::format("'{}' is no address of a host", text)};
    }
    return PeerEndpoint{literal->address.to_string(), literal->port, *literal};
  }
  if (IpAddress::parse(text).has_value() && text.find(':') != std::string_view::npos) {
    return Error{fmt::format("'{}' has no port: write [{}]:51820", text, text)};
  }
  const auto colon = text.rfind(':');
  const auto host = text.substr(0, colon);
  if (colon == std::string_view::npos) return Error{fmt::format("'{}' has no port: write {}:51820", text, text)};
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) {
    return Error{fmt::format("'{}' is no port (expected 1 to 65535)", text.substr(colon + 1))};
  }
  if (!is_dns_name(host)) {
    return Error{fmt::format("'{}' is not an endpoint (expected NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT)", text)};
  }
  return PeerEndpoint{std::string(host), *port, std::nullopt};
}

std::string PeerEndpoint::to_string() const { return literal ? literal->to_string() : fmt::format("{}:{}", host, port); }

Result<milliseconds> parse_duration(std::string_view text) {
  const auto unit_start = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number<std::int64_t>(text.substr(0, unit_start));
  const auto name = trimmed(text.substr(unit_start));
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == name; });
  if (!number || unit == kUnits.end() || *number > kLongestMilliseconds / unit->milliseconds) {
    return Error{fmt::format("'{}' is not a time (expected a number and ms, s, m or h, such as \"25s\")", text)};
  }
  return milliseconds(*number * unit->milliseconds);
}

std::string duration_to_string(milliseconds duration) {
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (duration.count() % unit->milliseconds == 0 && duration.count() >= unit->milliseconds) {
      return fmt::format("{}{}", duration.count() / unit->milliseconds, unit->name);
    }
  }
  return fmt::format("{}ms", duration.count());
}

Result<Liveness> Liveness::parse(std::string_view text) {
  const auto by = text.find('x');
  if (by == std::string_view::npos) {
    return Error{fmt::format("'{}' is not a liveness (expected INTERVAL x COUNT, such as \"1s x 3\", or \"off\")", text)};
  }
  const auto interval = parse_duration(trimmed(text.substr(0, by)));
  if (!interval) return interval.error();
  const auto count = parse_number<unsigned>(trimmed(text.substr(by + 1)));
  if (*interval < milliseconds(100) || *interval > seconds(60)) {
    return Error{fmt::format("the interval in '{}' must be from 100ms to 60s", text)};
  }
  if (!count || *count < 1 || *count > 20) return Error{fmt::format("the count in '{}' must be from 1 to 20", text)};
  return Liveness{*interval, *count};
}

std::string Liveness::to_string() const { return fmt::format("{} x {}", duration_to_string(interval), count); }

Result<VlanRange> VlanRange::parse(std::string_view text) {
  constexpr std::uint16_t kGreatest = 4094;
  const auto dash = std::min(text.find('-'), text.size());
  const auto first = parse_number<std::uint16_t>(trimmed(text.substr(0, dash)));
  const auto last = dash == text.size() ? first : parse_number<std::uint16_t>(trimmed(text.substr(dash + 1)));
  if (!first || !last || *first < 1 || *last > kGreatest || *first > *last) {
    return Error{fmt::format("'{}' is no VLAN (expected 1 to {}, or a range such as \"30-39\")", text, kGreatest)};
  }
  return VlanRange{*first, *last};
}

Result<SegmentMember> SegmentMember::parse(std::string_view text) {
  const auto space = std::min(text.find(' '), text.size());
  const auto name = parse_name(text.substr(0, space));
  if (!name) return name.error();
  const auto rest = trimmed(text.substr(space));
  if (rest.empty()) return SegmentMember{*name, std::nullopt};
  const auto key = rest.starts_with("key ") ? parse_number<std::uint32_t>(trimmed(rest.substr(4))) : std::nullopt;
  if (!key) return Error{fmt::format("'{}' is not a peer of a segment (expected \"fra\" or \"fra key 43\")", text)};
  return SegmentMember{*name, key};
}

Result<FixedMacEntry> FixedMacEntry::parse(std::string_view text) {
  const auto space = std::min(text.find(' '), text.size());
  const auto mac = MacAddress::parse(text.substr(0, space));
  const auto where = trimmed(text.substr(space));
  if (!mac || where.empty()) {
    return Error{fmt::format("'{}' is not a fixed MAC (expected \"02:00:5e:10:00:01 fra\" or \"... local\")", text)};
  }
  if (mac->is_group() || mac->is_zero()) return Error{fmt::format("{} is no address of a single station", mac->to_string())};
  if (where == "local") return FixedMacEntry{*mac, ""};
  const auto name = parse_name(where);
  if (!name) return name.error();
  return FixedMacEntry{*mac, *name};
}

Result<std::optional<Liveness>> parse_liveness(std::string_view text) {
  if (text == "off") return std::optional<Liveness>();
  const auto liveness = Liveness::parse(text);
  if (!liveness) return liveness.error();
  return std::optional<Liveness>(*liveness);
}

Result<seconds> parse_keepalive(std::string_view text) {
  if (text == "off") return seconds(0);
  const auto duration = parse_duration(text);
  if (!duration) return duration.error();
  if (*duration < seconds(1) || *duration > seconds(65535) || duration->count() % 1000 != 0) {
    return Error{fmt::format("'{}' is out of range (expected whole seconds from 1s to 65535s, or \"off\")", text)};
  }
  return std::chrono::duration_cast<seconds>(*duration);
}

Result<std::string> parse_interface_name(std::string_view text) {
  constexpr std::size_t kLongest = 15;
  if (text.empty() || !is_word(text)) {
    return Error{fmt::format("'{}' is not an interface name (letters, digits, '-', '_' and '.')", text)};
  }
  if (text.size() > kLongest) {
    return Error{fmt::format("'{}' has {} characters: an interface name has at most 15", text, text.size())};
  }
  constexpr std::array<std::string_view, 5> kTaken{"lo", "all", "default", ".", ".."};
  if (std::find(kTaken.begin(), kTaken.end(), text) != kTaken.end()) {
    return Error{fmt::format("'{}' cannot be the name of an interface of ours", text)};
  }
  return Result<std::string>(boost::system::in_place_value, text);
}

Result<std::string> parse_name(std::string_view text) {
  if (text.empty() || text.size() > 32 || !is_word(text) || text.front() == '.' || text.front() == '-') {
    return Error{fmt::format("'{}' is not a name (1 to 32 letters, digits, '-', '_' and '.')", text)};
  }
  return Result<std::string>(boost::system::in_place_value, text);
}

Result<IpAddress> parse_host_address(std::string_view text) {
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    if (IpAddress::parse(text.substr(0, slash)).has_value()) {
      return Error{fmt::format("'{}' must stand without a length: write {}", text, text.substr(0, slash))};
    }
  }
  const auto address = IpAddress::parse(text);
  if (!address) return address;
  if (address->is_unspecified() || address->is_loopback() || address->is_multicast() || address->is_link_local() ||
      address->is_v4_mapped()) {
    return Error{fmt::format("'{}' cannot be the address of a site (it is unspecified, loopback, multicast, link-local "
                             "or IPv4-mapped)", text)};
  }
  return address;
}

Result<std::uint8_t> parse_route_protocol(std::string_view text) {
  struct Known {
    std::string_view name;
    std::uint8_t number;
  };
  // linux/rtnetlink.h, and /etc/iproute2/rt_protos
  constexpr std::array<Known, 14> kKnown{{{"boot", 3}, {"static", 4}, {"gated", 8}, {"mrt", 10}, {"zebra", 11},
                                          {"bird", 12}, {"xorp", 14}, {"babel", 42}, {"openr", 99}, {"bgp", 186},
                                          {"isis", 187}, {"ospf", 188}, {"rip", 189}, {"eigrp", 192}}};
  constexpr unsigned kKernel = 2;
  constexpr unsigned kOurs = 200;
  for (const auto& known : kKnown) {
    if (known.name == text) return known.number;
  }
  const auto number = parse_number<unsigned>(text);
  if (!number || *number > 255) {
    std::string names;
    for (const auto& known : kKnown) names += fmt::format("{}, ", known.name);
    return Error{fmt::format("'{}' is no route protocol (expected {}or a number)", text, names)};
  }
  if (*number <= kKernel) return Error{fmt::format("protocol {} is the kernel's own", *number)};
  if (*number == kOurs) return Error{"protocol 200 is Greywire's own"};
  return static_cast<std::uint8_t>(*number);
}

Result<Prefix> parse_network(std::string_view text) {
  const auto prefix = Prefix::parse(text);
  if (!prefix) return prefix;
  const auto address = IpAddress::parse(text.substr(0, text.find('/')));
  if (address && *address != prefix->address()) {
    return Error{fmt::format("'{}' has host bits set: write {}", text, prefix->to_string())};
  }
  return prefix;
}

}  // namespace greywire::config
