#!/bin/sh
# Puts what was unpacked here below a prefix: ./install.sh [PREFIX], /usr/local by default. For one
# user alone: ./install.sh ~/.local
set -eu

here=$(dirname "$0")
prefix=${1:-/usr/local}
case $prefix in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
units=lib/systemd
case $prefix in
"${HOME:-/nowhere}"/*) units=share/systemd ;;
esac

cd "$here"
find bin share -type f | while read -r file; do
  install -D -m "$(stat -c %a "$file")" "$file" "$prefix/$file"
done
find lib/systemd -type f | while read -r file; do
  to=$prefix/$units/${file#lib/systemd/}
  mkdir -p "${to%/*}"
  sed "s|@bindir@|$prefix/bin|g" "$file" >"$to"
done
echo "installed below $prefix; go on with: systemctl --user daemon-reload"
