# shellcheck shell=bash
# Boots a program of this repository under a given kernel: QEMU without hardware support, a Debian
# kernel from its package, everything else in the initial RAM file system.
# This file is sourced, after scripts/lib.sh.

EMULATED=$TARGET_DIR/emulated
HERE=$ROOT/perf/emulated
# QEMU 7.2 corrupts flags around cmpxchg16b, which crashes the guest; 10 is known to work.
LEAST_QEMU=10
# AVX2, but no AVX-512, which the emulation does not have.
CPU=Haswell-v4

# shellcheck source=perf/emulated/packages.sh
source "$HERE/packages.sh"

# need_emulator: installs the programs for booting, if they are missing.
need_emulator() {
    local major=0
    [ "$(uname -m)" = x86_64 ] || die "the guest is x86-64, and so has to be this machine"
    mkdir -p "$EMULATED"
    command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ||
        install_packages busybox-static
    command -v qemu-system-x86_64 >/dev/null &&
        major=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
    [ "${major:-0}" -ge "$LEAST_QEMU" ] || install_qemu
}

# make_root ARCHIVE PROGRAM...: a root file system of busybox, the programs and their libraries.
make_root() {
    local archive=$1 root program library
    shift
    root=$(mktemp -d "$EMULATED/root.XXXXXX")
    mkdir -p "$root"/{bin,dev,proc,sys,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for program in $("$root/bin/busybox" --list); do
        ln -s busybox "$root/bin/$program" 2>/dev/null || true
    done
    for program in "$@"; do
        rm -f "$root/bin/${program##*/}"
        strip -o "$root/bin/${program##*/}" "$program"
        for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*'); do
            # At the same path as here, because some programs contain the path of a library.
            mkdir -p "$root${library%/*}"
            cp -L "$library" "$root$library"
        done
    done
    cp "$HERE/guest.sh" "$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$archive"
    rm -rf "$root"
}

# boot FOLDER ARCHIVE CPUS LIMIT [QEMU'S ARGUMENT...]: runs FOLDER/case in the guest, with the
# kernel $KERNEL, which gets $CMDLINE; QEMU is preloaded with $PRELOAD. Its output is in
# FOLDER/said, the console in FOLDER/console. Fails if the guest did not end within LIMIT seconds.
boot() {
    local folder=$1 archive=$2 cpus=$3 limit=$4 status=0
    shift 4
    : >"$folder/said"
    # The kernel unpacks concatenated archives in order.
    (cd "$folder" && echo case | busybox cpio -o -H newc 2>/dev/null | gzip -1 |
        cat "$archive" - >initrd)
    timeout --signal=KILL "$limit" env ${PRELOAD:+LD_PRELOAD="$PRELOAD"} qemu-system-x86_64 \
        -machine q35 -cpu "$CPU" -accel tcg,thread=multi,tb-size=512 -smp "$cpus" -m 3072 \
        -display none -nodefaults -no-reboot -monitor none \
        -serial "file:$folder/console" -serial "file:$folder/said" \
        -kernel "$KERNEL" -initrd "$folder/initrd" \
        -append "console=ttyS0 quiet panic=-1 nokaslr norandmaps mitigations=off ${CMDLINE:-}" \
        "$@" </dev/null >"$folder/qemu" 2>&1 || status=$?
    rm -f "$folder/initrd"
    tr -d '\r' <"$folder/said" | grep -qx end && return 0
    say "the guest did not end (status $status); its last output:" >&2
    tail -q -n 8 "$folder/qemu" "$folder/console" "$folder/said" | grep -v requested >&2 || true
    return 1
}
