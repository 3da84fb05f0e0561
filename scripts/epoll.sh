#!/usr/bin/env bash
# Runs tests that start servers on epoll, and the Autobahn suite against a release build on epoll.
# Exit status 0: all passed.
#
#   scripts/epoll.sh          a part of both, less than two minutes once all is built
#   scripts/epoll.sh --all    all of both, and the other clients; some 12 minutes
#
# CORECAST=path takes a release build that is there already. What a test does on both backends by
# itself (tests/drivers, faults, syscalls, restricted, refused) is not run again, and what runs on
# simulated drivers is the same on both.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Tests of tests/server and tests/simulated, by the modules in their names. Those that mostly wait
# run beside those that mostly compute.
BUSY=(strictness:: echo:: pubsub:: tls::)
# Those that only --all runs, and the other programs that start servers.
MORE=(hung::)
PROGRAMS=(cli ledger watchdog hostile)
# Without most cases of compression, which is the same code on both backends.
CASES='1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*,12.1.*'
LOGS="$TARGET_DIR/test-logs/epoll"

# tests LOG ARGUMENT...: runs tests, with their output in a log.
tests() {
    local log=$1
    shift
    cargo test --locked --workspace --profile ci --no-fail-fast "$@" >"$log" 2>&1
}

# each OPTION NAME...: the option before each name.
each() {
    local option=$1 name
    shift
    for name in "$@"; do printf '%s\n' "$option" "$name"; done
}

main() {
    local all=false status=0 first rest programs
    case "${1:-}" in
        '') ;;
        --all) all=true ;;
        *) die "usage: scripts/epoll.sh [--all]" ;;
    esac
    cd "$ROOT"
    mkdir -p "$LOGS"
    build_server
    RUST_TEST_THREADS=$(test_threads)
    export RUST_TEST_THREADS CORECAST_TEST_BACKEND=epoll
    mapfile -t rest < <(each --skip "${BUSY[@]}" "${MORE[@]}")
    tests "$LOGS/busy.log" --test server --test simulated -- "${BUSY[@]}" &
    first=$!
    tests "$LOGS/waiting.log" --test server -- "${rest[@]}" || status=1
    wait "$first" || status=1
    cat "$LOGS/busy.log" "$LOGS/waiting.log"
    if $all; then
        mapfile -t programs < <(each --test "${PROGRAMS[@]}")
        tests "$LOGS/more.log" --test server -- "${MORE[@]}" || status=1
        tests "$LOGS/programs.log" "${programs[@]}" || status=1
        cat "$LOGS/more.log" "$LOGS/programs.log"
        CASES='*'
    fi
    export CORECAST=$BINARY CORECAST_ARGS='--backend epoll'
    scripts/autobahn.sh --cases "$CASES" || status=1
    if $all; then
        scripts/clients.sh || status=1
    fi
    return "$status"
}

main "$@"
