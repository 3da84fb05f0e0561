#!/usr/bin/env python3
"""TLS with common programs: curl, wget (GnuTLS), ab and openssl's s_client.

    tls_tools.py CERTIFICATES wss://localhost:PORT

CERTIFICATES is a folder that make_certificates of scripts/lib.sh has filled. Prints one line for
each check; exit status 0 if all passed, 1 otherwise.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from http_tools import (
    TIMEOUT,
    Wrong,
    check_ab,
    check_curl,
    check_curl_bodies,
    check_wget,
    curl,
    demand,
    find,
    run,
)

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
VERSIONS = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
# What curl ends with: TLS cannot be agreed on, the certificate is not trusted.
NO_TLS, NOT_TRUSTED = 35, 60


class Target:
    """The server, and the files of its certificates."""

    def __init__(self, folder, url):
        self.folder = Path(folder)
        self.host = url.removeprefix("wss://").rstrip("/")
        self.port = self.host.rsplit(":", 1)[1]
        self.url = f"https://{self.host}/"
        self.root = str(self.folder / "root.crt")

    def s_client(self, *arguments, name="localhost", pieces=(REQUEST,), status=0, port=None):
        """Runs openssl's s_client and sends these pieces; returns all that it prints."""
        command = [find("openssl"), "s_client", "-connect", f"127.0.0.1:{port or self.port}"]
        command += ["-servername", name, "-verify_hostname", name, "-verify_return_error"]
        command += ["-CAfile", self.root, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with limited(process):
            for number, piece in enumerate(pieces):
                # A command of s_client has to be the first byte of what it reads at once.
                if number > 0:
                    time.sleep(0.5)
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(piece)
                    process.stdin.flush()
            # It ends when the server does, or when its own input does.
            text = process.stdout.read().decode(errors="replace")
            code = process.wait()
        demand(code == status, f"s_client {' '.join(arguments)} ended with {code}: {text}")
        return text


@contextlib.contextmanager
def limited(process):
    """Kills a process at the end of the block, or when it takes too long."""
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def demand_answer(text):
    """The server has answered the request, and has ended TLS before TCP."""
    demand("HTTP/1.1 200 OK" in text and "\nok\n" in text.replace("\r", ""), text)
    demand("unexpected eof" not in text, f"TCP ended before TLS: {text}")


def check_http(target):
    """The checks of plain HTTP, with https."""
    return "; ".join(check(target.url) for check in (check_curl, check_curl_bodies, check_wget))


def check_load(target):
    """Thousands of handshakes, and thousands of requests in few of them."""
    return check_ab(target.url)


def check_versions(target):
    """TLS 1.2 and 1.3 are spoken, and nothing older."""
    for option, version in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
        text = curl("--verbose", f"--tlsv{option}", "--tls-max", option, f"{target.url}healthz")
        demand(f"SSL connection using {version}" in text, text)
        demand("ALPN: server accepted http/1.1" in text, text)
    for option in ("-tls1", "-tls1_1"):
        # OpenSSL itself refuses these versions above the lowest level.
        text = target.s_client(option, "-cipher", "DEFAULT@SECLEVEL=0", status=1)
        demand("alert protocol version" in text or "alert handshake failure" in text, text)
    text = target.s_client("-alpn", "h2", status=1)
    demand("no application protocol" in text, text)
    return "1.2 and 1.3; 1.0, 1.1 and HTTP/2 alone are refused with an alert"


def check_suites(target):
    """Each cipher suite and each group is agreed on."""
    groups = ("X25519", "P-256", "P-384")
    suites = {
        "TLSv1.3": ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256",
                    "TLS_CHACHA20_POLY1305_SHA256"),
        "TLSv1.2": ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"),
    }
    count = 0
    for name, key in (("localhost", "ECDSA"), ("rsa.localhost", "RSA")):
        for group in groups:
            demand_answer(target.s_client("-groups", group, name=name))
        for suite in suites["TLSv1.3"]:
            text = target.s_client("-tls1_3", "-ciphersuites", suite, name=name)
            demand_answer(text)
            demand(f"Cipher is {suite}" in text, text)
        for suite in suites["TLSv1.2"]:
            suite = f"ECDHE-{key}-{suite}"
            text = target.s_client("-tls1_2", "-cipher", suite, name=name)
            demand_answer(text)
            demand(f"Cipher is {suite}" in text, text)
        count += len(groups) + len(suites["TLSv1.3"]) + len(suites["TLSv1.2"])
    return f"{count} choices of a suite or a group, keys on P-256 and RSA"


def check_trust(target):
    """Each name has its certificate; clients that do not trust it do not connect."""
    elsewhere = ("--resolve", f"rsa.localhost:{target.port}:127.0.0.1")
    elsewhere += ("--resolve", f"other.example:{target.port}:127.0.0.1")
    for host in ("localhost", "127.0.0.1", "rsa.localhost"):
        page = curl(*elsewhere, "--fail", f"https://{host}:{target.port}/healthz")
        demand(page == "ok\n", page)
    refused = ("curl", "--silent", *elsewhere)
    run(*refused, f"https://other.example:{target.port}/healthz", status=NOT_TRUSTED)
    stranger = str(target.folder / "between.crt")
    run(*refused, "--cacert", stranger, f"https://127.0.0.1:{target.port}/", status=NOT_TRUSTED)
    return "two certificates by name, one by address; no other name and no other root is trusted"


def check_upgrade(target):
    """A WebSocket opened by curl."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    options = [part for item in headers.items() for part in ("--header", ": ".join(item))]
    for version in ("1.2", "1.3"):
        command = [find("curl"), "--silent", "--verbose", "--http1.1", "--tls-max", version]
        # What it says of the answer is not buffered, and it then waits for a message.
        process = subprocess.Popen(
            [*command, *options, f"{target.url}echo"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        with limited(process):
            lines = []
            while line := process.stderr.readline().decode().strip():
                lines.append(line)
                if line == "<":
                    break
        demand("< HTTP/1.1 101 Switching Protocols" in lines, "\n".join(lines))
        demand("< Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines, "\n".join(lines))
    return "101 with TLS 1.2 and 1.3"


def check_no_tls(target):
    """Plain HTTP on this port is answered with what to do, once."""
    answer = curl("--include", f"http://127.0.0.1:{target.port}/")
    demand(answer.startswith("HTTP/1.1 400 ") and "https://" in answer, answer)
    run("curl", "--silent", "--max-time", "20", "--tls-max", "1.1", "--ciphers",
        "DEFAULT@SECLEVEL=0", target.url, status=NO_TLS)
    return "400 that names https://"


def check_resumption(target):
    """A session is resumed with the ticket of the one before it."""
    with tempfile.TemporaryDirectory() as folder:
        for version, option in VERSIONS.items():
            session = f"{folder}/{version}"
            text = target.s_client(option, "-sess_out", session)
            demand_answer(text)
            demand(f"New, {version}, Cipher is" in text, text)
            # The ticket of a resumed session is good for another one.
            for _ in range(3):
                text = target.s_client(option, "-sess_in", session, "-sess_out", session)
                demand_answer(text)
                demand(f"Reused, {version}, Cipher is" in text, text)
            text = target.s_client(option)
            demand(f"New, {version}, Cipher is" in text, text)
    return "TLS 1.2 and 1.3, three times each"


def check_early_data(target):
    """Early data, which another server has allowed: they are skipped, and the handshake is full."""
    with tempfile.TemporaryDirectory() as folder:
        session, data = f"{folder}/session", Path(folder, "data")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [find("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-quiet"]
        command += ["-tls1_3", "-early_data", "-cert", f"{target.folder}/localhost.crt"]
        other = subprocess.Popen(
            [*command, "-key", f"{target.folder}/localhost.key"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        with limited(other):
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            # The ticket comes before the client is told to quit.
            target.s_client("-tls1_3", "-sess_out", session, pieces=(b"a\n", b"Q\n"), port=port)
        count = 0
        # The first group is one that the server does not have: it asks for another hello.
        for groups in ("X25519", "P-521:X25519"):
            for size in (1, 1_000, 9_000, 16_000):
                data.write_bytes(b"G" * size)
                text = target.s_client("-tls1_3", "-groups", groups, "-sess_in", session,
                                       "-early_data", str(data))
                demand_answer(text)
                demand("Early data was rejected" in text, text)
                demand("New, TLSv1.3, Cipher is" in text, text)
                count += 1
    return f"skipped {count} times, also before a second hello"


def check_updates(target):
    """Updates of the keys in TLS 1.3: the client's own, and one that asks for the server's."""
    text = target.s_client("-tls1_3", pieces=(b"k\n", b"K\n", b"K\n", REQUEST))
    demand_answer(text)
    demand(text.count("KEYUPDATE") == 3, text)
    return "one of the client, two of both sides"


CHECKS = (check_http, check_load, check_versions, check_suites, check_trust, check_upgrade,
          check_no_tls, check_resumption, check_early_data, check_updates)


def main():
    if len(sys.argv) != 3 or not sys.argv[2].startswith("wss://"):
        print("usage: tls_tools.py CERTIFICATES wss://HOST:PORT", file=sys.stderr)
        return 2
    # Loopback only: nothing between the client and the server may change the bytes.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    target = Target(*sys.argv[1:])
    # What curl and wget trust, instead of the roots of the system.
    settings = target.folder / "wgetrc"
    settings.write_text(f"ca_certificate = {target.root}\n", encoding="utf-8")
    os.environ.update(CURL_CA_BUNDLE=target.root, WGETRC=str(settings))
    failed = passed = 0
    for check in CHECKS:
        name, start = check.__name__.removeprefix("check_"), time.monotonic()
        try:
            detail = check(target)
            passed += 1
            print(f"ok   {name}: {detail}, {time.monotonic() - start:.1f} s")
        except (Wrong, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
    print(f"TLS programs: {passed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
