// What `ip -d -j address show` prints, or anything else: a list of links or an error; and what is made of them is TOML.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "overlay/config/toml_document.h"
#include "overlay/import/site_import.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  config::Diagnostics diagnostics("links");
  const auto links = import::parse_gre_links({reinterpret_cast<const char*>(bytes), size}, diagnostics);
  FUZZ_CHECK(links.has_value() != diagnostics.has_errors());
  for (const auto& line : diagnostics.lines()) FUZZ_CHECK(line.find('\n') == std::string::npos);
  if (!links) return 0;
  import::QuickConfig quick;
  quick.file = "wg0.conf";
  quick.interface = "wg0";
  quick.addresses = {*config::InterfaceAddress::parse("10.9.0.1/24"), *config::InterfaceAddress::parse("fd00:9::1/64")};
  quick.peers.emplace_back();
  const import::QuickConfig files[] = {quick};
  const auto site = import::import_site(files, *links, {"fuzz", false});
  FUZZ_CHECK(site.has_value());
  config::Diagnostics toml("fuzz.toml");
  FUZZ_CHECK(config::parse_toml(site->toml, toml).has_value());
  return 0;
}
