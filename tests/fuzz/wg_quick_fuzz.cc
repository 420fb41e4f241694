// wg-quick's files are written by people and tools: whatever stands in one, it ends with a config or with errors, each of one
// line; and what is made of it is TOML.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "overlay/config/load.h"
#include "overlay/config/toml_document.h"
#include "overlay/import/site_import.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  config::Diagnostics diagnostics("wg0.conf");
  const auto parsed = import::parse_wg_quick({reinterpret_cast<const char*>(bytes), size}, diagnostics);
  FUZZ_CHECK(parsed.has_value() != diagnostics.has_errors());
  for (const auto& line : diagnostics.lines()) FUZZ_CHECK(line.find('\n') == std::string::npos);
  if (!parsed) return 0;
  const import::QuickConfig files[] = {*parsed};
  const auto site = import::import_site(files, {}, {"fuzz", false});
  if (!site) return 0;
  for (const auto& note : site->notes) FUZZ_CHECK(note.find('\n') == std::string::npos);
  config::Diagnostics toml("fuzz.toml");
  FUZZ_CHECK(config::parse_toml(site->toml, toml).has_value());
  FUZZ_CHECK(site->toml.find(site->private_key.reveal_base64()) == std::string::npos);
  return 0;
}
