#!/usr/bin/env bash
# Runs hostile workloads beside honest clients and prints a Markdown table: for each workload the
# 99th percentile and the longest wait of the honest, without the attack and with it, memory, and
# processor time for each megabyte that the attackers sent. It judges nothing.
#
#   scripts/hostile.sh [--only NAME]... [--seconds N] [--cores 1|2] [--show] [--sigterm] [--list]
#
# --show adds how many connections were opened and what the server said to them; --sigterm prints
# another table: how long SIGTERM in the middle of each attack takes. --list names the workloads.
# CORECAST names another binary than the release build.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ONLY=
SECONDS_EACH=4
CORES=1
SHOW=
LIST=
TEST=long::long_form

usage() {
    die "usage: scripts/hostile.sh [--only NAME]... [--seconds N] [--cores 1|2] [--show]" \
        "[--sigterm] [--list]"
}

parse_options() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --only)
                [ -n "${2:-}" ] || usage
                ONLY+="${ONLY:+,}$2"
                shift 2
                ;;
            --seconds)
                [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage
                SECONDS_EACH=$2
                shift 2
                ;;
            --cores)
                [[ ${2:-} =~ ^[12]$ ]] || usage
                CORES=$2
                shift 2
                ;;
            --show)
                SHOW=1
                shift
                ;;
            --sigterm)
                TEST=long::sigterm_form
                shift
                ;;
            --list)
                LIST=1
                shift
                ;;
            *) usage ;;
        esac
    done
}

# run TEST: one test of the rig, what it prints and nothing else.
run() {
    local log="$TARGET_DIR/hostile.log" status=0
    cargo test --locked --profile ci --test hostile --no-run >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || {
        tail -n 40 "$log" >&2
        die "the tests do not build"
    }
    cargo test --locked --profile ci --test hostile -- --exact "$1" --ignored --nocapture \
        2>"$log" | grep --line-buffered -E '^(\||  )|^[a-z0-9-]+  ' || status=$?
    [ "$status" -eq 0 ] || {
        tail -n 40 "$log" >&2
        die "the run ended before the table did"
    }
}

main() {
    parse_options "$@"
    cd "$ROOT"
    mkdir -p "$TARGET_DIR"
    if [ -n "$LIST" ]; then
        run long::list
        return
    fi
    build_server >&2
    export CORECAST=$BINARY HOSTILE_ONLY=$ONLY HOSTILE_SECONDS=$SECONDS_EACH
    export HOSTILE_CORES=$CORES HOSTILE_SHOW=$SHOW
    run "$TEST"
}

main "$@"
