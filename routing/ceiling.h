// The ceiling of a peer: the prefixes that BGP may send to it, and the sources that it may send from. It is
// configured
// (`accept`), never learned. Nothing is accepted where it is empty.
//
// The notation and the meaning are those of FRR's prefix-lists ("ip prefix-list … permit"): without `ge` and
// `le` a rule admits exactly its own prefix; `le N` also the longer ones up to N; `ge M` those from M on, up
// to `le` or a host route.
//
// Values, without threads or limits on size. Errors are one line, fit to follow a file and a line number.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/base/ip_address.h"
#include "router/base/result.h"

namespace greywire::routing {

struct CeilingRule {
  Prefix prefix;
  unsigned ge = 0;  // lengths admitted: ge..le, both within prefix.length()..address bits
  unsigned le = 0;

  // "10.2.0.0/16", "10.2.0.0/16 le 24", "10.0.0.0/8 ge 16", "10.0.0.0/8 ge 16 le 24". An address without "/"
  // is a host prefix. Host bits that are set are an error: the writer meant something else.
  static Result<CeilingRule> parse(std::string_view text);

  bool admits(const Prefix& candidate) const;
  std::string to_string()
      const;  // the shortest text that parse() reads back; also what follows "permit" in FRR

  friend bool operator==(const CeilingRule&, const CeilingRule&) = default;
};

class Ceiling {
 public:
  Ceiling() = default;
  explicit Ceiling(std::vector<CeilingRule> rules) : rules_(std::move(rules)) {}

  bool admits(const Prefix& candidate) const;  // may this prefix be sent to the peer?
  bool covers(
      const IpAddress& address) const;  // may the peer send from this address? Lengths do not matter here.
  std::span<const CeilingRule> rules() const { return rules_; }
  bool empty() const { return rules_.empty(); }

  friend bool operator==(const Ceiling&, const Ceiling&) = default;

 private:
  std::vector<CeilingRule> rules_;
};

}  // namespace greywire::routing
