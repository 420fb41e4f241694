# Sourced by deploy/demo and tests/run: packages and builds on Debian 12. Expects $root, the top of the source tree.
# Nothing here writes outside apt's own places and $root/build.

build_packages="g++ cmake ninja-build ccache pkg-config
  libsodium-dev libssl-dev libboost1.81-dev libboost-json1.81-dev libboost-system1.81-dev
  libnl-3-dev libnl-route-3-dev libnl-genl-3-dev libc-ares-dev libtomlplusplus-dev libcli11-dev libfmt-dev libspdlog-dev
  libgtest-dev libbenchmark-dev"
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
  build_packages="$build_packages libipsec-mb-dev"
fi
run_packages="frr wireguard-tools iproute2 iputils-ping iperf3 nftables python3"
test_packages="socat clang libclang-rt-14-dev wireguard-go bird2 zsh fish groff-base tcpdump dpkg-dev file systemd"
# tests/vm skips itself without these, so a Debian of another architecture goes without.
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
  test_packages="$test_packages qemu-system-x86 busybox-static kmod"
fi

say() { printf '%s\n' "$*" >&2; }

require_root() {
  if [ "$(id -u)" != 0 ]; then
    say "$1: needs root, for network namespaces and packages: run it with sudo"
    exit 1
  fi
}

# Installs those of the named packages that are missing; apt is asked only when one is. Packages must not start their
# daemons here (frr's would run a zebra on this host's own interfaces), so services are forbidden to start meanwhile.
install_missing() {
  local missing="" package policy=/usr/sbin/policy-rc.d status=0
  for package in "$@"; do
    case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" in
      ii*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    say "not Debian 12: install what corresponds to these packages and build by cmake:$missing"
    exit 1
  fi
  say "installing:$missing"
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  else
    policy=""
  fi
  # shellcheck disable=SC2086
  { quietly apt-get -q update && DEBIAN_FRONTEND=noninteractive quietly apt-get -q install -y --no-install-recommends \
      -o Dpkg::Options::=--force-confold $missing; } </dev/null || status=$?
  if [ -n "$policy" ]; then
    rm -f $policy
    trap - EXIT
  fi
  if [ $status -ne 0 ]; then
    say "could not install:$missing (apt's own words are above)"
    exit 1
  fi
}

# Runs a command and shows its output only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if [ $status -ne 0 ]; then
    cat "$log" >&2
    say "failed with status $status: $*"
  fi
  rm -f "$log"
  return $status
}

# build PRESET [TARGET...]: configures and builds $root/build/PRESET. Address space randomisation is off meanwhile: the
# sanitizers' runtimes of Debian 12 do not start with the wide one of newer kernels, and test discovery runs the tests.
build() {
  local preset=$1 started=$SECONDS
  shift
  say "building $preset"
  (cd "$root" && quietly cmake --preset "$preset") || exit 1
  quietly setarch -R ninja -C "$root/build/$preset" "$@" || exit 1
  say "built $preset in $((SECONDS - started)) s"
}
