#!/usr/bin/env bash
# Restarts a server under load and checks that no client is refused: each restart is a
# successor that takes the listening sockets (--handover) while clients connect, open a WebSocket
# and have a message echoed.
#
#   scripts/restarts.sh [COUNT]    50 restarts by default; half a minute
#
# CORECAST_TEST_BACKEND=epoll has the servers use epoll.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
    [ $# -le 1 ] || die "usage: scripts/restarts.sh [COUNT]"
    local log="$TARGET_DIR/test-logs/restarts-run.log"
    mkdir -p "${log%/*}"
    # The same program as that of the step `test`, which is built once.
    CORECAST_RESTARTS="${1:-50}" cargo test --locked --workspace --profile ci --test server -- \
        --exact --nocapture life::handover::a_restart_refuses_nobody 2>&1 | tee "$log"
    # A test that is not there passes as well.
    grep -Eq "(^| )${1:-50} restarts: " "$log" || die "there were no ${1:-50} restarts"
}

main "$@"
