# shellcheck shell=bash
# Debian packages, with a separate configuration of apt: the system's sources are not changed. The
# mirror is the one that the system uses. Sourced by boot.sh.

# quietly COMMAND...: runs it, and shows the end of its output if it fails.
quietly() {
    "$@" >"$EMULATED/packages.log" 2>&1 || {
        tail -n 20 "$EMULATED/packages.log" >&2
        return 1
    }
}

# need_root WHAT
need_root() {
    [ "$(id -u)" -eq 0 ] || die "not root; install as root: $*"
    command -v apt-get >/dev/null || die "no apt-get here; install by hand: $*"
}

install_packages() {
    need_root "$@"
    say "installing $*" >&2
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get install -y --no-install-recommends "$@" ||
        { quietly apt-get update && quietly apt-get install -y --no-install-recommends "$@"; } ||
        die "apt-get cannot install $*"
}

# mirror_of SUITE: the mirror of the suite in the system's sources, if there is one.
mirror_of() {
    # shellcheck disable=SC2016 # the fields are apt's
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' 'Created-By: Packages' |
        awk -v suite="$1" '$1 == suite && $2 == "main" && !n++ { print $3 }'
}

# own_apt STATUS SUITE...: sets APT to the options of an apt with these suites and with the packages
# that the file STATUS lists as installed, and downloads their indexes.
own_apt() {
    local status=$1 folder=$EMULATED/apt mirror security site codename suite
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    shift
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}") || true
    mirror=$(mirror_of "$codename")
    security=$(mirror_of "$codename-security")
    [ -n "$mirror" ] || die "no Debian mirror in this system's sources; give the path of a" \
        "kernel with --kernel, and install qemu-system-x86 (version $LEAST_QEMU or later) by hand"
    mkdir -p "$folder"/{lists/partial,cache/archives/partial}
    for suite in "$@"; do
        case $suite in
        *-security) site=$security ;;
        *) site=$mirror ;;
        esac
        [ -z "$site" ] || echo "deb [signed-by=$keyring] $site $suite main"
    done >"$folder/sources.list"
    APT=(-o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$folder/lists" -o "Dir::State::status=$status"
        -o "Dir::Cache=$folder/cache" -o Acquire::Languages=none -o APT::Sandbox::User=)
    quietly apt-get "${APT[@]}" update
}

# install_qemu: installs the distribution's, or that of its backports if the former is too old.
install_qemu() {
    local codename candidate
    need_root "qemu-system-x86 of version $LEAST_QEMU or later"
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    quietly apt-get update || true
    candidate=$(apt-cache policy qemu-system-x86 |
        sed -n 's/.*Candidate: \([0-9]*:\)\?\([0-9]*\)\..*/\2/p')
    if [ "${candidate:-0}" -ge "$LEAST_QEMU" ]; then
        install_packages qemu-system-x86
        return
    fi
    say "installing qemu-system-x86 from the backports of $codename" >&2
    own_apt /var/lib/dpkg/status "$codename" "$codename-updates" "$codename-backports" ||
        die "the indexes of $codename-backports cannot be fetched"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get "${APT[@]}" install -y --no-install-recommends -t "$codename-backports" \
        qemu-system-x86 || die "qemu-system-x86 cannot be installed from $codename-backports"
}

# need_kernel SERIES|PATH: sets KERNEL to the path of a kernel and RELEASE to its name. Packages are
# downloaded once, the newest of the series, and kept in the target directory.
need_kernel() {
    local series=$1 folder=$EMULATED/kernels/$1 suites suite
    if [ -f "$series" ]; then
        KERNEL=$(realpath "$series") RELEASE=${series##*/}
        return
    fi
    [[ $series =~ ^[0-9]+\.[0-9]+$ ]] || die "--kernel takes 6.1, 6.12 or the like, or a path"
    KERNEL=$folder/vmlinuz
    if [ ! -f "$KERNEL" ]; then
        case $series in
        6.1) suites=('bookworm bookworm-security') ;;
        6.12) suites=(trixie) ;;
        *) suites=(trixie-backports testing unstable) ;;
        esac
        say "fetching a kernel of $series" >&2
        mkdir -p "$folder"
        : >"$EMULATED/no-status"
        for suite in "${suites[@]}"; do
            # shellcheck disable=SC2086 # some are two
            own_apt "$EMULATED/no-status" $suite || continue
            fetch_kernel "$series" "$folder" && break
        done
        [ -f "$KERNEL" ] || die "no kernel of $series in: ${suites[*]}"
    fi
    # shellcheck disable=SC2034 # for the scripts that source this one
    RELEASE=$(cat "$folder/release")
}

# fetch_kernel SERIES FOLDER: downloads the newest kernel for virtual machines of the suite. It is
# in linux-image or, in newer suites, in linux-binary.
fetch_kernel() {
    local series=$1 folder=$2 kind name file image
    for kind in image binary; do
        name=$(apt-cache "${APT[@]}" search --names-only \
            "^linux-$kind-${series/./\\.}[.+-].*cloud-amd64\$" |
            cut -d ' ' -f 1 | sort -V | tail -n 1)
        [ -n "$name" ] || continue
        rm -f "$folder"/*.deb
        (cd "$folder" && quietly apt-get "${APT[@]}" download "$name") || continue
        file=$(echo "$folder"/*.deb)
        image=$(dpkg-deb --fsys-tarfile "$file" | tar -t | grep -E '/vmlinuz(-[^/]*)?$') || true
        if [ -n "$image" ]; then
            dpkg-deb --fsys-tarfile "$file" | tar -xO "$image" >"$folder/vmlinuz.part"
            echo "${name#linux-"$kind"-}" >"$folder/release"
            mv "$folder/vmlinuz.part" "$folder/vmlinuz"
        fi
        rm -f "$folder"/*.deb
        [ -z "$image" ] || return 0
    done
    return 1
}
