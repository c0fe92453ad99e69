#!/bin/sh
# Puts what was unpacked here below a prefix, or takes it away again:
#
#   ./install.sh [PREFIX]               /usr/local by default; for one user alone: ~/.local
#   ./install.sh --uninstall [PREFIX]   state and settings stay
#
# DESTDIR stands before it all, as in any Makefile.
set -eu

uninstall=
if [ "${1:-}" = --uninstall ]; then
  uninstall=yes
  shift
fi
prefix=${1:-/usr/local}
case $prefix in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
prefix=${prefix%/}
root=${DESTDIR:-}$prefix
# The manager of a user looks below ~/.local/share, not ~/.local/lib.
units=lib/systemd
case $prefix in
"${HOME:-/nowhere}"/*) units=share/systemd ;;
esac

# Each file that is here, and where it goes.
cd "$(dirname "$0")"
find bin share lib/systemd -type f | while read -r file; do
  case $file in
  lib/systemd/*) to=$root/$units/${file#lib/systemd/} ;;
  *) to=$root/$file ;;
  esac
  if [ -n "$uninstall" ]; then
    rm -f "$to"
    continue
  fi
  install -D -m "$(stat -c %a "$file")" "$file" "$to"
  case $file in
  lib/systemd/*) sed "s|@bindir@|$prefix/bin|g" "$file" >"$to" ;;
  esac
done

if [ -n "$uninstall" ]; then
  # What others may use as well stays, though it be empty.
  if [ -d "$root/share/doc/steroids" ]; then
    find "$root/share/doc/steroids" -depth -type d -empty -delete
  fi
  echo "taken away from below $root"
else
  echo "installed below $root; go on with: systemctl --user daemon-reload"
fi
