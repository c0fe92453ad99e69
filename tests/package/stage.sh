#!/usr/bin/env bash
# Puts what was built where it belongs, or takes it away again: `make install`, `make uninstall`, and
# the packages, which are made from the same tree.
#
#   stage.sh install PROGRAMS     PROGRAMS: the folder that cargo built into (target/release)
#   stage.sh uninstall
#
# From the environment: PREFIX, DESTDIR (both as in any Makefile), and where a part has to go elsewhere:
# USER_UNITS, SYSTEM_UNITS, ZSH_COMPLETIONS.
set -euo pipefail

root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix
bin=$prefix/bin
# The manager of a user looks below ~/.local/share, not ~/.local/lib.
case $prefix in
"${HOME:-/nowhere}"/*) units=share/systemd ;;
*) units=lib/systemd ;;
esac
user_units=${DESTDIR:-}${USER_UNITS:-$prefix/$units/user}
system_units=${DESTDIR:-}${SYSTEM_UNITS:-$prefix/$units/system}
bash=$to/share/bash-completion/completions
zsh=${DESTDIR:-}${ZSH_COMPLETIONS:-$prefix/share/zsh/site-functions}
fish=$to/share/fish/vendor_completions.d
man=$to/share/man
doc=$to/share/doc/steroids

programs=(steroidsd steroids-shim steroidsctl steroids-gateway)

# Unit files, each with its name: `x.service.in` becomes `x.service`.
units() {
  local file
  for file in "$root"/systemd/*.{socket,service,slice,target}{,.in}; do
    [[ -e $file ]] && echo "$file"
  done
}

unit_folder() { # NAME
  case $1 in
  *@.*) echo "$system_units" ;;
  *) echo "$user_units" ;;
  esac
}

install_units() {
  local file name
  while read -r file; do
    name=$(basename "$file" .in)
    sed -e "s|@bindir@|$bin|g" -e "s|/usr/bin/steroids|$bin/steroids|g" "$file" >"$work/unit"
    install -D -m 0644 "$work/unit" "$(unit_folder "$name")/$name"
  done < <(units)
}

install_man() {
  local page name section
  for page in "$work"/man/*; do
    name=$(basename "$page")
    section=${name##*.}
    gzip -9 -n "$page"
    install -D -m 0644 "$page.gz" "$man/man$section/$name.gz"
  done
}

install_completions() {
  local shell
  for shell in bash zsh fish; do
    "$built/steroidsctl" completions "$shell" >"$work/$shell-steroidsctl"
  done
  install -D -m 0644 "$work/bash-steroidsctl" "$bash/steroidsctl"
  install -D -m 0644 "$work/zsh-steroidsctl" "$zsh/_steroidsctl"
  install -D -m 0644 "$work/fish-steroidsctl" "$fish/steroidsctl.fish"
  install -D -m 0644 -t "$bash" "$work"/bash/*
  install -D -m 0644 -t "$zsh" "$work"/zsh/*
  install -D -m 0644 -t "$fish" "$work"/fish/*
}

install_docs() {
  local file
  install -D -m 0644 -t "$doc" "$root"/{README,ARCHITECTURE,CHANGELOG}.md "$root"/LICENSE-{APACHE,MIT}
  while read -r file; do
    install -D -m 0644 "$root/docs/$file" "$doc/docs/$file"
  done < <(cd "$root/docs" && find . -type f -printf '%P\n')
}

install_all() {
  local program
  built=$(readlink -f "$1")
  for program in "${programs[@]}" steroids-manual; do
    [[ -x $built/$program ]] || {
      echo "stage: $built/$program is missing; \`make build\` makes it" >&2
      exit 1
    }
  done
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  umask 022
  "$built/steroids-manual" "$work"
  install -D -m 0755 -t "$to/bin" "${programs[@]/#/$built/}"
  install_units
  install_man
  install_completions
  install_docs
}

# Only what is ours by name; folders that others may use stay.
uninstall_all() {
  local file name program
  for program in "${programs[@]}"; do
    rm -f "$to/bin/$program" "$man"/man[18]/"$program".[18].gz "$bash/$program" "$zsh/_$program" "$fish/$program.fish"
  done
  rm -f "$man"/man1/steroidsctl-*.1.gz "$man/man5/steroids-config.5.gz"
  while read -r file; do
    name=$(basename "$file" .in)
    rm -f "$(unit_folder "$name")/$name"
  done < <(units)
  rm -rf "$doc"
}

case ${1:-} in
install) install_all "${2:?the folder of the built programs}" ;;
uninstall) uninstall_all ;;
*)
  sed -n '2,9p' "${BASH_SOURCE[0]}" >&2
  exit 2
  ;;
esac
