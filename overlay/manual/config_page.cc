#include "overlay/manual/config_page.h"

#include <fmt/format.h>

#include "overlay/config/schema.h"
#include "overlay/manual/roff.h"

namespace greywire::manual {
namespace {

constexpr std::string_view kExample = R"([site]
name             = "ams"
private_key_file = "/etc/greywire/ams.key"
overlay_address  = ["10.255.0.1"]

[[peer]]
name            = "fra"
public_key      = "fra's public key"
endpoint        = "fra.example.net:51820"
overlay_address = ["10.255.0.2"]
accept          = ["10.2.0.0/16 le 24"]

[routing]
)";

std::string key_item(const config::KeyDoc& key) {
  std::string fallback(key.fallback);
  if (key.presence == config::Presence::kRequired) {
    fallback = "Required.";
  } else {
    fallback = fmt::format("Default: {}.", fallback.empty() ? "none" : fallback);
  }
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n.br\nValue: {}. {}\n", escaped(key.name), from_markdown(key.meaning), escaped(key.type),
                     from_markdown(fallback));
}

}  // namespace

std::string config_page() {
  std::string out = head("greywire.toml", 5, "the configuration of one site", "File Formats");
  out += ".SH DESCRIPTION\n" + from_markdown(
      "`greywired --config FILE` runs one site; under systemd FILE is `/etc/greywire/SITE.toml`. `greywire check FILE` says what is "
      "wrong with a file, `greywire diff` what a reload would change. The file is TOML 1.0: text, addresses and prefixes stand in "
      "quotes, and where a list is asked for a single value may stand without brackets.") + "\n";
  for (const auto& section : config::sections()) {
    out += fmt::format(".SH {}\n{}\n", escaped(section.header), from_markdown(section.meaning));
    if (section.name == "peer_defaults") continue;
    for (const auto& key : section.keys) out += key_item(key);
  }
  out += fmt::format(".SH EXAMPLE\n.nf\n{}.fi\n", escaped(kExample));
  out += ".SH FILES\n" + item("\\fI/etc/greywire/SITE.toml\\fR", "The config of a site; root's, and readable by group greywire.");
  out += item("\\fI/etc/greywire/*.key\\fR", "Keys: root's or the daemon's user's, and readable by nobody else but group greywire.");
  return out + see_also({"greywire(1)", "greywired(8)"});
}

}  // namespace greywire::manual
