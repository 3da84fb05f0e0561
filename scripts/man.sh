#!/usr/bin/env bash
# Prints the man page of a built corecast. Its options are those that the program itself prints.
#
#   scripts/man.sh BINARY >corecast.1
#
# The date is that of SOURCE_DATE_EPOCH, else that of the last commit.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -x "${1:-}" ] || die "usage: scripts/man.sh BINARY"
PAGE="$ROOT/packaging/man"
EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct)}
VERSION=$("$1" --version)
# Only flags that the program has by default; no setting of this environment.
OPTIONS=$(env -i "$1" serve --help | awk -f "$PAGE/options.awk")
PAGE_DATE=$(date -u -d "@$EPOCH" +%F)

while IFS= read -r line; do
    line=${line/@DATE@/$PAGE_DATE}
    line=${line/@VERSION@/${VERSION#corecast }}
    [ "$line" != @OPTIONS@ ] || line=$OPTIONS
    printf '%s\n' "$line"
done <"$PAGE/corecast.1.in"
