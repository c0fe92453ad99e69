#!/usr/bin/env bash
# Sees to it that there is a Chromium for the page's tests: nothing to do where there is one,
# installs Debian's where we may, says what to install where we may not.
set -euo pipefail

# The names the tests look for, in their order (tests/harness/browser/launch.rs).
if [[ -n ${STEROIDS_TEST_CHROMIUM:-} ]]; then
  [[ -x $STEROIDS_TEST_CHROMIUM ]] && exit 0
  echo "STEROIDS_TEST_CHROMIUM names $STEROIDS_TEST_CHROMIUM, which is no program" >&2
  exit 1
fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null; then
    exit 0
  fi
done

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  cat >&2 <<'END'
The page's tests drive a real Chromium, and there is none on the PATH. Install it:
    sudo apt-get install chromium         (Debian)
    sudo dnf install chromium             (Fedora)
or name another build of it: STEROIDS_TEST_CHROMIUM=/path/to/chrome make test
END
  exit 1
fi

echo "installing Debian's chromium for the page's tests (once; about 100 MB)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  # Another installation may be under way; its lock is waited for.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "apt-get $1 failed; install chromium by hand, then run this again" >&2
    exit 1
  }
}
apt update
apt install --yes --no-install-recommends chromium
