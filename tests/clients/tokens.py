#!/usr/bin/env python3
"""Tokens that PyJWT makes, with keys that it and openssl make, shown by Python and by Chromium.

    CORECAST_BINARY=PATH tokens.py [URL]

Starts servers of its own; the URL, of a server that others test, is not used. Prints one line for
each check; exit status 0 if all passed, 1 otherwise.
"""

import asyncio
import contextlib
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import jwt
from chromium import HERE, BrowserError, Driver, QuietHandler
from http_tools import TIMEOUT, Wrong, demand, free_ports, log_lines, run, wait_for
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PROTOCOL = "corecast.v1.json"
KEYS = {"RS256": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        "ES256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "EdDSA": ("-algorithm", "ED25519")}  # fmt: skip
SECRET = "0123456789abcdef" * 4
API_KEY = "a-key-of-a-program"


class Issuer:
    """Keys of each kind in a folder, and tokens of them."""

    def __init__(self, folder):
        self.folder, self.private = folder, {"HS256": SECRET}
        (folder / "secret").write_text(SECRET + "\n", encoding="utf-8")
        for name, kind in KEYS.items():
            private, public = folder / f"{name}.key", folder / f"{name}.pem"
            run("openssl", "genpkey", *kind, "-out", str(private))
            run("openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public))
            self.private[name] = private.read_text(encoding="utf-8")
        (folder / "jwks.json").write_text(json.dumps({"keys": list(self.jwks())}), encoding="utf-8")
        digest = hashlib.sha256(API_KEY.encode()).hexdigest()
        line = f"prices sha256={digest} publish=news/#\n"
        (folder / "api-keys").write_text(line, encoding="utf-8")

    def jwks(self):
        """The public keys as PyJWT writes them, each with its algorithm as `kid`."""
        for name in KEYS:
            algorithm = jwt.get_algorithm_by_name(name)
            key = algorithm.prepare_key((self.folder / f"{name}.pem").read_bytes())
            known = algorithm.to_jwk(key, as_dict=True)
            yield known | {"kid": name, "use": "sig", "alg": name}

    def token(self, algorithm="HS256", lasts=600, headers=None, **claims):
        """A token of ann for topics below news, unless the claims say otherwise."""
        now = time.time()
        claims = {"sub": "ann", "exp": int(now + lasts), "iat": int(now), "iss": "tests",
                  "publish": ["news/{sub}"], "subscribe": ["news/#"], **claims}  # fmt: skip
        return jwt.encode(claims, self.private[algorithm], algorithm, headers=headers)


@contextlib.contextmanager
def serving(folder, *flags):
    """A server with these flags. Yields its address, its process and its log."""
    port, log = free_ports(1)[0], folder / f"server-{time.monotonic_ns()}.log"
    command = [os.environ["CORECAST_BINARY"], "serve", "--listen", f"127.0.0.1:{port}", *flags,
               "--access-log", *os.environ.get("CORECAST_ARGS", "").split()]  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: any("listening on" in line for line in log_lines(log)), "no start line")
        yield f"ws://127.0.0.1:{port}", process, log
    finally:
        process.terminate()
        demand(process.wait(TIMEOUT) == 0, f"the server ended with {process.returncode}")


def client(url, token=None, path="/pubsub", headers=None, **options):
    """A connection that shows the token as it should."""
    headers = {"Authorization": f"Bearer {token}"} if token else headers
    return connect(f"{url}{path}", additional_headers=headers, proxy=None, open_timeout=20,
                   close_timeout=5, **options)  # fmt: skip


async def status(url, token=None, **options):
    """The status of the answer to a handshake."""
    try:
        async with client(url, token, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def ask(one, request):
    """The answer to a request."""
    await one.send(json.dumps(request))
    return json.loads(await asyncio.wait_for(one.recv(), 20))


async def exchange(url, token):
    """What the token allows works, and nothing else does."""
    async with client(url, token) as one:
        demand(await ask(one, {"subscribe": "news/#"}) == {"subscribed": ["news/#"]}, "subscribe")
        answer = await ask(one, {"publish": "news/ann", "data": 1})
        demand(answer == {"topic": "news/ann", "data": 1}, f"publish: {answer}")
        for request in ({"publish": "news/bob", "data": 1}, {"subscribe": "#"}):
            answer = await ask(one, request)
            demand("not allow" in answer.get("error", ""), f"{request}: {answer}")


def check_algorithms(issuer):
    """Each algorithm with a key in a file of its own."""
    flags = [f"--token-secret={issuer.folder}/secret"]
    flags += [f"--token-key={issuer.folder}/{name}.pem" for name in KEYS]
    with serving(issuer.folder, *flags) as (url, _, log):
        names = ["HS256", *KEYS]
        for name in names:
            asyncio.run(exchange(url, issuer.token(name)))
        for wrong in (issuer.token("HS256", -60), issuer.token(nbf=int(time.time()) + 60),
                      issuer.token(aud="other"), jwt.encode({"sub": "ann"}, None, "none"),
                      jwt.encode({"sub": "ann", "exp": 2**32}, SECRET, "HS512")):  # fmt: skip
            demand(asyncio.run(status(url, wrong)) == 401, f"accepted: {wrong}")
        demand(asyncio.run(status(url)) == 401, "nothing was asked for")
        text = log.read_text()
        demand(not any(issuer.token(name)[:60] in text for name in names), "a token is in the log")
    return ", ".join(names)


def check_key_set(issuer):
    """A key set of PyJWT, by `kid`, with an audience."""
    flags = (f"--token-jwks={issuer.folder}/jwks.json", "--token-audience=chat")
    with serving(issuer.folder, *flags) as (url, _, _):
        for name in KEYS:
            named = {"kid": name}
            asyncio.run(exchange(url, issuer.token(name, headers=named, aud=["x", "chat"])))
            for headers, aud in ((None, "chat"), ({"kid": "other"}, "chat"), (named, "other")):
                wrong = issuer.token(name, headers=headers, aud=aud)
                demand(asyncio.run(status(url, wrong)) == 401, f"{headers} {aud} was accepted")
    return "three keys, an audience"


def check_renewal(issuer):
    """A warning, a new token, and 4401 at the end of it."""
    async def renew(url):
        async with client(url, issuer.token(lasts=3)) as one:
            warning = json.loads(await asyncio.wait_for(one.recv(), 20))
            demand(0 < warning["expires"] <= 3, f"{warning}")
            answer = await ask(one, {"token": issuer.token(sub="bob"), "id": 1})
            demand("another user" in answer["error"] and answer["id"] == 1, f"{answer}")
            answer = await ask(one, {"token": issuer.token(lasts=6)})
            demand(answer["authorised"] == "ann" and answer["expires"] <= 6, f"{answer}")
            try:
                while True:
                    await asyncio.wait_for(one.recv(), 20)
            except ConnectionClosed as closed:
                demand(closed.rcvd.code == 4401, f"{closed}")

    flags = (f"--token-secret={issuer.folder}/secret", "--token-leeway=0")
    with serving(issuer.folder, *flags) as (url, _, _):
        asyncio.run(renew(url))
    return "a warning, another user, a new token, 4401"


def check_new_keys(issuer):
    """SIGHUP has a new secret read; the old one counts no more."""
    secret = issuer.folder / "changing"
    secret.write_text(SECRET, encoding="utf-8")
    with serving(issuer.folder, f"--token-secret={secret}") as (url, process, log):
        new = "f" * 32
        other = jwt.encode({"sub": "ann", "exp": int(time.time()) + 600}, new, "HS256")
        demand(asyncio.run(status(url, other)) == 401, "a wrong secret was accepted")
        secret.write_text(new, encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("read again" in line for line in log_lines(log)), "no line in the log")
        demand(asyncio.run(status(url, other)) == 101, "the new secret does not count")
        demand(asyncio.run(status(url, issuer.token())) == 401, "the old one still counts")
    return "SIGHUP"


def check_api_keys(issuer):
    """A program publishes with its key."""
    with serving(issuer.folder, f"--api-keys={issuer.folder}/api-keys") as (url, _, _):
        async def publish():
            path = "/topics/news/a?role=pub"
            async with client(url, path=path, headers={"X-API-Key": API_KEY}) as one:
                await one.send("1")
            for key, where, wanted in ((API_KEY, "/topics/other?role=pub", 403),
                                       (API_KEY + "x", path, 401)):  # fmt: skip
                got = await status(url, path=where, headers={"X-API-Key": key})
                demand(got == wanted, f"{where}: {got}")

        asyncio.run(publish())
    return "publish, 403, 401"


SCRIPT = """
const [url, protocols, request, done] = arguments;
const socket = new WebSocket(url, protocols);
const said = { protocol: null, messages: [], code: null };
const finish = () => { socket.onclose = null; socket.close(); done(said); };
socket.onopen = () => { said.protocol = socket.protocol; socket.send(request); };
socket.onmessage = ({ data }) => { said.messages.push(JSON.parse(data)); finish(); };
socket.onclose = ({ code }) => { said.code = code; done(said); };
"""


def check_chromium(issuer):
    """A page shows its token as a subprotocol, beside another one, alone, in the URL, in a cookie."""
    demand(shutil.which("chromedriver"), "no chromedriver; run scripts/setup.sh")
    handler = functools.partial(QuietHandler, directory=str(HERE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{web.server_address[1]}"
        flags = (f"--token-secret={issuer.folder}/secret", f"--allow-origin={origin}",
                 "--token-cookie=session")  # fmt: skip
        profile = tempfile.mkdtemp(prefix="corecast-chromium-")
        browser = None
        try:
            with serving(issuer.folder, *flags) as (url, _, log):
                browser = Driver(profile)
                browser.open(f"{origin}/chromium_pubsub.html")
                show_in_chromium(browser, f"{url}/pubsub", issuer)
                demand(issuer.token()[:60] not in log.read_text(), "a token is in the log")
            return f"Chromium {browser.version}"
        finally:
            if browser:
                browser.stop()
            web.shutdown()
            shutil.rmtree(profile, ignore_errors=True)


def show_in_chromium(browser, url, issuer):
    """The ways in which a page shows a token."""
    def said(target, *protocols):
        request = json.dumps({"subscribe": "news/#"})
        return browser.evaluate_later(SCRIPT, target, list(protocols), request)

    token, expired = issuer.token(), issuer.token(lasts=-60)
    subscribed = [{"subscribed": ["news/#"]}]
    for target, protocols, answered in (
        (url, (PROTOCOL, f"bearer.{token}"), PROTOCOL),
        (url, (f"bearer.{token}",), f"bearer.{token}"),
        (f"{url}?access_token={token}", (PROTOCOL,), PROTOCOL),
        (f"{url}?access_token={token}", (), ""),
    ):
        got = said(target, *protocols)
        demand(got["messages"] == subscribed and got["protocol"] == answered, f"{got}")
    for target, protocols in ((url, (PROTOCOL,)), (url, (PROTOCOL, f"bearer.{expired}"))):
        got = said(target, *protocols)
        demand(got["protocol"] is None and got["code"] == 1006, f"{target}: {got}")
    browser.evaluate(f"document.cookie = 'session={token}; path=/'")
    got = said(url, PROTOCOL)
    demand(got["messages"] == subscribed, f"with a cookie: {got}")


def main():
    """Runs all checks."""
    checks = [check_algorithms, check_key_set, check_renewal, check_new_keys, check_api_keys,
              check_chromium]  # fmt: skip
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        issuer = Issuer(Path(name))
        for check in checks:
            title = check.__name__.removeprefix("check_").replace("_", " ")
            try:
                print(f"ok   {title}: {check(issuer)}")
            except (Wrong, BrowserError, OSError, ValueError, KeyError) as error:
                failed += 1
                print(f"FAIL {title}: {type(error).__name__}: {error}")
    print(f"PyJWT {jwt.__version__}: {len(checks) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
