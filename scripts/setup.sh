#!/usr/bin/env bash
# Installs what the tests need besides Rust: Debian packages, a Python 3 environment with the
# `websockets` client and PyJWT, a Python 2.7 environment with the Autobahn test suite, npm's `ws`.
# Everything but the Debian packages goes into .tools/ and tests/clients/node_modules, which git
# ignores. Safe to run again: parts that are up to date are not installed again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_PYTHON_VERSION_WARNING=1 PYTHONWARNINGS=ignore
LOG="$TOOLS/setup.log"

# Runs a command with its output in the log, and shows the end of it if it fails.
quietly() {
    if ! "$@" >>"$LOG" 2>&1; then
        tail -n 30 "$LOG" >&2
        die "failed: $* (whole output: $LOG)"
    fi
}

# fingerprint TEXT FILE...: one word that changes whenever TEXT or a file does.
fingerprint() {
    local text=$1
    shift
    { printf '%s\n' "$text"; cat "$@"; } | sha256sum | cut -d ' ' -f 1
}

# is_current STAMP FINGERPRINT: whether a part was installed from the same inputs.
is_current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# piece NAME FUNCTION: installs one part and prints one line with the result and the time it took.
piece() {
    local start
    start=$(now)
    STATE="installed"
    "$2"
    printf '%-20s %-40s %6s s\n' "$1" "$STATE" "$(elapsed "$start")"
}

debian_packages() {
    local missing=() pair
    for pair in strace:strace chromium:chromium chromedriver:chromium-driver python3:python3 \
        node:nodejs npm:npm gcc:gcc curl:curl wget:wget ab:apache2-utils haproxy:haproxy \
        nginx:nginx-light openssl:openssl testssl:testssl.sh promtool:prometheus \
        dpkg-shlibdeps:dpkg-dev strip:binutils man:man-db systemd-analyze:systemd \
        systemd-sysusers:systemd deb-systemd-helper:init-system-helpers; do
        # Not every user has the folder of HAProxy and nginx in the path.
        PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
    done
    [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    if [ "${#missing[@]}" -eq 0 ]; then
        STATE="already there"
        return
    fi
    [ "$(id -u)" -eq 0 ] || die "not root; install as root: apt-get install ${missing[*]}"
    command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update
    quietly apt-get install -y --no-install-recommends "${missing[@]}"
    STATE="installed: ${missing[*]}"
}

python3_environment() {
    local home="$TOOLS/py3" print
    local lists=("$ROOT/tests/clients/requirements.txt" "$ROOT/autobahn/requirements-venv.txt")
    print=$(fingerprint "$(python3 --version)" "${lists[@]}")
    if is_current "$home/.stamp" "$print"; then
        STATE="already there"
        return
    fi
    rm -rf "$home"
    quietly python3 -m venv "$home"
    quietly "$home/bin/python" -m pip install -r "${lists[0]}" -r "${lists[1]}"
    printf '%s\n' "$print" >"$home/.stamp"
}

# find_python27: the path of a working interpreter of Python 2.7, CPython or PyPy.
find_python27() {
    local candidate
    for candidate in "${PYTHON27:-}" "${HOME:-/root}"/.pyenv/versions/2.7.*/bin/python2.7 \
        python2.7 python2 pypy; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

autobahn_environment() {
    local home="$TOOLS/py27" wanted="$ROOT/autobahn/requirements-py27.txt" python print
    python=$(find_python27) || die "no Python 2.7 found, which the Autobahn test suite needs." \
        "Debian 12 has no package of it: install one with pyenv (pyenv install 2.7.18)" \
        "or a PyPy of Python 2.7, and give its path as PYTHON27=/path/to/python2.7"
    print=$(fingerprint "$python" "$wanted")
    if is_current "$home/.stamp" "$print"; then
        STATE="already there"
        return
    fi
    rm -rf "$home"
    # Python 2.7 often comes without pip; this virtualenv brings the last one that ran on it.
    quietly "$TOOLS/py3/bin/python" -m virtualenv -p "$python" "$home"
    quietly "$home/bin/python" -m pip install -r "$wanted"
    quietly "$home/bin/wstest" --autobahnversion
    printf '%s\n' "$print" >"$home/.stamp"
}

npm_packages() {
    local home="$ROOT/tests/clients" print
    print=$(fingerprint "$(node --version)" "$home/package.json" "$home/package-lock.json")
    if is_current "$home/node_modules/.stamp" "$print"; then
        STATE="already there"
        return
    fi
    rm -rf "$home/node_modules"
    quietly npm --prefix "$home" ci --ignore-scripts --no-audit --no-fund
    printf '%s\n' "$print" >"$home/node_modules/.stamp"
}

main() {
    mkdir -p "$TOOLS"
    : >"$LOG"
    piece "Debian packages" debian_packages
    piece "Python 3 clients" python3_environment
    piece "Autobahn (Python 2.7)" autobahn_environment
    piece "npm clients" npm_packages
}

main "$@"
