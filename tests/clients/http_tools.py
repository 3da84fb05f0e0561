#!/usr/bin/env python3
"""Plain HTTP with common programs: curl, wget, ab, and HAProxy and nginx in front of the server.

    http_tools.py ws://127.0.0.1:PORT

Prints one line for each check; exit status 0 if all passed, 1 otherwise.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import connect

TIMEOUT = 30
# Where Debian puts programs that are not in the path of every user.
SYSTEM = "/usr/sbin:/sbin"


class Wrong(Exception):
    """The behaviour is not the expected one."""


def demand(condition, text):
    """Raises `Wrong` with the text unless the condition holds."""
    if not condition:
        raise Wrong(text)


def find(program):
    """The path of a program."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    demand(path, f"{program} is not installed; run scripts/setup.sh")
    return path


def run(*command, status=0):
    """Runs a program and returns all that it prints; it has to end with this status."""
    done = subprocess.run(
        [find(command[0]), *command[1:]], capture_output=True, text=True, timeout=TIMEOUT
    )
    text = done.stdout + done.stderr
    demand(done.returncode == status, f"{' '.join(command)} ended with {done.returncode}: {text}")
    return text


def curl(*arguments):
    return run("curl", "--silent", "--show-error", "--max-time", "20", *arguments)


def free_ports(count):
    """Ports that are free at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(condition, what):
    """Waits until the condition holds, and returns what it returns."""
    end = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(OSError):
            if result := condition():
                return result
        demand(time.monotonic() < end, what)
        time.sleep(0.05)


def accepts(port):
    socket.create_connection(("127.0.0.1", port), 1).close()
    return True


@contextlib.contextmanager
def running(command, port, folder):
    """Runs a proxy until the end of the block; it has to listen on this port."""
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: accepts(port), f"{command[0]} does not listen: {log.read_text()}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def echo(url):
    """A message through a WebSocket comes back."""
    async with connect(url, proxy=None, open_timeout=20, close_timeout=5) as client:
        for message in ("hello", b"\x00" * 70_000):
            await client.send(message)
            got = await asyncio.wait_for(client.recv(), 20)
            demand(got == message, f"{url}: another message came back")


def check_curl(url):
    head = curl("--head", url)
    demand(head.startswith("HTTP/1.1 200 "), head)
    demand("Content-Length: " in head and "Connection: close" not in head, head)
    host = url.split("://")[1].rstrip("/")
    for version in ("--http1.0", "--http1.1", "--http2"):
        page = curl("--fail", version, url)
        demand(f"://{host}/echo" in page, f"{version}: {page}")
    both = curl("--verbose", f"{url}healthz", f"{url}healthz")
    demand(both.count("HTTP/1.1 200 OK") == 2 and "Re-using existing connection" in both, both)
    answer = curl("--include", "--request", "OPTIONS", url)
    demand("Allow: GET, HEAD, OPTIONS" in answer, answer)
    demand("404" in curl("--head", f"{url}nothing"), "no 404")
    demand("426" in curl("--head", f"{url}pubsub"), "no 426")
    return "HEAD, 1.0, 1.1, --http2, keep-alive, OPTIONS"


def check_curl_bodies(url):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        data = ("--verbose", "--data-binary", f"@{file.name}")
        expect = ("--header", "Expect: 100-continue")
        both = curl(*data, *expect, f"{url}healthz", "--next", *data, f"{url}healthz")
        demand("HTTP/1.1 100 Continue" in both, both[:2000])
        demand(both.count("HTTP/1.1 405 ") == 2, both[:2000])
        chunked = ("--header", "Transfer-Encoding: chunked")
        demand("HTTP/1.1 405 " in curl(*data, *chunked, url), "chunks get no answer")
        file.write(b"x" * 1_000_000)
        file.flush()
        large = curl(*data, *expect, f"{url}healthz")
        demand("HTTP/1.1 413 " in large and "100 Continue" not in large, large[:2000])
    return "Expect, Content-Length, chunks, 413"


def check_wget(url):
    run("wget", "--no-proxy", "--tries=1", "--spider", url)
    run("wget", "--no-proxy", "--tries=1", "--spider", f"{url}healthz")
    run("wget", "--no-proxy", "--tries=1", "--spider", f"{url}nothing", status=8)
    body = run("wget", "--no-proxy", "--tries=1", "--quiet", "--output-document=-", f"{url}healthz")
    demand(body == "ok\n", body)
    return "--spider of two pages and of none"


def check_ab(url):
    count = 3000
    for option in ("-k", "-q", "-i"):
        text = run("ab", option, "-n", str(count), "-c", "20", f"{url}healthz")
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        figures = {name: value.split()[0] for name, value in lines.items() if value.split()}
        demand(figures.get("Complete requests") == str(count), text)
        demand(figures.get("Failed requests") == "0" and "Non-2xx" not in text, text)
        kept = figures.get("Keep-Alive requests", "0")
        demand(kept == (str(count) if option == "-k" else "0"), text)
    return f"{count} requests each with keep-alive, without, and with HEAD"


HEALTH_CHECKS = (
    "option httpchk",
    "option httpchk OPTIONS /",
    "option httpchk GET /",
    "option httpchk HEAD /",
    "option httpchk GET /healthz HTTP/1.0",
    "option httpchk\n    http-check send meth OPTIONS uri / ver HTTP/1.1 hdr Host localhost",
    "option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost",
    "option httpchk\n    http-check send meth HEAD uri / ver HTTP/1.1 hdr Host localhost",
    "option httpchk\n    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host localhost\n"
    "    http-check expect status 200",
)


def haproxy_config(folder, listens, server):
    """Each form of health check has a back end of its own; the first one is proxied to."""
    backends = "".join(
        f"backend b{number}\n    {check}\n    http-reuse always\n"
        f"    server s {server} check inter 200ms\n"
        for number, check in enumerate(HEALTH_CHECKS)
    )
    return f"""
global
    stats socket {folder}/stats mode 600 level user
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout tunnel 20s
frontend f
    bind 127.0.0.1:{listens}
    default_backend b0
{backends}"""


def haproxy_checks(folder):
    """The state of each server and the result of its last health check."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.settimeout(5)
        stats.connect(str(folder / "stats"))
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
    lines = [line.split(",") for line in text.removeprefix("# ").splitlines() if line]
    names, rows = lines[0], [dict(zip(lines[0], line)) for line in lines[1:]]
    demand("check_status" in names, text)
    # A star is in front of the last result while the next check is under way.
    return {row["pxname"]: (row["status"], row["check_status"].removeprefix("* ")) for row in rows
            if row["svname"] == "s"}


def check_haproxy(url):
    server = url.removeprefix("http://").rstrip("/")
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        config = folder / "haproxy.cfg"
        config.write_text(haproxy_config(folder, port, server))
        with running([find("haproxy"), "-db", "-f", str(config)], port, folder):
            def decided():
                states = haproxy_checks(folder)
                return states if all(check for _, check in states.values()) else None

            states = wait_for(decided, "HAProxy does not check")
            # Some checks more, also on new connections.
            time.sleep(1)
            states = haproxy_checks(folder)
            for number, check in enumerate(HEALTH_CHECKS):
                demand(states[f"b{number}"] == ("UP", "L7OK"), f"{check}: {states[f'b{number}']}")
            through = f"http://127.0.0.1:{port}/"
            for _ in range(2):
                demand("HTTP/1.1 200 OK" in curl("--verbose", f"{through}healthz"), "no answer")
            demand("HTTP/1.1 405 " in curl("--verbose", "--data", "x=1", through), "no 405")
            asyncio.run(echo(f"ws://127.0.0.1:{port}/echo"))
    return f"{len(HEALTH_CHECKS)} forms of health checks, requests and a WebSocket through it"


def nginx_config(folder, ports, server):
    plain, kept, upgrading = ports
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
{temporary}
    upstream corecast {{ server {server}; keepalive 4; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{plain};
        location / {{ proxy_pass http://{server}; }}
    }}
    server {{
        listen 127.0.0.1:{kept};
        location / {{
            proxy_pass http://corecast;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
    server {{
        listen 127.0.0.1:{upgrading};
        location / {{
            proxy_pass http://corecast;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def check_nginx(url):
    server = url.removeprefix("http://").rstrip("/")
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports(3)
        config = folder / "nginx.conf"
        config.write_text(nginx_config(folder, ports, server))
        command = [find("nginx"), "-c", str(config), "-e", f"{folder}/error.log"]
        with running(command, ports[2], folder):
            for port in ports:
                through = f"http://127.0.0.1:{port}/"
                for _ in range(3):
                    answer = curl("--verbose", f"{through}healthz")
                    demand("HTTP/1.1 200 OK" in answer and answer.startswith("ok\n"), answer)
                demand("200 OK" in curl("--head", through), "HEAD gets no answer")
                answer = curl("--verbose", "--data", "x" * 100_000, through)
                demand("HTTP/1.1 405 " in answer, answer[:2000])
                chunked = curl("--verbose", "--header", "Transfer-Encoding: chunked",
                               "--data", "x=1", through)
                demand("HTTP/1.1 405 " in chunked, chunked[:2000])
            for path in ("echo", "topics/nginx"):
                asyncio.run(echo(f"ws://127.0.0.1:{ports[2]}/{path}"))
    return "1.0, 1.1 with kept connections, WebSockets through it"


def log_lines(path):
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


@contextlib.contextmanager
def proxied_server(folder):
    """A server of its own whose listeners take the PROXY protocol: on TCP and on a Unix-domain
    socket. Yields the port, the path and its log."""
    program = os.environ.get("CORECAST_BINARY")
    demand(program, "CORECAST_BINARY does not name the server")
    (port,), path, log = free_ports(1), folder / "socket", folder / "server.log"
    command = [program, "serve", *os.environ.get("CORECAST_ARGS", "").split(),
               "--listen", f"127.0.0.1:{port},proxy", "--listen", f"unix:{path},proxy"]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: any("listening on" in line for line in log_lines(log)), "no start line")
        yield port, path, log
    finally:
        process.terminate()
        demand(process.wait(20) == 0, f"the server ended with {process.returncode}")


def demand_client(through, log, address):
    """A refused request through a proxy is logged with the address of this client."""
    answer = curl("--interface", address, "--include", "--header", "Host: a b", through)
    demand("HTTP/1.1 400 " in answer, answer)
    # The log has one line a second at most for each kind; the next one names the last client.
    wait_for(lambda: any(f"client={address}" in line for line in log_lines(log)),
             f"{address} is not in the log: {log_lines(log)[-3:]}")


def check_haproxy_headers(_url):
    """HAProxy in front with send-proxy and send-proxy-v2, also in its health checks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with proxied_server(folder) as (server, path, log):
            kinds = (("send-proxy", f"127.0.0.1:{server}"), ("send-proxy-v2", f"127.0.0.1:{server}"),
                     ("send-proxy-v2-ssl", f"127.0.0.1:{server}"), ("send-proxy-v2", f"unix@{path}"))
            ports = free_ports(len(kinds))
            fronts = "".join(
                f"frontend f{number}\n    bind 127.0.0.1:{port}\n    default_backend b{number}\n"
                f"backend b{number}\n    option httpchk GET /healthz\n"
                f"    server s {address} {option} check inter 200ms\n"
                for number, ((option, address), port) in enumerate(zip(kinds, ports))
            )
            config = folder / "haproxy.cfg"
            config.write_text(
                f"global\n    stats socket {folder}/stats mode 600 level user\n"
                "defaults\n    mode http\n    timeout connect 5s\n    timeout client 20s\n"
                f"    timeout server 20s\n    timeout tunnel 20s\n{fronts}"
            )
            with running([find("haproxy"), "-db", "-f", str(config)], ports[-1], folder):
                def up():
                    states = haproxy_checks(folder)
                    return all(state == ("UP", "L7OK") for state in states.values())

                wait_for(up, f"HAProxy finds a server down: {haproxy_checks(folder)}")
                time.sleep(1)
                demand(up(), f"HAProxy finds a server down: {haproxy_checks(folder)}")
                for number, port in enumerate(ports):
                    through = f"http://127.0.0.1:{port}/"
                    for _ in range(2):
                        demand(curl(f"{through}healthz") == "ok\n", "no answer")
                    asyncio.run(echo(f"ws://127.0.0.1:{port}/echo"))
                # HAProxy itself refuses what is wrong, so it passes on only what it does not read.
                tcp = folder / "tcp.cfg"
                (port,) = free_ports(1)
                tcp.write_text(
                    "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 20s\n"
                    f"    timeout server 20s\nlisten t\n    bind 127.0.0.1:{port}\n"
                    f"    server s 127.0.0.1:{server} send-proxy-v2\n"
                )
                with running([find("haproxy"), "-db", "-f", str(tcp)], port, folder):
                    demand_client(f"http://127.0.0.1:{port}/", log, "127.0.0.77")
            demand("without a PROXY header" not in log.read_text(), log.read_text())
            answer = subprocess.run(
                [find("curl"), "--silent", "--max-time", "20", f"http://127.0.0.1:{server}/"],
                capture_output=True, timeout=TIMEOUT, check=False,
            )
            demand(answer.returncode == 52 and not answer.stdout, f"an answer: {answer}")
            wait_for(lambda: "without a PROXY header" in log.read_text(), "no line in the log")
    return "send-proxy, -v2, -v2-ssl, to a socket file, health checks, the client in the log"


def check_nginx_headers(_url):
    """nginx in front as a proxy of TCP with `proxy_protocol on`, which is version 1."""
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        built_in = "--with-stream " in f"{run('nginx', '-V')} "
        if not built_in and not module.exists():
            return "skipped: this nginx has no stream module"
        with proxied_server(folder) as (server, _path, log):
            load = "" if built_in else f"load_module {module};\n"
            config = folder / "nginx.conf"
            config.write_text(
                f"{load}daemon off;\nmaster_process off;\npid {folder}/pid;\n"
                f"error_log {folder}/error.log;\nevents {{ worker_connections 256; }}\n"
                f"stream {{ server {{ listen 127.0.0.1:{port}; proxy_protocol on;\n"
                f"    proxy_pass 127.0.0.1:{server}; }} }}\n"
            )
            command = [find("nginx"), "-c", str(config), "-e", f"{folder}/error.log"]
            with running(command, port, folder):
                demand(curl(f"http://127.0.0.1:{port}/healthz") == "ok\n", "no answer")
                asyncio.run(echo(f"ws://127.0.0.1:{port}/echo"))
                demand_client(f"http://127.0.0.1:{port}/", log, "127.0.0.78")
    return "requests, a WebSocket, the client in the log"


CHECKS = (check_curl, check_curl_bodies, check_wget, check_ab, check_haproxy, check_nginx,
          check_haproxy_headers, check_nginx_headers)


def run_checks(title, checks, *arguments):
    """Runs checks, with a line for each; the exit status of the program."""
    # Loopback only: nothing between the client and the server may change the bytes.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    failed = passed = 0
    for check in checks:
        name, start = check.__name__.removeprefix("check_"), time.monotonic()
        try:
            detail = check(*arguments)
            passed += 1
            print(f"ok   {name}: {detail}, {time.monotonic() - start:.1f} s")
        except (Wrong, KeyError, OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
    print(f"{title}: {passed} checks passed, {failed} failed")
    return 1 if failed else 0


def main():
    if len(sys.argv) != 2 or not sys.argv[1].startswith("ws://"):
        print("usage: http_tools.py ws://HOST:PORT", file=sys.stderr)
        return 2
    url = f"http://{sys.argv[1].removeprefix('ws://').rstrip('/')}/"
    return run_checks("HTTP programs", CHECKS, url)


if __name__ == "__main__":
    sys.exit(main())
