#!/usr/bin/env python3
"""The configurations of nginx and HAProxy in packaging/, with TLS in front of the server.

    CORECAST_BINARY=PATH proxies.py [URL]

Both are run as they are, but for addresses and paths. Prints one line for each check; exit status 0
if all passed, 1 otherwise. The URL, of a server that others test, is not used.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from http_tools import (TIMEOUT, Wrong, curl, demand, find, free_ports, haproxy_checks, log_lines,
                        run, run_checks, running, wait_for)
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
ORIGIN = "https://ws.example.org"
CLIENT = "127.0.0.77"


def changed(path, changes):
    """The text of a file with each key replaced, which has to be in it."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        demand(old in text, f"`{old}` is not in {path}")
        text = text.replace(old, new)
    return text


def certificate(folder):
    """A certificate for localhost, with its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", str(key), "-out", str(cert))
    return cert, key


@contextlib.contextmanager
def serving(settings, folder, ports):
    """The server with these settings, with ports of its own. Yields the process and its log."""
    binary, log = os.environ["CORECAST_BINARY"], folder / "server.log"
    file = folder / "corecast.toml"
    file.write_text(changed(settings, {":9001": f":{ports[0]}", ":9100": f":{ports[1]}"}))
    command = [binary, "serve", "--config", str(file), "--access-log",
               *os.environ.get("CORECAST_ARGS", "").split()]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: any("listening on" in line for line in log_lines(log)), "no start line")
        yield process, log
    finally:
        process.terminate()
        demand(process.wait(TIMEOUT) == 0, f"the server ended with {process.returncode}")


async def sockets(port, cert):
    """An echo and a message of a topic through the proxy; pages of other origins are refused."""
    context = ssl.create_default_context(cafile=str(cert))
    url = f"wss://localhost:{port}"
    options = {"ssl": context, "proxy": None, "open_timeout": 20, "close_timeout": 5}
    async with connect(f"{url}/echo", origin=ORIGIN, **options) as client:
        for message in ("hello", b"\x00" * 300_000):
            await client.send(message)
            got = await asyncio.wait_for(client.recv(), 20)
            demand(got == message, "another message came back")
    async with connect(f"{url}/pubsub", origin=ORIGIN, **options) as client:
        await client.send('{"subscribe":"a/+"}')
        await client.recv()
        await client.send('{"publish":"a/b","data":1}')
        demand(json.loads(await asyncio.wait_for(client.recv(), 20)) == {"topic": "a/b", "data": 1},
               "another message was delivered")
    try:
        async with connect(f"{url}/echo", origin="https://other.example", **options):
            raise Wrong("a page of another origin connected")
    except InvalidStatus as refused:
        demand(refused.response.status_code == 403, f"{refused}")


def check_clients(port, cert, log, proxy_log):
    """What all proxies have to do."""
    base = ("--cacert", str(cert), f"https://localhost:{port}")
    demand(curl(*base[:2], f"{base[2]}/healthz") == "ok\n", "no answer")
    asyncio.run(sockets(port, cert))
    # The address is that of the connection, whatever the client says of itself.
    curl("--interface", CLIENT, *base[:2], f"{base[2]}/told?access_token=s3cret",
         "--header", "X-Forwarded-For: 192.0.2.1", "--header", "Forwarded: for=192.0.2.2")
    told = wait_for(lambda: [line for line in log_lines(log) if '"/told"' in line], "no log line")
    demand(f"client={CLIENT} " in told[0], told[0])
    wait_for(lambda: "/told" in proxy_log.read_text(), f"no line in {proxy_log}")
    demand("s3cret" not in proxy_log.read_text() + log.read_text(), "a token is in a log")
    # Administration is not for clients.
    demand("404" in curl(*base[:2], "--head", f"{base[2]}/metrics"), "metrics for all")


def nginx_command(folder, ports, cert, key):
    """Writes the configuration of nginx, with these ports; returns what runs it."""
    site = changed(PACKAGING / "nginx/corecast.conf", {
        "listen 443 ssl": f"listen 127.0.0.1:{ports[2]} ssl",
        "listen [::]:443 ssl;": "",
        "127.0.0.1:9001": f"127.0.0.1:{ports[0]}",
        "/etc/nginx/corecast/cert.pem": str(cert),
        "/etc/nginx/corecast/key.pem": str(key),
        "/var/log/nginx/corecast.log": f"{folder}/access.log",
        "/var/log/nginx/corecast-error.log": f"{folder}/site-error.log",
    })
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{ worker_connections 256; }}\nhttp {{\n{temporary}{site}}}\n")
    return [find("nginx"), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]


def check_nginx():
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports(3)
        cert, key = certificate(folder)
        command = nginx_command(folder, ports, cert, key)
        with serving(PACKAGING / "nginx/corecast.toml", folder, ports) as (server, log):
            with running(command, ports[2], folder):
                check_clients(ports[2], cert, log, folder / "access.log")
                base = ("--cacert", str(cert), f"https://localhost:{ports[2]}")
                demand("\nwss://localhost:" in curl(*base), "another scheme in the page")
                # The server is gone, and what fails is no place for tokens either.
                server.terminate()
                server.wait(TIMEOUT)
                curl(*base[:2], f"{base[2]}/topics/a?access_token=s3cret")
                logs = [(folder / name).read_text() for name in ("access.log", "error.log",
                                                                 "site-error.log")]
                demand("502" in logs[0] and "s3cret" not in "".join(logs), "a token is in a log")
    return "TLS, WebSockets, origins, the scheme, the client in the log, no token in a log"


def check_haproxy():
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports(3)
        cert, key = certificate(folder)
        both = folder / "both.pem"
        both.write_text(cert.read_text() + key.read_text())
        text = changed(PACKAGING / "haproxy/haproxy.cfg", {
            "bind :443": f"bind 127.0.0.1:{ports[2]}",
            "127.0.0.1:9001": f"127.0.0.1:{ports[0]}",
            "port 9100": f"port {ports[1]}",
            "/etc/haproxy/corecast.pem": str(both),
            "server one ": "server s ",
        })
        (folder / "haproxy.cfg").write_text(
            f"global\n    stats socket {folder}/stats mode 600 level user\n{text}")
        command = [find("haproxy"), "-db", "-f", f"{folder}/haproxy.cfg"]
        with serving(PACKAGING / "haproxy/corecast.toml", folder, ports) as (server, log):
            with running(command, ports[2], folder):
                def state():
                    return haproxy_checks(folder)["corecast"]

                wait_for(lambda: state() == ("UP", "L7OK"), "HAProxy finds the server down")
                check_clients(ports[2], cert, log, folder / "log")
                check_drain(server, state, ports[0])
    return "the same, and a drain that HAProxy notices before clients are refused"


def check_drain(server, state, port):
    """HAProxy sends nobody there before the server refuses them."""
    server.send_signal(signal.SIGUSR2)
    wait_for(lambda: state()[0] == "DOWN", "HAProxy sends clients to a server that drains")
    demand(state()[1] == "L7STS", f"{state()}")
    # The listener is still there. Without the header it does not answer (52); closed, it is 7.
    command = [find("curl"), "--silent", "--max-time", "9", f"http://127.0.0.1:{port}/"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    demand(done.returncode == 52, f"it refused clients first: {done}")


if __name__ == "__main__":
    sys.exit(run_checks("Proxies", (check_nginx, check_haproxy)))
