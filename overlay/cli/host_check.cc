#include "overlay/cli/host_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace greywire::cli {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kNetAdmin = 12, kNetRaw = 13, kSysAdmin = 21, kBpf = 39;  // capability.h
constexpr std::string_view kAtBoot = "; for good, in /etc/sysctl.d";

class HostCheck {
 public:
  HostCheck(const config::Config& config, const std::string& root) : config_(config), root_(root) {}

  std::vector<HostFinding> run() {
    tun();
    forwarding();
    reverse_path();
    ipv6();
    kernel();
    rights();
    processor();
    return std::move(found_);
  }

 private:
  std::optional<std::string> text(const std::string& path) const {
    std::ifstream file(root_ + path);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  // "net/ipv4/ip_forward"
  std::optional<int> sysctl(const std::string& name) const {
    const auto value = text("/proc/sys/" + name);
    if (!value) return std::nullopt;
    int number = 0;
    const auto [end, failed] = std::from_chars(value->data(), value->data() + value->size(), number);
    return failed == std::errc{} ? std::optional(number) : std::nullopt;
  }

  void tell(std::string what, std::string problem, bool fatal = false) { found_.push_back({fatal, std::move(what), std::move(problem)}); }

  void tun() {
    std::error_code ignored;
    if (fs::exists(root_ + "/dev/net/tun", ignored) || !fs::exists(root_ + "/proc", ignored)) return;
    tell("/dev/net/tun", "is not there, so no device can be made: run modprobe tun; in a container, give it the device", true);
  }

  bool uses(Family family) const {
    const auto has = [&](const auto& addresses) {
      return std::any_of(addresses.begin(), addresses.end(), [&](const auto& one) { return one.family() == family; });
    };
    return has(config_.site.overlay_addresses) || has(config_.site.networks);
  }

  void forwarding() {
    if (uses(Family::kV4) && sysctl("net/ipv4/ip_forward") == 0) {
      tell("net.ipv4.ip_forward", fmt::format("is 0: this host passes on nothing between its LANs and the peers; run sysctl -w net.ipv4.ip_forward=1{}", kAtBoot));
    }
    if (uses(Family::kV6) && sysctl("net/ipv6/conf/all/forwarding") == 0) {
      tell("net.ipv6.conf.all.forwarding", fmt::format("is 0: this host passes on no IPv6; run sysctl -w net.ipv6.conf.all.forwarding=1{}", kAtBoot));
    }
  }

  // The stricter of `all` and the interface's own counts. Where the way back may be another (a learned 0/0 over the uplink, two
  // peers to one LAN), 1 drops what comes in.
  void reverse_path() {
    const auto all = sysctl("net/ipv4/conf/all/rp_filter");
    if (!all) return;
    std::vector<std::string> strict;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(root_ + "/proc/sys/net/ipv4/conf", ignored)) {
      const auto name = entry.path().filename().string();
      if (name == "all" || name == "lo") continue;
      const auto own = sysctl("net/ipv4/conf/" + name + "/rp_filter");
      if (own && std::max(*own, *all) == 1) strict.push_back(name);
    }
    std::sort(strict.begin(), strict.end());
    if (strict.empty()) return;
    const std::string which = *all == 1 ? "all" : "";
    tell(which.empty() ? fmt::format("net.ipv4.conf.{}.rp_filter", strict.front()) : "net.ipv4.conf.all.rp_filter",
         fmt::format("is 1 for {}: packets are dropped whose way back is another interface, those of peers under a learned default route "
                     "included; run sysctl -w net.ipv4.conf.all.rp_filter=2{}", fmt::join(strict, ", "), kAtBoot));
  }

  void ipv6() {
    if (!uses(Family::kV6)) return;
    if (sysctl("net/ipv6/conf/default/disable_ipv6") == 1) {
      tell("net.ipv6.conf.default.disable_ipv6", fmt::format("is 1: new devices take no IPv6 address; run sysctl -w net.ipv6.conf.default.disable_ipv6=0{}", kAtBoot));
    }
  }

  void kernel() {
    const auto release = text("/proc/sys/kernel/osrelease");
    if (!release) return;
    unsigned major = 0, minor = 0;
    const char* end = release->data() + release->size();
    const auto first = std::from_chars(release->data(), end, major);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return;
    if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc{}) return;
    const unsigned version = major * 1000 + minor;
    const auto name = fmt::format("Linux {}.{}", major, minor);
    if (version < 4018) tell(name, "has no UDP_SEGMENT: each datagram is a call of its own; take 4.18 or newer");
    else if (version < 5000) tell(name, "has no UDP_GRO: datagrams come in one by one; take 5.0 or newer");
    else if (version < 6002) tell(name, "has no UDP offload for TUN devices: UDP inside the tunnel is slower than with 6.2 or newer");
  }

  // Of who runs the check as root: in a container root may have less.
  void rights() {
    const auto status = text("/proc/self/status");
    if (!status) return;
    std::istringstream lines(*status);
    std::uint64_t rights = 0;
    bool is_root = false;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string key;
      words >> key;
      unsigned user = 0, effective = 1;
      if (key == "Uid:" && words >> user >> effective) is_root = effective == 0;
      if (key == "CapEff:") words >> std::hex >> rights;
    }
    if (!is_root) return;
    const auto has = [&](unsigned bit) { return (rights >> bit & 1U) != 0; };
    if (!has(kNetAdmin)) tell("CAP_NET_ADMIN", "is not root's here: greywired can make no device; start the container with it", true);
    if (!has(kNetRaw)) tell("CAP_NET_RAW", "is not root's here: what routers say about path MTUs is not heard, probes alone find them");
    if (!has(kBpf) && !has(kSysAdmin)) tell("CAP_BPF", "is not root's here: routing traffic waits in the devices behind bulk");
  }

  void processor() {
    const auto info = text("/proc/cpuinfo");
    if (!info || info->find("\nflags") == std::string::npos) return;  // not x86
    if (info->find(" avx2 ") == std::string::npos && info->find(" avx2\n") == std::string::npos) {
      tell("the CPU", "has no AVX2 that is shown: encryption is several times slower; in a virtual machine, pass the host's CPU through");
    }
  }

  const config::Config& config_;
  const std::string& root_;
  std::vector<HostFinding> found_;
};

}  // namespace

std::string HostFinding::line() const { return fmt::format("host: {}{}: {}", fatal ? "" : "warning: ", what, problem); }

std::vector<HostFinding> check_host(const config::Config& config, const std::string& root) { return HostCheck(config, root).run(); }

}  // namespace greywire::cli
