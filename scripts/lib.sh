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

# test_threads: how many tests that mostly wait are to run at once.
test_threads() { echo $((3 * $(nproc))); }

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

# quiet_openssl ARGUMENT...: runs openssl, whose words are shown only if it fails.
quiet_openssl() {
    local words
    words=$(openssl "$@" 2>&1) || die "openssl $1 failed: $words"
}

# sign FOLDER NAME ISSUER KEY EXTENSIONS: a key NAME.key, whose kind is KEY as in `openssl req
# -newkey`, and a certificate NAME.crt of ISSUER.crt with these extensions.
sign() {
    local at=$1 name=$2 issuer=$3 key=$4 extensions=$5
    local kind=(-newkey "$key")
    [ "$key" != ec ] || kind+=(-pkeyopt ec_paramgen_curve:P-256)
    printf '%s\n' "$extensions" >"$at/$name.ext"
    quiet_openssl req "${kind[@]}" -nodes -keyout "$at/$name.key" -out "$at/$name.csr" \
        -subj "/CN=$name"
    quiet_openssl x509 -req -in "$at/$name.csr" -CA "$at/$issuer.crt" -CAkey "$at/$issuer.key" \
        -set_serial "0x01$(openssl rand -hex 8)" -days 200 -sha256 -extfile "$at/$name.ext" \
        -out "$at/$name.crt"
}

# make_certificates FOLDER: makes a root for this run, FOLDER/root.crt, and two certificates with
# their keys: localhost.crt (P-256, of the root itself, also for 127.0.0.1) and rsa.localhost.crt
# (RSA, of an intermediate one, which it is followed by).
make_certificates() {
    local at=$1 leaf
    need_tool "$(command -v openssl || echo openssl)" openssl
    rm -rf "$at"
    mkdir -p "$at"
    quiet_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 200 \
        -subj '/CN=corecast test root' -keyout "$at/root.key" -out "$at/root.crt" \
        -addext 'keyUsage=critical,keyCertSign,cRLSign'
    sign "$at" between root ec \
        $'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign'
    leaf=$'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n'
    sign "$at" localhost root ec "${leaf}subjectAltName=DNS:localhost,IP:127.0.0.1"
    sign "$at" rsa.localhost between rsa:2048 "${leaf}subjectAltName=DNS:rsa.localhost"
    cat "$at/between.crt" >>"$at/rsa.localhost.crt"
}

# start_server LOG [CERTIFICATES]: runs `corecast serve $CORECAST_ARGS` on a free port, waits until
# it accepts. Given a folder of make_certificates, the port speaks TLS. Tries three ports, as
# another program may take the free one before the server does.
start_server() {
    SERVER_LOG=$1
    local try options name listen=--listen
    read -ra options <<<"${CORECAST_ARGS:-}"
    if [ -n "${2:-}" ]; then
        listen=--listen-tls
        for name in localhost rsa.localhost; do
            options+=(--tls-cert "$2/$name.crt" --tls-key "$2/$name.key")
        done
    fi
    for try in 1 2 3; do
        SERVER_PORT=$(free_port)
        "$BINARY" serve "$listen" "127.0.0.1:$SERVER_PORT" "${options[@]}" \
            >"$SERVER_LOG" 2>&1 </dev/null &
        SERVER_PID=$!
        for _ in $(seq 100); do
            kill -0 "$SERVER_PID" 2>/dev/null || break
            if port_answers "$SERVER_PORT"; then
                say "server: $BINARY serve $listen 127.0.0.1:$SERVER_PORT ${options[*]}" \
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
