#!/usr/bin/env bash
# Makes a Debian package of built programs, with nothing but dpkg-deb and cargo, which says what is in
# them:
#
#   deb.sh PROGRAMS FOLDER [VERSION]     prints the path of FOLDER/steroids_VERSION_ARCH.deb
#
# The same input gives the same bytes: times come from SOURCE_DATE_EPOCH, else the last commit.
set -euo pipefail

here=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
root=$(readlink -f "$here/../..")
built=$(readlink -f "${1:?the folder of the built programs}")
mkdir -p "${2:?the folder for the package}"
out=$(readlink -f "$2")
upstream=$("$built/steroidsd" --version | cut -d' ' -f2)
version=${3:-$upstream-1}
architecture=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-steroidsd maintainers} <${DEBEMAIL:-steroidsd@users.noreply.github.com}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/steroids
doc=$tree/usr/share/doc/steroids
umask 022

DESTDIR=$tree PREFIX=/usr USER_UNITS=/usr/lib/systemd/user SYSTEM_UNITS=/lib/systemd/system \
  ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions "$here/stage.sh" install "$built"

# As for any Debian build, DEB_BUILD_OPTIONS=nostrip keeps the symbols.
[[ " ${DEB_BUILD_OPTIONS:-} " == *" nostrip "* ]] ||
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$tree"/usr/bin/*

# What a Debian package says elsewhere than a tree of files does.
rm "$doc"/LICENSE-{APACHE,MIT}
gzip -9 -n -c "$doc/CHANGELOG.md" >"$doc/changelog.gz"
rm "$doc/CHANGELOG.md"
mkdir "$work/licences"
host=$("${CARGO:-cargo}" -vV | sed -n 's/^host: //p')
"$built/steroids-licences" "$root" "$host" "$work/licences"
cat "$here/debian/copyright" "$work/licences/copyright" >"$doc/copyright"
gzip -9 -n -c "$work/licences/THIRD-PARTY" >"$doc/THIRD-PARTY.gz"
{
  echo "steroids ($version) unstable; urgency=medium"
  echo
  echo "  * Built from the sources of $upstream; see changelog.gz for what has changed."
  echo
  echo " -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9 -n >"$doc/changelog.Debian.gz"
install -D -m 0644 "$here/debian/lintian-overrides" "$tree/usr/share/lintian/overrides/steroids"
install -D -m 0644 "$here/debian/config.toml" "$tree/etc/xdg/steroids/config.toml"

# Whatever the programs are linked to; libc and its kin are there on any Debian.
depends() {
  mkdir -p "$work/shlibs/debian"
  # shellcheck disable=SC2016  # dpkg-shlibdeps fills it in
  printf 'Source: steroids\n\nPackage: steroids\nArchitecture: any\nDepends: ${shlibs:Depends}\n' >"$work/shlibs/debian/control"
  (cd "$work/shlibs" && dpkg-shlibdeps -O "$tree"/usr/bin/* 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
}
if command -v dpkg-shlibdeps >/dev/null; then
  depends=$(depends)
else
  echo "deb: dpkg-shlibdeps (package dpkg-dev) is missing, so versions of libraries are not named" >&2
  depends="libc6, libgcc-s1"
fi

mkdir "$tree/DEBIAN"
sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" -e "s|@MAINTAINER@|$maintainer|" \
  -e "s|@DEPENDS@|$depends|" -e "s|@SIZE@|$(du -k -s --apparent-size "$tree" | cut -f1)|" \
  "$here/debian/control" >"$tree/DEBIAN/control"
echo /etc/xdg/steroids/config.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  sed -e "/^#MANAGERS#$/{r $here/debian/managers.sh" -e 'd}' "$here/debian/$script" >"$tree/DEBIAN/$script"
  chmod 0755 "$tree/DEBIAN/$script"
done
(cd "$tree" && find usr lib -type f | LC_ALL=C sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
chmod 0644 "$tree"/DEBIAN/{control,conffiles,md5sums}
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

dpkg-deb --root-owner-group -Z"${DEB_COMPRESSION:-xz}" --build "$tree" "$out" >&2
echo "$out/steroids_${version}_$architecture.deb"
