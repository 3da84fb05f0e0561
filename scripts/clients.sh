#!/usr/bin/env bash
# Runs clients that others wrote against a release build: Python's websockets, npm's ws, Chromium.
# Exit status 0: every check of every client passed and the server stopped cleanly.
#
#   scripts/clients.sh [python] [node] [chromium]      all three when none is named
#
# CORECAST=path takes a binary already built, CORECAST_ARGS adds options for `corecast serve`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CLIENTS="$ROOT/tests/clients"
SUMMARY=()
FAILED=0

# run_client NAME COMMAND...: runs one client and keeps a line for the summary.
run_client() {
    local name=$1 start status=0
    shift
    start=$(now)
    say "--- $name"
    timeout --kill-after=10 300 "$@" "ws://127.0.0.1:$SERVER_PORT" || status=$?
    if [ "$status" -eq 0 ]; then
        SUMMARY+=("$name: passed in $(elapsed "$start") s")
    else
        SUMMARY+=("$name: FAILED with status $status in $(elapsed "$start") s")
        FAILED=$((FAILED + 1))
    fi
}

run_named() {
    case "$1" in
        python) run_client python "$TOOLS/py3/bin/python" "$CLIENTS/python_websockets.py" ;;
        node) run_client node node "$CLIENTS/node_ws.mjs" ;;
        chromium) run_client chromium python3 "$CLIENTS/chromium.py" ;;
    esac
}

main() {
    local name names=("$@")
    [ $# -gt 0 ] || names=(python node chromium)
    for name in "${names[@]}"; do
        case "$name" in
            python | node | chromium) ;;
            *) die "usage: scripts/clients.sh [python] [node] [chromium]" ;;
        esac
    done
    need_tool "$TOOLS/py3/bin/python" "the Python 3 environment"
    need_tool "$CLIENTS/node_modules/ws" "npm's ws"
    build_server
    mkdir -p "$TARGET_DIR/test-logs"
    trap 'stop_server || true' EXIT
    start_server "$TARGET_DIR/test-logs/clients-server.log"
    for name in "${names[@]}"; do
        run_named "$name"
    done
    say "---"
    if ! stop_server; then
        SUMMARY+=("server: FAILED to stop cleanly")
        FAILED=$((FAILED + 1))
    fi
    printf '%s\n' "${SUMMARY[@]}"
    [ "$FAILED" -eq 0 ]
}

main "$@"
