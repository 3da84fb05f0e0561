#!/usr/bin/env bash
# Builds a Debian package: the command, its unit, /etc/corecast/corecast.toml and its man page.
#
#   scripts/deb.sh [--check] [FOLDER]
#
# The package comes into FOLDER, by default target/debian. It is the same, byte for byte, for the
# same binary, commit and tools. CORECAST=PATH takes that binary instead of a release build.
# DEBFULLNAME and DEBEMAIL name the maintainer. --check has scripts/deb_check.sh check it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

FILES="$ROOT/packaging"
REVISION=1
WORK=
trap '[ -z "$WORK" ] || rm -rf "$WORK"' EXIT

# put MODE SOURCE TARGET: a file of the package.
put() { install -D -m "$1" "$2" "$WORK/root/$3"; }

# fill NAME=VALUE...: replaces each @NAME@ in standard input.
fill() {
    local expressions=() pair
    for pair in "$@"; do expressions+=(-e $'s\1@'"${pair%%=*}@"$'\1'"${pair#*=}"$'\1'); done
    sed "${expressions[@]}"
}

# settings: the configuration file, in which each key is commented out.
settings() {
    cat "$FILES/debian/corecast.toml.head"
    "$BINARY" default-config | sed 's/^\([^#]\)/#\1/'
}

# dependencies: the packages of the libraries that the binary is linked to.
dependencies() {
    local source="$WORK/shlibs/debian/control"
    mkdir -p "${source%/*}"
    printf 'Source: corecast\n\nPackage: corecast\nArchitecture: any\n' >"$source"
    (cd "$WORK/shlibs" && dpkg-shlibdeps -O "$WORK/root/usr/bin/corecast" 2>/dev/null) |
        sed -n 's/^shlibs:Depends=//p'
}

changelog() {
    printf 'corecast (%s) unstable; urgency=medium\n\n' "$VERSION"
    printf '  * See changelog.gz for the changes.\n\n'
    printf ' -- %s  %s\n' "$MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

copyright() {
    cat "$FILES/debian/copyright"
    sed -e '1,2d' -e 's/^$/./' -e 's/^/ /' "$ROOT/LICENSE-MIT"
}

# contents: everything that the package installs.
contents() {
    local documents=usr/share/doc/corecast
    put 0755 "$BINARY" usr/bin/corecast
    strip --strip-unneeded --remove-section=.comment --remove-section=.note \
        "$WORK/root/usr/bin/corecast"
    put 0644 "$FILES/systemd/corecast.service" usr/lib/systemd/system/corecast.service
    put 0644 "$FILES/systemd/corecast.socket" usr/lib/systemd/system/corecast.socket
    put 0644 "$FILES/systemd/corecast.sysusers" usr/lib/sysusers.d/corecast.conf
    settings >"$WORK/made"
    put 0644 "$WORK/made" etc/corecast/corecast.toml
    "$ROOT/scripts/man.sh" "$BINARY" | gzip -9n >"$WORK/made"
    put 0644 "$WORK/made" usr/share/man/man1/corecast.1.gz
    gzip -9nc "$ROOT/CHANGELOG.md" >"$WORK/made"
    put 0644 "$WORK/made" "$documents/changelog.gz"
    changelog | gzip -9n >"$WORK/made"
    put 0644 "$WORK/made" "$documents/changelog.Debian.gz"
    copyright >"$WORK/made"
    put 0644 "$WORK/made" "$documents/copyright"
}

# control: what dpkg is told.
control() {
    local at="$WORK/root/DEBIAN" script size
    size=$(du -k --apparent-size -s "$WORK/root" | cut -f 1)
    mkdir -p "$at"
    fill "VERSION=$VERSION" "ARCHITECTURE=$ARCHITECTURE" "MAINTAINER=$MAINTAINER" \
        "DEPENDS=$(dependencies)" "SIZE=$size" <"$FILES/debian/control.in" >"$at/control"
    printf '/etc/corecast/corecast.toml\n' >"$at/conffiles"
    for script in postinst prerm postrm; do
        install -m 0755 "$FILES/debian/$script" "$at/$script"
    done
    (cd "$WORK/root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) \
        >"$at/md5sums"
    chmod 0644 "$at/control" "$at/conffiles" "$at/md5sums"
}

build() {
    WORK=$(mktemp -d)
    chmod 0755 "$WORK"
    contents
    control
    find "$WORK/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    mkdir -p "$FOLDER"
    dpkg-deb --root-owner-group -Zxz --build "$WORK/root" "$PACKAGE" >/dev/null
    rm -rf "$WORK"
    WORK=
    say "$PACKAGE: $(stat -c %s "$PACKAGE") bytes"
}

main() {
    local check=
    umask 022
    [ "${1:-}" != --check ] || { check=1 && shift; }
    [ $# -le 1 ] || die "usage: scripts/deb.sh [--check] [FOLDER]"
    FOLDER=${1:-$TARGET_DIR/debian}
    for tool in dpkg-deb dpkg-shlibdeps strip; do
        command -v "$tool" >/dev/null || die "$tool is missing; apt-get install dpkg-dev binutils"
    done
    build_server
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct)}
    VERSION=$("$BINARY" --version)
    VERSION=${VERSION#corecast }-$REVISION
    MAINTAINER="${DEBFULLNAME:-corecast} <${DEBEMAIL:-corecast@users.noreply.invalid}>"
    ARCHITECTURE=$(dpkg --print-architecture)
    PACKAGE="$FOLDER/corecast_${VERSION}_$ARCHITECTURE.deb"
    build
    [ -z "$check" ] || "$ROOT/scripts/deb_check.sh" "$PACKAGE" "$BINARY"
}

main "$@"
