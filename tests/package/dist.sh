#!/usr/bin/env bash
# Makes a tarball of built programs that unpacks on any distribution, and its checksum:
#
#   dist.sh PROGRAMS FOLDER TARGET     FOLDER/steroids-VERSION-TARGET.tar.gz, FOLDER/SHA256SUMS
#
# The same input gives the same bytes: names in order, no owner, times of SOURCE_DATE_EPOCH, else the
# last commit.
set -euo pipefail

here=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
root=$(readlink -f "$here/../..")
built=$(readlink -f "${1:?the folder of the built programs}")
mkdir -p "${2:?the folder for the tarball}"
out=$(readlink -f "$2")
name=steroids-$("$built/steroidsd" --version | cut -d' ' -f2)-${3:?the target}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
DESTDIR=$work PREFIX=/$name USER_UNITS=/$name/lib/systemd/user SYSTEM_UNITS=/$name/lib/systemd/system \
  "$here/stage.sh" install "$built"
mkdir "$work/licences"
"$built/steroids-licences" "$root" "$3" "$work/licences"
install -m 0644 "$work/licences/THIRD-PARTY" "$work/$name/share/doc/steroids/THIRD-PARTY"
strip "$work/$name"/bin/*
sed -i "s|/$name/bin|@bindir@|g" "$work/$name"/lib/systemd/*/*
install -m 0755 "$here/unpacked.sh" "$work/$name/install.sh"

tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  --format=gnu -cf - "$name" | gzip -9 -n >"$out/$name.tar.gz"
(cd "$out" && sha256sum -- steroids-*.tar.gz >SHA256SUMS)
echo "$out/$name.tar.gz"
