#!/usr/bin/env python3
"""What README has a reader do in "Operate": behind nginx with TLS, with tokens and metrics.

    CORECAST_BINARY=PATH operate.py [URL]

The settings, the secret, the token and the configuration of Prometheus are made of the text of
README, with other ports and paths. Prints one line for each check; exit status 0 if all passed, 1
otherwise. The URL, of a server that others test, is not used.
"""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from http_tools import (TIMEOUT, Wrong, curl, demand, find, free_ports, run, run_checks,
                        running)
from proxies import ORIGIN, certificate, nginx_command, serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

README = Path(__file__).resolve().parents[2] / "README.md"


def section(title):
    """The text of a section of README, up to the next heading."""
    text = README.read_text(encoding="utf-8")
    start = re.search(rf"^#+ {re.escape(title)}\n", text, re.MULTILINE)
    demand(start, f"there is no section {title}")
    return re.split(r"^##+ ", text[start.end():], maxsplit=1, flags=re.MULTILINE)[0]


def block(text, kind):
    """The first block of code of this kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    demand(found, f"there is no block of {kind}")
    return found[1]


def shell(script, folder):
    """What lines of README print."""
    done = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True,
                          timeout=TIMEOUT, check=False)
    demand(done.returncode == 0, f"{script}: {done.stderr}")
    return done.stdout


def settings(commands, folder):
    """The file of settings that the commands write, with the secret that they make."""
    text = re.search(r"<<'END'\n(.*?)^END$", commands, re.MULTILINE | re.DOTALL)
    demand(text, "the commands write no settings")
    secret = re.search(r"^(openssl rand .*?) \| sudo install .* (/etc/\S+)$", commands,
                       re.MULTILINE)
    demand(secret and secret[2] in text[1], "the settings do not name the secret")
    (folder / "secret").write_text(shell(secret[1], folder), encoding="utf-8")
    file = folder / "readme.toml"
    file.write_text(text[1].replace(secret[2], f"{folder}/secret"), encoding="utf-8")
    run(os.environ["CORECAST_BINARY"], "check-config", str(file))
    return file


def token(folder):
    """A token of the secret, made by the lines of README."""
    lines = block(section("Tokens"), "sh").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("part()"))
    last = next(at for at, line in enumerate(lines) if line.startswith("token="))
    script = "\n".join(lines[first:last + 1])
    demand("cat secret" in script, script)
    return shell(f"{script}\nprintf %s \"$token\"", folder)


async def sockets(port, cert, shown):
    """Who shows the token may do what it says, and who does not is refused."""
    context = ssl.create_default_context(cafile=str(cert))
    url = f"wss://localhost:{port}/pubsub"
    options = {"ssl": context, "origin": ORIGIN, "proxy": None, "open_timeout": 20,
               "close_timeout": 5}
    header = {"Authorization": f"Bearer {shown}"}
    async with connect(url, additional_headers=header, **options) as client:
        await client.send('{"subscribe":"chat/#"}')
        got = json.loads(await asyncio.wait_for(client.recv(), 20))
        demand(got == {"subscribed": ["chat/#"]}, f"{got}")
        await client.send('{"publish":"chat/ann","data":1}')
        got = json.loads(await asyncio.wait_for(client.recv(), 20))
        demand(got == {"topic": "chat/ann", "data": 1}, f"{got}")
        await client.send('{"publish":"chat/bob","data":1}')
        got = json.loads(await asyncio.wait_for(client.recv(), 20))
        demand("error" in got, f"{got}")
    for wrong in ({}, {"Authorization": f"Bearer {shown[:-4]}AAAA"}):
        try:
            async with connect(url, additional_headers=wrong, **options):
                raise Wrong("a client without a valid token connected")
        except InvalidStatus as refused:
            demand(refused.response.status_code == 401, f"{refused}")


def seen(commands, port):
    """What the commands ask of the admin listener."""
    asked = re.findall(r"^curl http://127\.0\.0\.1:9100(/\S+)", commands, re.MULTILINE)
    demand(asked == ["/readyz", "/metrics"], f"{asked}")
    demand(curl(f"http://127.0.0.1:{port}/readyz") == "ready\n", "it is not ready")
    metrics = curl("--fail", f"http://127.0.0.1:{port}/metrics")
    for name in ("corecast_connections", "corecast_handshakes_total",
                 'corecast_refused_requests_total{code="401"} 2'):
        demand(re.search(f"^{re.escape(name)}", metrics, re.MULTILINE), f"no {name}: {metrics}")


def check_operate():
    commands = block(section("Operate"), "sh")
    demand("packaging/nginx/corecast.conf" in commands, "nginx is not configured")
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports(3)
        cert, key = certificate(folder)
        file = settings(commands, folder)
        shown = token(folder)
        with serving(file, folder, ports):
            command = nginx_command(folder, ports, cert, key)
            with running(command, ports[2], folder):
                asyncio.run(sockets(ports[2], cert, shown))
            seen(commands, ports[1])
    return "its settings, wss behind nginx, 101 with its token and 401 without, its metrics"


def check_prometheus():
    text = block(section("Metrics and the admin listener"), "yaml")
    demand("# authorization:" in text, "nothing is said of a token")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("a token of 16 characters", encoding="utf-8")
        with_token = text.replace("# authorization:", "authorization:")
        with_token = with_token.replace("/etc/prometheus/corecast.token", f"{folder}/token")
        for number, config in enumerate((text, with_token)):
            file = folder / f"{number}.yml"
            file.write_text(config, encoding="utf-8")
            said = run(find("promtool"), "check", "config", str(file))
            demand("SUCCESS" in said, said)
    return "promtool takes the configuration of Prometheus, with and without a token"


if __name__ == "__main__":
    sys.exit(run_checks("README", (check_operate, check_prometheus)))
