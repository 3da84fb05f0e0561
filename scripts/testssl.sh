#!/usr/bin/env bash
# Runs testssl.sh, a scanner of TLS servers, against a release build. Fails on every finding above
# LOW that docs/testssl.md does not explain, and if the scan did not come to its end. Exit status 0:
# there is none.
#
#   scripts/testssl.sh
#
# CORECAST=path takes a binary already built, CORECAST_ARGS adds options for `corecast serve`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LOGS="$TARGET_DIR/test-logs/testssl"
LIMIT_SECONDS=900

main() {
    local name status=0 start
    [ $# -eq 0 ] || die "usage: scripts/testssl.sh"
    need_tool "$(command -v testssl || echo testssl)" "testssl.sh"
    build_server
    rm -rf "$LOGS"
    mkdir -p "$LOGS"
    make_certificates "$LOGS/certificates"
    trap 'stop_server || true' EXIT
    start_server "$LOGS/server.log" "$LOGS/certificates"
    # One certificate by name after the other: P-256, RSA.
    for name in localhost rsa.localhost; do
        start=$(now)
        # It ends with the number of its findings, so the file says more than the status does.
        timeout --kill-after=10 "$LIMIT_SECONDS" testssl --quiet --color 0 --warnings batch \
            --nodns none --ip 127.0.0.1 --add-ca "$LOGS/certificates/root.crt" \
            --jsonfile "$LOGS/$name.json" "https://$name:$SERVER_PORT" \
            >"$LOGS/$name.log" 2>&1 </dev/null || true
        [ -e "$LOGS/$name.json" ] || die "testssl.sh wrote nothing; see $LOGS/$name.log"
        python3 "$ROOT/tests/clients/testssl.py" "$ROOT/docs/testssl.md" "$LOGS/$name.json" ||
            status=1
        say "testssl.sh: $name in $(elapsed "$start") s, log in $LOGS/$name.log"
    done
    stop_server || status=1
    return "$status"
}

main "$@"
