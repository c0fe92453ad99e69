#!/usr/bin/env bash
# Sees to it that what the documentation's examples want is there: curl, and a python3 that knows
# gRPC. Nothing to do where they are; installs Debian's packages where we may. Where we may not, the
# examples that want them are not tried, and the test says so; with CI set that is a failure.
set -euo pipefail

wanted=()
command -v curl >/dev/null || wanted+=(curl)
# The names the tests look for, in their order (tests/cases/docs/examples.rs).
python=
for name in python3 /usr/bin/python3; do
  if "$name" -c 'import grpc, google.protobuf' 2>/dev/null; then
    python=$name
    break
  fi
done
[[ -n $python ]] || wanted+=(python3-grpcio)
((${#wanted[@]})) || exit 0

# What is missing is a failure only where everything has to be tried.
give_up() {
  if [[ -n ${CI:-} ]]; then
    exit 1
  fi
  exit 0
}

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  cat >&2 <<END
Some examples of the documentation will NOT be tried, for want of: ${wanted[*]}
    sudo apt-get install ${wanted[*]}                        (Debian)
    python3 -m pip install grpcio protobuf                   (in a venv that is active)
END
  give_up
fi

echo "installing Debian's ${wanted[*]} for the documentation's examples (once; about 10 MB)" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  # Another installation may be under way; its lock is waited for.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "apt-get $1 failed; install ${wanted[*]} by hand, then run this again" >&2
    give_up
  }
}
apt update
apt install --yes --no-install-recommends "${wanted[@]}"
