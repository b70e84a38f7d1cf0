# Shared by ./run and ./test (sourced, never executed): which Debian packages the project needs, installing the missing
# ones, and building a preset. Written for Debian 12; functions print what they do and return non-zero on failure.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building the server takes.
build_packages=(
  clang-19 lld-19 llvm-19 cmake ninja-build pkg-config
  liburing-dev libxxhash-dev libabsl-dev libfmt-dev libspdlog-dev libcli11-dev liblzf-dev libmimalloc-dev
)

# What the tests take on top: sanitizers, the reference server and its clients, formatting, test libraries. Clients of npm
# are installed by their tests (tests/lib/npm.py).
test_packages=(
  libclang-rt-19-dev clang-format-19 ccache git python3
  libgtest-dev libbenchmark-dev
  redis-server redis-tools python3-redis libhiredis-dev prometheus-redis-exporter
)
# Node.js packages of other origin bring npm along, and conflict with Debian's.
command -v node >/dev/null || test_packages+=(nodejs)
command -v npm >/dev/null || test_packages+=(npm)

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The packages among "$@" that are not installed, one per line. One dpkg-query call: about 20 ms.
missing_packages() {
  local installed
  # dpkg-query exits 1 when it does not know one of the names; its output is right all the same.
  installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p') || true
  comm -13 <(sort -u <<<"$installed") <(printf '%s\n' "$@" | sort -u)
}

# Installs the missing ones among "$@"; does nothing, quickly, when all are there.
ensure_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "note: this is not a Debian system; expecting the equivalents of: $*" >&2
    return 0
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "Packages are missing, and installing them needs root. Either run" >&2
    say "    sudo $invoked_as" >&2
    say "or install them yourself and start again:" >&2
    say "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  say "Installing: ${missing[*]}"
  install_packages "${missing[@]}" || fail "apt-get could not install: ${missing[*]}"
}

install_packages() (
  # In a subshell, so that the trap restores policy-rc.d whatever happens here.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then mv "$policy" "$policy.moonshard-saved"; fi
  restore() {
    rm -f "$policy"
    if [ -e "$policy.moonshard-saved" ]; then mv "$policy.moonshard-saved" "$policy"; fi
  }
  trap restore EXIT
  trap 'exit 1' INT TERM HUP
  # 101 = "action forbidden": a packaged redis-server must not start on the port we are about to use.
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"

  export DEBIAN_FRONTEND=noninteractive
  # A fresh image comes without package lists.
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get -q update || return 1
  apt-get -q -y install --no-install-recommends "$@" </dev/null && return 0
  # The lists may name versions that the mirror has replaced meanwhile.
  apt-get -q update && apt-get -q -y install --no-install-recommends "$@" </dev/null
)

# After `sudo ./run` only the installation was root's business: go on as the user who owns the checkout, or the build
# tree and the data would belong to root and a later plain ./run could not write them.
drop_privileges() {
  [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" -ne 0 ] || return 0
  [ "$(stat -c %u "$root")" = "$SUDO_UID" ] || return 0
  local home
  home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
  exec env HOME="${home:-/}" setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups "$@"
}

# One compiler process per core, but no more than memory allows (a translation unit takes up to about 1 GiB).
build_jobs() {
  local cores mem_gib
  cores=$(nproc)
  mem_gib=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo 2>/dev/null)
  [ -n "$mem_gib" ] || mem_gib=$cores
  [ "$mem_gib" -lt 1 ] && mem_gib=1
  if [ "$mem_gib" -lt "$cores" ]; then echo "$mem_gib"; else echo "$cores"; fi
}

# build_preset PRESET [target...]: configures when the presets changed, then builds what is out of date.
build_preset() {
  local preset=$1 tree="$root/build/$1" stamp="$root/build/$1/.configured"
  shift
  if [ ! -e "$tree/build.ninja" ] || [ ! -e "$stamp" ] || [ "$root/CMakePresets.json" -nt "$stamp" ]; then
    say "Configuring build/$preset"
    local log
    if ! log=$(cd "$root" && cmake --preset "$preset" 2>&1); then
      printf '%s\n' "$log" >&2
      return 1
    fi
    touch "$stamp"
  fi
  (cd "$root" && cmake --build --preset "$preset" -j "$(build_jobs)" ${1:+--target "$@"})
}
