#!/usr/bin/env bash
# Runs the Autobahn test suite against a release build and compares the result with
# autobahn/expected-results.json. Exit status 0: every case as expected.
#
#   scripts/autobahn.sh [--tls] [--cases "1.*,6.4.1"] [--jobs 1..4]
#
# --tls runs it over TLS, with certificates made for the run, which the suite verifies.
# CORECAST=path takes a binary already built, CORECAST_ARGS adds options for `corecast serve`.
# The default limits fit: the suite sends messages of 16 MiB (9.1.6, 9.2.6) and of 65,536
# fragments (9.3.1, 9.4.1).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PATTERNS='*'
JOBS=2
TLS=false
LIMIT_SECONDS=1500
REPORT="$ROOT/autobahn/report"
WSTEST_PIDS=()

usage() { die "usage: scripts/autobahn.sh [--tls] [--cases PATTERN,...] [--jobs 1..4]"; }

parse_options() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --tls)
                TLS=true
                REPORT="$ROOT/autobahn/report-tls"
                shift
                continue
                ;;
            --cases) PATTERNS=${2:-} ;;
            --jobs) JOBS=${2:-} ;;
            *) usage ;;
        esac
        [ $# -ge 2 ] || usage
        shift 2
    done
    [[ $JOBS =~ ^[1-4]$ && -n $PATTERNS ]] || usage
    WORK="$REPORT/parts"
}

stop_wstest() {
    local pid
    for pid in "${WSTEST_PIDS[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    WSTEST_PIDS=()
}

cleanup() {
    stop_wstest
    stop_server || true
}

cases_begun() { cat "$WORK"/*/wstest.log | grep -c '^Running test case' || true; }

still_running() {
    local pid
    for pid in "${WSTEST_PIDS[@]}"; do
        kill -0 "$pid" 2>/dev/null && return 0
    done
    return 1
}

# start_target: starts the server, and sets URL and OVER.
start_target() {
    local certificates="$REPORT/certificates"
    if ! $TLS; then
        start_server "$REPORT/server.log"
        URL="ws://127.0.0.1:$SERVER_PORT" OVER=TCP
        return
    fi
    make_certificates "$certificates"
    start_server "$REPORT/server.log" "$certificates"
    URL="wss://localhost:$SERVER_PORT" OVER=TLS
    # What the suite's OpenSSL takes for the roots of the system.
    export SSL_CERT_FILE="$certificates/root.crt"
}

# Starts a wstest process for each part and reports progress until all have ended.
run_wstest() {
    local parts=$1 total=$2 part next=15 begin=$SECONDS
    for part in $(seq "$parts"); do
        PYTHONUNBUFFERED=1 "$TOOLS/py27/bin/wstest" --mode fuzzingclient \
            --spec "$WORK/$part/spec.json" >"$WORK/$part/wstest.log" 2>&1 </dev/null &
        WSTEST_PIDS+=("$!")
    done
    while still_running; do
        sleep 0.5
        if [ $((SECONDS - begin)) -ge "$next" ]; then
            printf '%4d s: %d of %d cases begun\n' $((SECONDS - begin)) "$(cases_begun)" "$total"
            next=$((next + 15))
        fi
        if [ $((SECONDS - begin)) -ge "$LIMIT_SECONDS" ]; then
            die "not finished after $LIMIT_SECONDS s; see $WORK/*/wstest.log"
        fi
    done
    for part in $(seq "$parts"); do
        wait "${WSTEST_PIDS[part - 1]}" ||
            say "wstest of part $part ended with status $?; see $WORK/$part/wstest.log"
    done
    WSTEST_PIDS=()
}

main() {
    local patterns ids total parts part status=0 start
    parse_options "$@"
    need_tool "$TOOLS/py27/bin/wstest" "the Autobahn test suite"
    start=$(now)
    IFS=', ' read -ra patterns <<<"$PATTERNS"
    ids=$("$TOOLS/py27/bin/python" -B "$ROOT/autobahn/suite.py" list "${patterns[@]}") || exit 2
    total=$(wc -l <<<"$ids")
    build_server
    rm -rf "$REPORT"
    mkdir -p "$WORK"
    trap cleanup EXIT
    start_target
    parts=$(python3 "$ROOT/autobahn/shard.py" "$ROOT/autobahn/fuzzingclient.json" \
        "$URL" "$WORK" "$JOBS" <<<"$ids")
    say "Autobahn: $total cases over $OVER in $parts wstest processes"
    run_wstest "$parts" "$total"
    stop_server || status=1
    for part in $(seq "$parts"); do
        [ -e "$WORK/$part/report/index.json" ] ||
            die "part $part wrote no report; see $WORK/$part/wstest.log"
    done
    "$TOOLS/py27/bin/python" -B "$ROOT/autobahn/suite.py" merge "$REPORT" "$WORK"/*/report
    python3 "$ROOT/autobahn/check_results.py" --report "$REPORT/index.json" \
        --cases "$PATTERNS" || status=1
    say "report: $REPORT/index.html ($(elapsed "$start") s in all)"
    return "$status"
}

main "$@"
