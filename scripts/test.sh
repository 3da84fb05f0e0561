#!/usr/bin/env bash
# Everything CI runs, step by step; all steps run even if one fails. Exit status 0: all passed.
#
#   scripts/test.sh [--only NAME]... [--skip NAME]... [--list]
#
# The output of each step is in target/test-logs/NAME.log; its end is shown when the step fails.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LOGS="$TARGET_DIR/test-logs"
STEPS=(setup fmt clippy test restarts doc benches build package budget compare peers autobahn
    clients epoll)
ONLY=()
SKIP=()
SUMMARY=()
PASSED=0
FAILED=0

# Each step is one command: its status is the step's.
step_setup() { scripts/setup.sh; }
step_fmt() { cargo fmt --all --check; }
step_clippy() {
    cargo clippy --locked --workspace --all-targets -- -D warnings && check_library
}
# Most tests wait for a server or a deadline, so more run at once than there are processors; those
# that want the machine for themselves take turns. The examples are not built: clippy checks them,
# three of them are parts of tests, and each takes as long to build as a program of tests.
step_test() {
    local status=0
    RUST_TEST_THREADS=$(test_threads) \
        cargo test --locked --workspace --profile ci --no-fail-fast --tests || status=1
    cargo test --locked --workspace --profile ci --no-fail-fast --doc || status=1
    return "$status"
}
# 50 of them; the tests above have five, on both interfaces of the kernel.
step_restarts() { scripts/restarts.sh; }
step_doc() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps; }
# Each benchmark is run once; with the profile of the tests, most of it is built.
step_benches() { cargo test --locked --workspace --profile ci --bench '*'; }
step_build() { cargo build --release --locked --bin corecast; }
step_package() {
    step_build && CORECAST="$TARGET_DIR/release/corecast" scripts/deb.sh --check
}
step_budget() {
    step_build &&
        cargo build --locked --profile ci -p corecast-perf --bin budget &&
        count_instructions && count_instructions --limits && count_instructions --backend epoll
}
# count_instructions [OPTION]...: compares with the budgets of a backend.
# The instructions of a turn are shared by the messages that it finds, which are more or fewer from
# run to run by the machine. What the code needs more, it needs each time.
count_instructions() {
    for _ in 1 2 3; do
        "$TARGET_DIR/ci/budget" --server "$TARGET_DIR/release/corecast" "$@" && return
    done
    return 1
}
# The figures of such a short run mean nothing; this checks that the tools run from end to end.
step_compare() {
    local only=() name results="$TARGET_DIR/test-logs/compare.json"
    for name in echo-20-d16 deflate-1k fanout-8 handshakes idle; do only+=(--only "$name"); done
    step_build &&
        cargo build --locked --profile ci -p corecast-perf --bins &&
        "$TARGET_DIR/ci/compare" "${only[@]}" --no-peers --rounds 2 --seconds 0.1 --no-step \
            --corecast "$TARGET_DIR/release/corecast" --verify --json "$results" &&
        "$TARGET_DIR/ci/report" "$results" --out "$TARGET_DIR/test-logs/charts" &&
        "$TARGET_DIR/ci/compare" --tls --no-peers --without corecast-epoll --rounds 1 \
            --seconds 0.1 --no-step --corecast "$TARGET_DIR/release/corecast" --verify \
            --json "$TARGET_DIR/test-logs/compare-tls.json" &&
        ! grep -q '"failed": "' "$results" "$TARGET_DIR/test-logs/compare-tls.json"
}
step_peers() {
    local target
    target=$(realpath "$TARGET_DIR")/peers
    (
        cd perf/peers && cargo fmt --check &&
            CARGO_TARGET_DIR=$target cargo clippy --locked --all-targets -- -D warnings &&
            CARGO_TARGET_DIR=$target cargo test --locked
    )
}
# TLS changes how bytes arrive and leave, not what frames mean: over TLS the cases suffice that
# send much, in pieces, or close. All of them take four minutes.
step_autobahn() {
    scripts/autobahn.sh &&
        scripts/autobahn.sh --tls --cases '1.*,2.*,5.*,7.*,9.*,10.*,12.1.5,12.1.10,12.1.18'
}
step_clients() { scripts/clients.sh; }
# A part of what scripts/epoll.sh --all runs.
step_epoll() { scripts/epoll.sh; }

# check_library: the library alone compiles without the command's feature, and depends on nothing
# that only the command needs.
check_library() {
    local tree
    cargo clippy --locked -p corecast --lib --no-default-features -- -D warnings &&
        cargo clippy --locked -p corecast --lib --no-default-features --features sim -- -D warnings &&
        tree=$(cargo tree --locked -p corecast -e normal --no-default-features --prefix none) &&
        ! grep -E '^(clap|mimalloc|signal-hook|strsim|toml|tracing-subscriber) ' <<<"$tree"
}

# contains WORD LIST...: whether the list holds the word.
contains() {
    local word=$1 item
    shift
    for item in "$@"; do
        [ "$item" != "$word" ] || return 0
    done
    return 1
}

usage() { die "usage: scripts/test.sh [--only NAME]... [--skip NAME]...; steps: ${STEPS[*]}"; }

parse_options() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --only | --skip)
                contains "${2:-}" "${STEPS[@]}" || usage
                if [ "$1" = --only ]; then ONLY+=("$2"); else SKIP+=("$2"); fi
                shift 2
                ;;
            --list)
                printf '%s\n' "${STEPS[@]}"
                exit 0
                ;;
            *) usage ;;
        esac
    done
}

# headline LOG: the summary of a log: the numbers of tests, Autobahn cases and client checks, and
# the checks that were skipped.
headline() {
    awk '/^test result: ok/ { tests += $4; programs++ }
        /^Autobahn: .* expected/ || /checks passed/ || /^NOT CHECKED/ { print "    " $0 }
        END { if (programs) printf "    %d tests in %d programs\n", tests, programs }' "$1"
}

# run_step NUMBER TOTAL NAME: one step, its log, and its line in the summary.
run_step() {
    local number=$1 total=$2 name=$3 log="$LOGS/$3.log" start took status=0
    start=$(now)
    printf '[%d/%d] %-9s ' "$number" "$total" "$name"
    "step_$name" >"$log" 2>&1 </dev/null || status=$?
    took=$(elapsed "$start")
    if [ "$status" -eq 0 ]; then
        PASSED=$((PASSED + 1))
        printf 'passed %8s s\n' "$took"
        SUMMARY+=("$(printf 'passed  %-9s %8s s' "$name" "$took")")
        headline "$log"
    else
        FAILED=$((FAILED + 1))
        printf 'FAILED %8s s, status %d; what failed, and the end of %s:\n' "$took" "$status" "$log"
        # The end of a long log need not hold the names.
        # Lines after a panic say what was wrong.
        grep -E -A 6 -m 30 '^test .* FAILED|panicked at|^error' "$log" | head -n 90 |
            cut -c -240 | sed 's/^/  ! /' || true
        tail -n 60 "$log" | sed 's/^/    /'
        SUMMARY+=("$(printf 'FAILED  %-9s %8s s  %s' "$name" "$took" "$log")")
    fi
}

main() {
    local name number=0 chosen=() start
    parse_options "$@"
    for name in "${STEPS[@]}"; do
        [ "${#ONLY[@]}" -eq 0 ] || contains "$name" "${ONLY[@]}" || continue
        ! contains "$name" "${SKIP[@]}" || continue
        chosen+=("$name")
    done
    [ "${#chosen[@]}" -gt 0 ] || die "no step is left to run; steps: ${STEPS[*]}"
    cd "$ROOT"
    mkdir -p "$LOGS"
    start=$(now)
    for name in "${chosen[@]}"; do
        number=$((number + 1))
        run_step "$number" "${#chosen[@]}" "$name"
    done
    printf '\n'
    printf '%s\n' "${SUMMARY[@]}"
    printf 'total %s s, logs in %s\n' "$(elapsed "$start")" "$LOGS"
    printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
    [ "$FAILED" -eq 0 ]
}

main "$@"
