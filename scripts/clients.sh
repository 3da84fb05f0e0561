#!/usr/bin/env bash
# Runs other WebSocket clients against a release build: Python's websockets, npm's ws, Chromium.
# Each echoes, then publishes and subscribes; Chromium also opens the page of the chat example.
# `http` is plain HTTP with curl, wget and ab, and with HAProxy and nginx in front of the server,
# also as packaging/ configures them and as README has a reader do it. `tokens` is PyJWT and
# Chromium with tokens.
# `gaps` is Chromium against a server of its own, which drops the oldest messages of slow readers.
# `tls` is a server with TLS and certificates of its own: the same clients with wss://, which verify
# them, curl, wget, ab and openssl. Exit status 0: every check of every client passed and each
# server stopped cleanly.
#
#   scripts/clients.sh [python] [node] [http] [tokens] [chromium] [gaps] [tls]
#
# All when none is named.
#
# CORECAST=path takes a binary already built, CORECAST_ARGS adds options for `corecast serve`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CLIENTS="$ROOT/tests/clients"
# Python must not write byte code next to the checks.
export PYTHONDONTWRITEBYTECODE=1
NAMES=(python node http tokens chromium gaps tls)
SUMMARY=()
FAILED=0
URL=

# run_client NAME COMMAND...: runs one client and keeps a line for the summary.
run_client() {
    local name=$1 start status=0
    shift
    start=$(now)
    say "--- $name"
    timeout --kill-after=10 300 "$@" "$URL" || status=$?
    if [ "$status" -eq 0 ]; then
        SUMMARY+=("$name: passed in $(elapsed "$start") s")
    else
        SUMMARY+=("$name: FAILED with status $status in $(elapsed "$start") s")
        FAILED=$((FAILED + 1))
    fi
}

# end_server: stops the server; if it does not stop cleanly, that counts as a failure.
end_server() {
    if ! stop_server; then
        SUMMARY+=("server: FAILED to stop cleanly")
        FAILED=$((FAILED + 1))
    fi
}

run_named() {
    local python="$TOOLS/py3/bin/python"
    case "$1" in
        python)
            run_client python "$python" "$CLIENTS/python_websockets.py"
            run_client "python pub/sub" "$python" "$CLIENTS/python_pubsub.py"
            ;;
        node)
            run_client node node "$CLIENTS/node_ws.mjs"
            run_client "node pub/sub" node "$CLIENTS/node_pubsub.mjs"
            ;;
        http)
            # It also starts servers of its own.
            export CORECAST_BINARY=$BINARY
            run_client "HTTP programs" "$python" "$CLIENTS/http_tools.py"
            run_client "proxies of packaging" "$python" "$CLIENTS/proxies.py"
            run_client "README" "$python" "$CLIENTS/operate.py"
            ;;
        tokens)
            export CORECAST_BINARY=$BINARY
            run_client tokens "$python" "$CLIENTS/tokens.py"
            ;;
        chromium)
            run_client chromium python3 "$CLIENTS/chromium.py"
            run_client "chromium pub/sub" "$python" "$CLIENTS/chromium_pubsub.py"
            ;;
        gaps)
            end_server
            CORECAST_ARGS="${CORECAST_ARGS:-} --slow-consumer drop-oldest" \
                start_server "$TARGET_DIR/test-logs/clients-gaps-server.log"
            URL="ws://127.0.0.1:$SERVER_PORT"
            run_client gaps "$python" "$CLIENTS/chromium_pubsub.py" --gaps
            ;;
        tls) run_with_tls ;;
    esac
}

# run_with_tls: the clients against a server with TLS.
run_with_tls() {
    local python="$TOOLS/py3/bin/python" certificates="$TARGET_DIR/test-logs/certificates"
    end_server
    make_certificates "$certificates"
    start_server "$TARGET_DIR/test-logs/clients-tls-server.log" "$certificates"
    URL="wss://localhost:$SERVER_PORT"
    run_client "TLS programs" "$python" "$CLIENTS/tls_tools.py" "$certificates"
    # What the clients take for the roots of the system, or trust beside them. Chromium has no
    # setting for that, so it is told which key to take.
    export SSL_CERT_FILE="$certificates/root.crt" NODE_EXTRA_CA_CERTS="$certificates/root.crt"
    CORECAST_SPKI=$(spki "$certificates/localhost.crt")
    export CORECAST_SPKI
    run_client "python over TLS" "$python" "$CLIENTS/python_websockets.py"
    run_client "python pub/sub over TLS" "$python" "$CLIENTS/python_pubsub.py"
    run_client "node over TLS" node "$CLIENTS/node_ws.mjs"
    run_client "node pub/sub over TLS" node "$CLIENTS/node_pubsub.mjs"
    run_client "chromium over TLS" python3 "$CLIENTS/chromium.py"
    run_client "chromium pub/sub over TLS" "$python" "$CLIENTS/chromium_pubsub.py"
}

# spki CERTIFICATE: the SHA-256 of its public key, in Base64.
spki() {
    openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform der |
        openssl dgst -sha256 -binary | openssl base64
}

main() {
    local name names=("$@")
    [ $# -gt 0 ] || names=("${NAMES[@]}")
    for name in "${names[@]}"; do
        [[ " ${NAMES[*]} " == *" $name "* ]] ||
            die "usage: scripts/clients.sh [NAME]...; names: ${NAMES[*]}"
    done
    need_tool "$TOOLS/py3/bin/python" "the Python 3 environment"
    need_tool "$CLIENTS/node_modules/ws" "npm's ws"
    build_server
    mkdir -p "$TARGET_DIR/test-logs"
    trap 'stop_server || true' EXIT
    start_server "$TARGET_DIR/test-logs/clients-server.log"
    URL="ws://127.0.0.1:$SERVER_PORT"
    # Always in this order: the last ones change the server.
    for name in "${NAMES[@]}"; do
        [[ " ${names[*]} " != *" $name "* ]] || run_named "$name"
    done
    say "---"
    end_server
    printf '%s\n' "${SUMMARY[@]}"
    [ "$FAILED" -eq 0 ]
}

main "$@"
