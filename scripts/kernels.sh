#!/usr/bin/env bash
# Boots the release build under other kernels, in an emulated guest, and checks that it works there.
# Exit status 0: all checks passed. The kernels are Debian's, downloaded once.
#
#   scripts/kernels.sh [6.1 6.12 7.3]
#
# BIN=folder takes programs already built: corecast, load, experiments.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
TARGET_DIR=$(realpath -m "$TARGET_DIR")
# shellcheck source=perf/emulated/boot.sh
. perf/emulated/boot.sh

CHECKS=(probe contract echo korean deflate fanout handshakes stop epoll disabled)
LIMIT=900
WORK=$EMULATED/kernels-run.$$

usage() { sed -n '2,/^set/s/^# \?//p' "${BASH_SOURCE[0]}" | grep -v '^set'; }

build_programs() {
    if [ -z "${BIN:-}" ]; then
        CARGO_TARGET_DIR=$TARGET_DIR cargo build --release --locked --quiet --bin corecast &&
            CARGO_TARGET_DIR=$TARGET_DIR cargo build --release --locked --quiet \
                -p corecast-perf --bin load --bin experiments || die "the build failed"
        BIN=$TARGET_DIR/release
    fi
    make_root "$WORK/root" "$BIN/corecast" "$BIN/load" "$BIN/experiments"
}

# The guest's script. Each check is one line: "check NAME ok" or "check NAME FAILED", then why.
write_case() {
    cat >"$WORK/case" <<'GUEST'
# check NAME STATUS [FILE]
check() {
    if [ "$2" = 0 ]; then out "check $1 ok"; else
        out "check $1 FAILED"
        [ -z "$3" ] || tail -n 8 "$3" | sed 's/^/  | /' >&3
    fi
}
# load_check NAME KIND ARGUMENT...
load_check() {
    name=$1 kind=$2
    shift 2
    taskset 4 load "$kind" $ADDRESS --core 2 --warm-up 0 --quiet "$@" >/tmp/load 2>&1
    check "$name" $? /tmp/load
}

corecast probe >/tmp/probe 2>&1
check probe $? /tmp/probe
sed 's/^/  | /' /tmp/probe >&3

# Vectorized sends need a newer kernel, and the server does not use them.
experiments contract >/tmp/contract 2>&1
grep FAILED: /tmp/contract | grep -v Vectorized >/tmp/faults
grep -q 'ok: ' /tmp/contract && [ ! -s /tmp/faults ]
check contract $? /tmp/faults

# On a slow machine a subscriber might be silent for so long that it is pinged.
if start_server 3 corecast serve --listen $ADDRESS --cores 0-1 --ping-after 3600; then
    load_check echo echo --verify --connections 50 --size 1000 --depth 4 --count 10000
    load_check korean echo --verify --connections 4 --size 100000 --content korean --count 200
    load_check deflate echo --verify --connections 10 --size 4000 --content json --deflate \
        --count 1000
    load_check fanout fanout --verify --subscribers 200 --burst 8 --count 50
    load_check handshakes handshakes --count 2000
    stop_server
    check stop $STATUS /tmp/server.log
fi

if start_server 3 corecast serve --listen $ADDRESS --cores 0-1 --ping-after 3600 \
    --backend epoll; then
    load_check epoll echo --verify --connections 50 --size 1000 --depth 4 --count 10000
    stop_server
fi

if [ -f /proc/sys/kernel/io_uring_disabled ]; then
    echo 2 >/proc/sys/kernel/io_uring_disabled
    timeout 20 corecast serve --listen $ADDRESS --backend uring >/tmp/disabled 2>&1
    status=$?
    [ $status = 1 ] && grep -q 'forbidden by sysctl kernel.io_uring_disabled=2' /tmp/disabled
    check disabled $? /tmp/disabled
else
    out "check disabled -"
fi
GUEST
}

# verdict CHECK FILE: ok, FAILED, - (the kernel lacks what is checked), or missing.
verdict() {
    tr -d '\r' <"$2" | awk -v name="$1" '$1 == "check" && $2 == name { found = $3 }
        END { print found ? found : "missing" }'
}

main() {
    local series name result row rows=() failed=0
    case ${1:-} in --help | -h) usage && exit ;; esac
    [ $# -gt 0 ] || set -- 6.1 6.12 7.3
    need_emulator
    mkdir -p "$WORK"
    trap 'rm -rf "$WORK"' EXIT
    build_programs
    write_case
    for series in "$@"; do
        need_kernel "$series"
        say "booting $RELEASE"
        boot "$WORK" "$WORK/root" 3 "$LIMIT" || failed=1
        row="| $RELEASE |"
        for name in "${CHECKS[@]}"; do
            result=$(verdict "$name" "$WORK/said")
            row+=" $result |"
            case $result in ok | -) ;; *) failed=1 ;; esac
        done
        rows+=("$row")
        grep -a '^  | ' "$WORK/said" | tr -d '\r' || true
    done
    printf '| kernel |%s\n' "$(printf ' %s |' "${CHECKS[@]}")"
    printf '|---|%s\n' "$(printf -- '---|%.0s' "${CHECKS[@]}")"
    printf '%s\n' "${rows[@]}"
    [ "$failed" -eq 0 ] || { say "a check failed" && exit 1; }
}

main "$@"
