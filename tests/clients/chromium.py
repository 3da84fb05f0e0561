#!/usr/bin/env python3
"""Headless Chromium against an echo server, driven through ChromeDriver's HTTP interface.

    chromium.py ws://127.0.0.1:PORT

With wss:// the key of the certificate is the one in CORECAST_SPKI (SHA-256, in Base64).
Serves chromium.html on a free port of 127.0.0.1, opens it, and reads what the page found. Exit
status 0 if all checks passed, 1 otherwise, 2 if the browser could not be started.
"""

import functools
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PAGE_SECONDS = 120
START_SECONDS = 30
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class BrowserError(Exception):
    """A command to the browser or its driver failed."""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *_arguments):
        pass


def free_port():
    """A TCP port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Driver:
    """A ChromeDriver process with one session, in a process group of its own."""

    def __init__(self, profile):
        self.base = f"http://127.0.0.1:{free_port()}"
        self.session = None
        # Chromium is reached on loopback only, never through a proxy.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        port = self.base.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self.wait_until_ready()
            trusted = os.environ.get("CORECAST_SPKI")
            more = [f"--ignore-certificate-errors-spki-list={trusted}"] if trusted else []
            options = {"args": [*FLAGS, *more, f"--user-data-dir={profile}"]}
            capabilities = {"alwaysMatch": {"goog:chromeOptions": options}}
            answer = self.call("POST", "/session", {"capabilities": capabilities})
            self.session = f"/session/{answer['sessionId']}"
            self.version = answer["capabilities"]["browserVersion"]
        except BaseException:
            self.stop()
            raise

    def call(self, method, path, body=None, timeout=60):
        """Sends one command of the W3C WebDriver protocol; returns its value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors="replace")
            raise BrowserError(f"{method} {path}: {words.splitlines()[0][:500]}") from error

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.call("GET", "/status", timeout=5)["ready"]:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BrowserError("chromedriver did not start")
            time.sleep(0.05)

    def open(self, url):
        """Loads a page."""
        self.call("POST", f"{self.session}/url", {"url": url})

    def evaluate(self, script):
        """The value of a script's `return`."""
        path = f"{self.session}/execute/sync"
        return self.call("POST", path, {"script": script, "args": []})

    def evaluate_later(self, script, *arguments):
        """What a script passes to the function that it is given behind the arguments."""
        path = f"{self.session}/execute/async"
        return self.call("POST", path, {"script": script, "args": arguments})

    def stop(self):
        """Ends the browser and the driver, both started here and in one group."""
        if self.session:
            try:
                self.call("DELETE", self.session, timeout=10)
            except (BrowserError, OSError):
                pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                continue
            time.sleep(0.2)
        self.process.wait(5)


def run_page(server_url):
    """Runs the page to its end; returns its report and the browser's version."""
    handler = functools.partial(QuietHandler, directory=str(HERE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        profile = tempfile.mkdtemp(prefix="corecast-chromium-")
        driver = None
        try:
            driver = Driver(profile)
            query = urllib.parse.urlencode({"url": server_url})
            driver.open(f"http://127.0.0.1:{web.server_address[1]}/chromium.html?{query}")
            deadline = time.monotonic() + PAGE_SECONDS
            while True:
                report = driver.evaluate("return window.report")
                if report and report["done"]:
                    return report, driver.version
                if time.monotonic() > deadline:
                    raise BrowserError(f"the page did not finish in {PAGE_SECONDS} s: {report}")
                time.sleep(0.1)
        finally:
            if driver:
                driver.stop()
            web.shutdown()
            shutil.rmtree(profile, ignore_errors=True)


def main():
    if len(sys.argv) != 2 or not sys.argv[1].startswith(("ws://", "wss://")):
        print("usage: chromium.py ws[s]://HOST:PORT", file=sys.stderr)
        return 2
    if not shutil.which("chromedriver"):
        print("chromium.py: error: no chromedriver; run scripts/setup.sh", file=sys.stderr)
        return 2
    try:
        report, version = run_page(sys.argv[1])
    except (BrowserError, OSError) as error:
        print(f"chromium.py: error: {error}", file=sys.stderr)
        return 2
    failed = 0
    for check in report["checks"]:
        failed += bool(check["error"])
        verdict = "FAIL" if check["error"] else "ok  "
        print(f"{verdict} {check['name']}: {check['error'] or check['detail']}")
    if len(report["checks"]) != report["wanted"] or not report["checks"]:
        failed += 1
        print(f"FAIL page: {len(report['checks'])} checks of {report['wanted']} reported")
    print(f"Chromium {version}: {len(report['checks']) - failed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
