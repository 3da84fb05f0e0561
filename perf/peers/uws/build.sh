#!/bin/sh
# Builds the uWebSockets peer: build.sh DIRECTORY makes DIRECTORY/uws, with the library next to it.
#
# uWebSockets is the shared library in the Python package socketify. If a dependency is missing, the
# exit status is 3 and one line names it; the comparison then goes on without this peer.
set -eu

version=0.0.31
sha256=7502bed5b382e75f04ea3c6d6b53b76f27bb8653740db92e3f2b55fab388df20
library=libsocketify_linux_amd64.so

without() {
    echo "uWebSockets peer left out: $1" >&2
    exit 3
}

[ $# -eq 1 ] || { echo "usage: build.sh DIRECTORY" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)

[ "$(uname -sm)" = "Linux x86_64" ] || without "the library is for Linux on x86-64 only"
for tool in gcc python3 sha256sum tar; do
    command -v "$tool" >/dev/null || without "$tool is missing; install it"
done

# The loader finds libuv and zlib by these names.
has_library() {
    printf 'int main(void) { return 0; }' |
        gcc -x c - -o /dev/null -Wl,--no-as-needed "-l:$1" 2>/dev/null
}
has_library libz.so.1 || without "libz.so.1 is missing; install zlib1g"
if ! has_library libuv.so.1; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
        without "libuv.so.1 is missing; install libuv1 (as root: apt-get install libuv1)"
    { apt-get install -y --no-install-recommends libuv1 ||
        { apt-get update && apt-get install -y --no-install-recommends libuv1; }; } \
        >/dev/null 2>&1 || without "apt-get cannot install libuv1"
fi

archive=$target/socketify-$version.tar.gz
is_right() {
    echo "$sha256  $archive" | sha256sum --check --status 2>/dev/null
}
if ! is_right; then
    # Only the archive is needed, not its dependencies.
    python3 -m pip --disable-pip-version-check download --quiet --no-deps --no-binary :all: \
        --dest "$target" "socketify==$version" >/dev/null 2>&1 ||
        without "pip cannot download socketify $version"
    is_right || without "socketify $version is not the archive that was tested"
fi
tar -xzf "$archive" -C "$target" --strip-components=3 \
    "socketify-$version/src/socketify/$library" || without "the archive has no $library"

gcc -O2 -std=c11 -Wall -Wextra -Werror "-DSOCKETIFY_VERSION=\"$version\"" \
    "$here/echo.c" -o "$target/uws" -Wl,-rpath,'$ORIGIN' "$target/$library" -l:libuv.so.1 ||
    without "gcc cannot build it"
"$target/uws" --version
