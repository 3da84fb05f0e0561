# shellcheck shell=bash
# Shared by the scripts: the repository's root, the binary, a server on a free port.
# This file is sourced, not run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for the scripts that source this one
TOOLS="$ROOT/.tools"
TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
SERVER_PID=
SERVER_PORT=
SERVER_LOG=

# say TEXT...: one line of progress.
say() { printf '%s\n' "$*"; }

# die TEXT...: prints an error, which should name a remedy, then exits with 2.
die() {
    printf '%s: error: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# elapsed START: seconds since START, itself a value of `now`.
now() { date +%s.%N; }
elapsed() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# free_port: a TCP port of 127.0.0.1 that is free at this moment.
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# need_tool PATH WHAT: exits with a remedy if setup.sh has not installed PATH yet.
need_tool() {
    [ -e "$1" ] || die "$2 is not installed ($1 is missing); run scripts/setup.sh first"
}

# build_server: sets BINARY to $CORECAST, or builds the release binary.
build_server() {
    if [ -n "${CORECAST:-}" ]; then
        BINARY=$CORECAST
        [ -x "$BINARY" ] || die "CORECAST=$BINARY is no program; give the path of a built corecast"
    else
        (cd "$ROOT" && cargo build --release --locked --bin corecast) ||
            die "the release build failed; see the compiler's output above"
        BINARY="$TARGET_DIR/release/corecast"
    fi
}

# port_answers PORT: whether a TCP connection to it is accepted.
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start_server LOG: runs `corecast serve $CORECAST_ARGS` on a free port, waits until it accepts.
# Tries three ports, as another program may take the free one before the server does.
start_server() {
    SERVER_LOG=$1
    local try options
    read -ra options <<<"${CORECAST_ARGS:-}"
    for try in 1 2 3; do
        SERVER_PORT=$(free_port)
        "$BINARY" serve --listen "127.0.0.1:$SERVER_PORT" "${options[@]}" \
            >"$SERVER_LOG" 2>&1 </dev/null &
        SERVER_PID=$!
        for _ in $(seq 100); do
            kill -0 "$SERVER_PID" 2>/dev/null || break
            if port_answers "$SERVER_PORT"; then
                say "server: $BINARY serve --listen 127.0.0.1:$SERVER_PORT ${options[*]}" \
                    "(process $SERVER_PID, try $try)"
                return 0
            fi
            sleep 0.1
        done
        stop_server || true
    done
    tail -n 20 "$SERVER_LOG" >&2
    die "the server did not come up on any of 3 ports; its last words are above ($SERVER_LOG)"
}

# stop_server: SIGTERM to the server that start_server started, then waits for it. Fails when it
# was gone already, ends with another status than 0 or needs more than 15 s.
stop_server() {
    local pid=$SERVER_PID status=0
    [ -n "$pid" ] || return 0
    SERVER_PID=
    if ! kill -TERM "$pid" 2>/dev/null; then
        wait "$pid" || status=$?
        say "server: had already ended by itself, status $status; see $SERVER_LOG"
        return 1
    fi
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        say "server: did not end within 15 s of SIGTERM and was killed; see $SERVER_LOG"
        return 1
    fi
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        say "server: ended with status $status after SIGTERM, not 0; see $SERVER_LOG"
        return 1
    fi
}
