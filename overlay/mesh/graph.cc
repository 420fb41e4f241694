#include "overlay/mesh/graph.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "overlay/mesh/topology.h"

namespace greywire::mesh {
namespace {

constexpr double kNodeRadius = 8;
constexpr double kMargin = 150;       // for names
constexpr double kLeastRadius = 120;
constexpr double kRoomOfASite = 26;   // on the circle

// Names, addresses and prefixes need no escaping in either language: none has a quote, '<' or '&'.
std::string words_of(const Inventory& inventory, const Site& site) {
  std::vector<std::string> addresses;
  for (const auto& address : site.overlay_addresses) addresses.push_back(address.to_string());
  std::string out = fmt::format("AS {}, {}", inventory.asn_of(site), fmt::join(addresses, ", "));
  for (const auto& network : site.networks) out += ", " + network.to_string();
  return out;
}

// `each` gets two sites and whether both are enrolled.
template <class Each>
void each_link(const Inventory& inventory, Each each) {
  const Links links(inventory);
  for (std::size_t one = 0; one < inventory.sites.size(); ++one) {
    for (const std::size_t other : links.of(one)) {
      if (one < other) each(one, other, inventory.sites[one].enrolled() && inventory.sites[other].enrolled());
    }
  }
}

}  // namespace

std::string graph_dot(const Inventory& inventory) {
  std::string out = fmt::format("graph \"{}\" {{\n  node [shape=ellipse];\n", inventory.mesh.name);
  for (const auto& site : inventory.sites) {
    if (site.revoked) continue;
    std::string more;
    if (inventory.passes_on(site)) more += " peripheries=2";
    std::string style = site.reflector ? "filled" : "";
    if (!site.enrolled()) style += style.empty() ? "dashed" : ",dashed";
    if (!style.empty()) more += fmt::format(" style=\"{}\"", style);
    out += fmt::format("  \"{}\" [tooltip=\"{}\"{}];\n", site.name, words_of(inventory, site), more);
  }
  each_link(inventory, [&](std::size_t one, std::size_t other, bool both) {
    out += fmt::format("  \"{}\" -- \"{}\"{};\n", inventory.sites[one].name, inventory.sites[other].name, both ? "" : " [style=dashed]");
  });
  return out + "}\n";
}

std::string graph_svg(const Inventory& inventory) {
  struct Point {
    double x = 0, y = 0;
  };
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < inventory.sites.size(); ++i) {
    if (!inventory.sites[i].revoked) shown.push_back(i);
  }
  const auto count = static_cast<double>(shown.size());
  const double radius = std::max(kLeastRadius, count * kRoomOfASite / (2 * std::numbers::pi));
  const double middle = radius + kMargin;
  std::vector<Point> at(inventory.sites.size());
  for (std::size_t n = 0; n < shown.size(); ++n) {
    const double turn = 2 * std::numbers::pi * static_cast<double>(n) / count - std::numbers::pi / 2;
    at[shown[n]] = {middle + radius * std::cos(turn), middle + radius * std::sin(turn)};
  }
  std::string out = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {0:.0f}\" width=\"{0:.0f}\" height=\"{0:.0f}\" "
                                "font-family=\"sans-serif\" font-size=\"13\">\n<title>{1}</title>\n", 2 * middle, inventory.mesh.name);
  each_link(inventory, [&](std::size_t one, std::size_t other, bool both) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#888\"{}/>\n", at[one].x, at[one].y, at[other].x,
                       at[other].y, both ? "" : " stroke-dasharray=\"4 3\"");
  });
  for (const std::size_t i : shown) {
    const Site& site = inventory.sites[i];
    const double across = at[i].x - middle, down = at[i].y - middle;
    const char* anchor = across < -1 ? "end" : across > 1 ? "start" : "middle";
    out += fmt::format("<g><title>{}</title>\n", words_of(inventory, site));
    if (inventory.passes_on(site)) {
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"none\" stroke=\"#000\"/>\n", at[i].x, at[i].y, kNodeRadius + 3);
    }
    out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\" stroke=\"#000\"{}/>\n", at[i].x, at[i].y, kNodeRadius,
                       site.reflector ? "#bbb" : "#fff", site.enrolled() ? "" : " stroke-dasharray=\"3 2\"");
    const double out_by = (kNodeRadius + 10) / radius;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text></g>\n", at[i].x + across * out_by,
                       at[i].y + down * out_by + 4, anchor, site.name);
  }
  return out + "</svg>\n";
}

}  // namespace greywire::mesh
