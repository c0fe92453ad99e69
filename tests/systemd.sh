#!/usr/bin/env bash
# Sees to it that there is what the systemd cases boot: nothing to do where it is, installs Debian's
# packages where we may. Where we may not, those cases are skipped and counted; with CI=true that is
# a failure.
set -euo pipefail

# As tests/harness/lab/mod.rs asks for it.
missing=()
[[ -x /lib/systemd/systemd ]] || missing+=(systemd)
command -v systemd-analyze >/dev/null || missing+=(systemd)
[[ -e /lib/systemd/user/dbus.socket || -e /usr/lib/systemd/user/dbus.socket ]] || missing+=(dbus-user-session)
compgen -G '/lib/*/security/pam_systemd.so' >/dev/null || compgen -G '/usr/lib*/security/pam_systemd.so' >/dev/null ||
  missing+=(libpam-systemd)
for program in nsenter unshare setpriv; do
  command -v "$program" >/dev/null || missing+=(util-linux)
done
command -v git >/dev/null || missing+=(git)
[[ ${#missing[@]} == 0 ]] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "the systemd cases want root, and the packages ${missing[*]}; they will be skipped" >&2
  [[ ${CI:-} == true ]] && exit 1
  exit 0
fi

echo "installing Debian's ${missing[*]} for the systemd cases (once)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  # Another installation may be under way; its lock is waited for.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "apt-get $1 failed; install ${missing[*]} by hand, then run this again" >&2
    exit 1
  }
}
apt update
# They are only booted in namespaces: nothing of them is to run here.
apt install --yes --no-install-recommends "${missing[@]}"
