#!/usr/bin/env bash
# Runs tests that start servers on epoll, and the Autobahn suite against a release build on epoll.
# Exit status 0: all passed.
#
#   scripts/epoll.sh          a part of both, less than two minutes once all is built
#   scripts/epoll.sh --all    all of both, and the other clients; some 12 minutes
#
# CORECAST=path takes a release build that is there already. What a test does on both backends by
# itself (tests/drivers, faults, syscalls, restricted, refused) is not run again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Programs that mostly wait run beside those that mostly compute.
BUSY=(strictness echo pubsub tls)
WAITING=(app_api deadlines limits isolation slow_readers unix_sockets activation trust_proxy
    proxy_protocol http refusals tokens admin life rates admission)
# Those that only --all runs.
MORE=(addresses cli hung ledger watchdog hostile)
# Without most cases of compression, which is the same code on both backends.
CASES='1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*,12.1.*'
LOGS="$TARGET_DIR/test-logs/epoll"

# programs LOG NAME...: runs test programs, with their output in a log.
programs() {
    local log=$1 name names=()
    shift
    for name in "$@"; do names+=(--test "$name"); done
    cargo test --locked --workspace --profile ci --no-fail-fast "${names[@]}" >"$log" 2>&1
}

main() {
    local all=false status=0 first
    case "${1:-}" in
        '') ;;
        --all) all=true ;;
        *) die "usage: scripts/epoll.sh [--all]" ;;
    esac
    cd "$ROOT"
    mkdir -p "$LOGS"
    build_server
    export CORECAST_TEST_BACKEND=epoll
    programs "$LOGS/busy.log" "${BUSY[@]}" &
    first=$!
    programs "$LOGS/waiting.log" "${WAITING[@]}" || status=1
    wait "$first" || status=1
    cat "$LOGS/busy.log" "$LOGS/waiting.log"
    if $all; then
        programs "$LOGS/more.log" "${MORE[@]}" || status=1
        cat "$LOGS/more.log"
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
