#include "overlay/import/wg_quick.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "overlay/config/near_miss.h"

namespace greywire::import {
namespace {

using config::Diagnostics;
using config::SourcePosition;

constexpr std::array<std::string_view, 12> kLeftOver{"dns",  "mtu",     "table",    "fwmark", "preup",      "postup",
                                                     "predown", "postdown", "saveconfig", "name", "description", "advancedsecurity"};
constexpr std::size_t kLongestWord = 24;  // a key of WireGuard's is longer

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kLongestWord &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f; }, '?');
  return out;
}

// Scripts may have keys in them: 43 characters of base64 and '='.
std::string without_keys(std::string text) {
  const auto is_base64 = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/'; };
  for (auto equals = text.find('='); equals != std::string::npos; equals = text.find('=', equals + 1)) {
    auto start = equals;
    while (start > 0 && is_base64(text[start - 1])) --start;
    if (equals - start < 43) continue;
    text.replace(start, equals + 1 - start, "(a key)");
    equals = start;
  }
  return text;
}

// "# Name = fra", "### Client fra", "# fra": a name, if it can be one of a peer.
std::string name_in(std::string_view comment) {
  comment.remove_prefix(std::min(comment.find_first_not_of("# \t"), comment.size()));
  if (const auto equals = comment.find('='); equals != std::string_view::npos) {
    const auto key = lower(trimmed(comment.substr(0, equals)));
    if (key != "name" && key != "friendly_name") return {};
    comment.remove_prefix(equals + 1);
  }
  comment = trimmed(comment);
  for (const std::string_view lead : {"Client ", "Peer ", "friendly_name "}) {
    if (comment.starts_with(lead)) comment = trimmed(comment.substr(lead.size()));
  }
  auto name = config::parse_name(comment);
  return name && name->size() < 44 ? std::move(*name) : std::string();
}

class Reader {
 public:
  Reader(Diagnostics& diagnostics, QuickConfig& out) : diagnostics_(diagnostics), out_(out) {}

  void line(std::string_view text) {
    ++at_.line;
    const auto hash = text.find('#');
    const auto comment = hash == std::string_view::npos ? std::string_view() : text.substr(hash);
    text = trimmed(text.substr(0, hash));
    if (text.empty()) {
      if (!comment.empty()) remark(comment);
      return;
    }
    if (text.front() == '[') return section(lower(text));
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return error("a line that is neither [Interface], [Peer] nor KEY = VALUE");
    const auto key = trimmed(text.substr(0, equals));
    const auto value = trimmed(text.substr(equals + 1));
    if (section_ == Section::kNone) return error("this stands before [Interface]");
    fresh_ = false;
    const auto known = lower(key);
    if (section_ == Section::kInterface ? interface(known, value) : peer(known, value)) return;
    unknown(key, known, value);
  }

  void finish() {
    end_of_peer();
    at_ = {};
    if (!has_interface_) return error("there is no [Interface]: this is no file of wg-quick's");
    if (!has_key_) error("[Interface] has no PrivateKey");
  }

 private:
  enum class Section : std::uint8_t { kNone, kInterface, kPeer };

  void error(std::string text) { diagnostics_.error(at_, std::move(text)); }

  // A comment right below a heading names that peer, one above it the next.
  void remark(std::string_view comment) {
    auto name = name_in(comment);
    if (name.empty()) return;
    if (section_ == Section::kPeer && fresh_) {
      out_.peers.back().name = std::move(name);
    } else {
      next_name_ = std::move(name);
    }
  }

  void section(const std::string& heading) {
    end_of_peer();
    fresh_ = true;
    if (heading == "[interface]") {
      if (has_interface_) error("a second [Interface]: one file is one interface");
      has_interface_ = true;
      section_ = Section::kInterface;
    } else if (heading == "[peer]") {
      section_ = Section::kPeer;
      auto& peer = out_.peers.emplace_back();
      peer.at = at_;
      peer.name = std::exchange(next_name_, {});
      has_public_key_ = false;
    } else {
      error("an unknown section; known: [Interface], [Peer]");
    }
  }

  void end_of_peer() {
    if (section_ == Section::kPeer && !has_public_key_) diagnostics_.error(out_.peers.back().at, "[Peer] has no PublicKey");
  }

  bool interface(const std::string& key, std::string_view value) {
    if (key == "privatekey") {
      has_key_ = true;
      if (auto secret = PrivateKey::from_base64(value)) {
        out_.private_key = *secret;
      } else {
        error("PrivateKey is no key: 44 characters of base64 are expected");
      }
    } else if (key == "address") {
      each(value, [&](std::string_view one) { address(one); });
    } else if (key == "listenport") {
      if (const auto port = number(value, 65535)) out_.listen_port = static_cast<std::uint16_t>(*port);
    } else if (key == "table" && lower(value) == "off") {
      out_.table_off = true;
    } else {
      return false;
    }
    return true;
  }

  bool peer(const std::string& key, std::string_view value) {
    auto& peer = out_.peers.back();
    if (key == "publickey") {
      has_public_key_ = true;
      take(PublicKey::from_base64(value), peer.public_key, "PublicKey is no key: 44 characters of base64 are expected");
    } else if (key == "presharedkey") {
      peer.preshared_key.emplace();
      take(PresharedKey::from_base64(value), *peer.preshared_key, "PresharedKey is no key: 44 characters of base64 are expected");
      if (peer.preshared_key->is_zero()) peer.preshared_key.reset();  // as good as none, wg(8)
    } else if (key == "endpoint") {
      auto endpoint = config::PeerEndpoint::parse(value);
      if (!endpoint) {
        error("Endpoint: " + endpoint.error().text);
      } else {
        peer.endpoint = std::move(*endpoint);
      }
    } else if (key == "allowedips") {
      each(value, [&](std::string_view one) {
        if (auto prefix = Prefix::parse(one)) {  // host bits are dropped, as `wg` does
          peer.allowed_ips.push_back(*prefix);
        } else {
          error("AllowedIPs: " + prefix.error().text);
        }
      });
    } else if (key == "persistentkeepalive") {
      if (lower(value) == "off") {
        peer.keepalive = {};
      } else if (const auto seconds = number(value, 65535)) {
        peer.keepalive = std::chrono::seconds(*seconds);
      }
    } else {
      return false;
    }
    return true;
  }

  void unknown(std::string_view key, const std::string& known, std::string_view value) {
    if (std::find(kLeftOver.begin(), kLeftOver.end(), known) != kLeftOver.end()) {
      out_.left_over.push_back({at_, std::string(key), without_keys(printable(value))});
      return;
    }
    if (!is_word(key)) return error("a line that is no KEY = VALUE");
    constexpr std::array<std::string_view, 18> kKnown{"PrivateKey", "Address", "ListenPort", "Table", "DNS", "MTU", "FwMark", "PreUp", "PostUp",
                                                      "PreDown", "PostDown", "SaveConfig", "PublicKey", "PresharedKey", "Endpoint",
                                                      "AllowedIPs", "PersistentKeepalive", "Name"};
    error(fmt::format("unknown key '{}' in [{}]{}", key, section_ == Section::kPeer ? "Peer" : "Interface", config::did_you_mean(key, kKnown)));
  }

  void address(std::string_view text) {
    const std::string whole = text.find('/') != std::string_view::npos ? std::string(text) : fmt::format("{}/{}", text, text.find(':') == std::string_view::npos ? 32 : 128);
    if (auto parsed = config::InterfaceAddress::parse(whole)) {
      out_.addresses.push_back(*parsed);
    } else {
      error("Address: " + parsed.error().text);
    }
  }

  template <class T>
  void take(const Result<T>& from, T& to, const char* complaint) {
    if (from) {
      to = *from;
    } else {
      error(complaint);
    }
  }

  template <class Use>
  void each(std::string_view list, const Use& use) {
    while (!list.empty()) {
      const auto comma = std::min(list.find(','), list.size());
      if (const auto one = trimmed(list.substr(0, comma)); !one.empty()) use(one);
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }

  std::optional<unsigned> number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed == std::errc{} && end == text.data() + text.size() && value <= most) return value;
    error(fmt::format("a number from 0 to {} is expected", most));
    return std::nullopt;
  }

  Diagnostics& diagnostics_;
  QuickConfig& out_;
  SourcePosition at_{0, 1};
  Section section_ = Section::kNone;
  bool has_interface_ = false, has_key_ = false, has_public_key_ = false;
  bool fresh_ = false;  // right below a heading
  std::string next_name_;
};

}  // namespace

std::optional<QuickConfig> parse_wg_quick(std::string_view text, Diagnostics& diagnostics) {
  QuickConfig out;
  out.file = diagnostics.file_name();
  const auto slash = out.file.rfind('/');
  out.interface = slash == std::string::npos ? out.file : out.file.substr(slash + 1);
  if (out.interface.ends_with(".conf")) out.interface.resize(out.interface.size() - 5);
  if (text.size() > kLargestQuickFile) {
    diagnostics.error({}, "the file is larger than 1 MiB: it is none of wg-quick's");
    return std::nullopt;
  }
  Reader reader(diagnostics, out);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    reader.line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  reader.finish();
  if (diagnostics.has_errors()) return std::nullopt;
  return out;
}

}  // namespace greywire::import
