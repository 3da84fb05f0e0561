#!/usr/bin/env bash
# Checks a Debian package that scripts/deb.sh has made of a binary: what is in it, and that dpkg
# installs, keeps a changed configuration, removes and purges it, in a folder of its own.
#
#   scripts/deb_check.sh PACKAGE BINARY
#
# Prints one line for each check. scripts/setup.sh installs what they need, but for lintian, without
# which that is not checked, as what needs root is not for others.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -eq 2 ] || die "usage: scripts/deb_check.sh PACKAGE BINARY"
PACKAGE=$1
BINARY=$2
AT=$(mktemp -d)
trap 'rm -rf "$AT"' EXIT
PASSED=0
FAILED=0

# check NAME COMMAND...: one check, which fails if the command does.
check() {
    local name=$1 words
    shift
    if words=$("$@" 2>&1); then
        PASSED=$((PASSED + 1))
        say "ok   $name"
    else
        FAILED=$((FAILED + 1))
        say "FAIL $name: $words"
    fi
}

# has PROGRAM: whether it is there; if not, a line says what was not checked.
has() {
    command -v "$1" >/dev/null || { say "NOT CHECKED: $1 is not installed" && return 1; }
}

settings_are_defaults() {
    local file="$AT/x/etc/corecast/corecast.toml"
    "$BINARY" check-config "$file" &&
        ! grep -v '^#' "$file" | grep . &&
        # With every key in force it is the default file.
        sed 's/^#\([^ #]\)/\1/' "$file" | grep '^[^#]' >"$AT/keys" &&
        "$BINARY" default-config | grep '^[^#]' | diff - "$AT/keys"
}

page_is_clean() {
    local words
    words=$(man --warnings -l "$AT/x/usr/share/man/man1/corecast.1.gz" 2>&1 >"$AT/page")
    [ -z "$words" ] || { say "$words" && return 1; }
    [ -s "$AT/page" ]
}

# Each flag of the program is in the man page.
page_has_flags() {
    local flag
    zcat "$AT/x/usr/share/man/man1/corecast.1.gz" | sed 's/\\-/-/g' >"$AT/roff"
    "$BINARY" serve --help | sed -n 's/^      \(--[a-z-]*\).*/\1/p' >"$AT/flags"
    [ "$(wc -l <"$AT/flags")" -gt 50 ] || return 1
    while read -r flag; do
        grep -q "^.fB$flag.fR" "$AT/roff" || { say "$flag is not there" && return 1; }
    done <"$AT/flags"
}

units_are_valid() {
    local unit words
    mkdir "$AT/units"
    for unit in "$AT"/x/usr/lib/systemd/system/*; do
        # The program and the page are not installed here.
        sed -e "s|/usr/bin/corecast|$(realpath "$BINARY")|" -e '/^Documentation=/d' "$unit" \
            >"$AT/units/${unit##*/}"
    done
    words=$(systemd-analyze verify "$AT"/units/corecast.service "$AT"/units/corecast.socket 2>&1) ||
        { say "$words" && return 1; }
    [ -z "$words" ] || { say "$words" && return 1; }
}

# units_are_hardened: systemd rates each service, from 0 (least exposed) to 100.
units_are_hardened() {
    local unit
    for unit in "$AT"/x/usr/lib/systemd/system/*.service; do
        systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" || return
    done
}

# in_root ARGUMENT...: dpkg with a data base and files of its own; the scripts run outside of it.
in_root() {
    # Images of containers often leave out man pages.
    DEBIAN_FRONTEND=noninteractive dpkg --root="$AT/root" --force-script-chrootless \
        --force-depends --force-confold --path-include='/usr/share/man/*' "$@" || return
}

# is_there FILE...: whether these were installed as they are in the package.
is_there() {
    local file
    for file in "$@"; do
        cmp "$AT/x/$file" "$AT/root/$file" || return
    done
}

life_of_a_package() {
    local root="$AT/root" settings="$AT/root/etc/corecast/corecast.toml"
    mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} "$root/etc"
    touch "$root/var/lib/dpkg/status"
    in_root --install "$PACKAGE" &&
        grep -q '^corecast:' "$root/etc/passwd" &&
        is_there usr/bin/corecast usr/lib/systemd/system/corecast.{service,socket} \
            usr/share/man/man1/corecast.1.gz etc/corecast/corecast.toml &&
        [ -L "$root/etc/systemd/system/multi-user.target.wants/corecast.service" ] &&
        [ ! -e "$root/etc/systemd/system/sockets.target.wants/corecast.socket" ] || return
    printf 'max-message = "1MiB"\n' >>"$settings"
    in_root --install "$PACKAGE" && grep -q '^max-message' "$settings" || return
    in_root --remove corecast && [ -e "$settings" ] && [ ! -e "$root/usr/bin/corecast" ] &&
        [ ! -e "$root/usr/lib/systemd/system/corecast.service" ] || return
    in_root --purge corecast && [ ! -e "$root/etc/corecast" ] &&
        [ ! -L "$root/etc/systemd/system/multi-user.target.wants/corecast.service" ]
}

# There is no bug of Debian that the package closes.
lint() {
    lintian --allow-root --fail-on error,warning \
        --suppress-tags initial-upload-closes-no-bugs "$1"
}

main() {
    dpkg-deb -x "$PACKAGE" "$AT/x"
    dpkg-deb -e "$PACKAGE" "$AT/control"
    check "the program runs" "$AT/x/usr/bin/corecast" --version
    check "the settings are the defaults, commented out" settings_are_defaults
    check "the settings are a conffile" grep -qx /etc/corecast/corecast.toml "$AT/control/conffiles"
    check "the man page has every flag" page_has_flags
    check "the man page has no warnings" page_is_clean
    check "the units are valid" units_are_valid
    check "the service is hardened" units_are_hardened
    if [ "$(id -u)" -ne 0 ]; then
        say "NOT CHECKED: install, upgrade, remove and purge, which need root"
    else
        check "install, upgrade, remove, purge" life_of_a_package
    fi
    ! has lintian || check "lintian finds nothing" lint "$PACKAGE"
    say "Debian package: $PASSED checks passed, $FAILED failed"
    [ "$FAILED" -eq 0 ]
}

main
