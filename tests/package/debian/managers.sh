# shellcheck shell=sh
# Shared by the maintainer scripts, put in where they say so.

# What an administrator forbids by policy-rc.d is not done.
may() { # ACTION
  command -v policy-rc.d >/dev/null || return 0
  policy-rc.d steroidsd "$1" || [ $? -ne 101 ]
}

# Has every user's manager that runs do something with units; one that does not answer is passed over.
each_manager() { # WORDS of systemctl
  [ -d /run/systemd/system ] || return 0
  systemctl list-units --no-legend --plain --state=running 'user@*.service' | while read -r unit _; do
    id=${unit#user@}
    timeout 60 systemctl --quiet --user --machine="${id%.service}@" "$@" </dev/null || true
  done
}
