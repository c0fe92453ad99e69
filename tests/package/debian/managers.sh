# shellcheck shell=sh
# Shared by the maintainer scripts, put in where they say so.

# What an administrator forbids by policy-rc.d is not done.
may() { # ACTION
  command -v policy-rc.d >/dev/null || return 0
  policy-rc.d steroidsd "$1" || [ $? -ne 101 ]
}

# What one manager is asked, call by call, until it does not answer.
# shellcheck disable=SC2016
ask_manager='set -f
user=$1
shift
for words in "$@"; do
  status=0
  timeout 20 systemctl --quiet --user --machine="$user@" $words </dev/null || status=$?
  if [ "$status" -eq 124 ]; then
    echo "steroids: the service manager of $(id -nu "$user") does not answer; left out: systemctl --user $words" >&2
    break
  fi
done'

# Has every user's manager that runs do something with units, one call after the other, many users at a
# time. One that does not answer is named and passed over, and no further one is begun after a minute.
each_manager() { # CALLS of systemctl, the words of each in one
  [ -d /run/systemd/system ] || return 0
  systemctl list-units --no-legend --plain --state=running 'user@*.service' |
    sed -n 's/^user@\([0-9]*\)\.service.*/\1/p' |
    timeout 60 xargs -r -P 16 -I '{}' sh -c "$ask_manager" sh '{}' "$@" ||
    echo "steroids: not every user's service manager was asked" >&2
}
