#!/usr/bin/env python3
"""Publish and subscribe in headless Chromium, and the page of the chat example.

    chromium_pubsub.py [--gaps] ws://127.0.0.1:PORT

The server is a `corecast serve` that closes subscribers which read too slowly; with --gaps, one
that drops the oldest messages. Prints one line for each check; exit status 0 if all passed, 1
otherwise, 2 if the browser could not be started. Needs Python's `websockets`.
"""

import asyncio
import base64
import functools
import http.server
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

from chromium import HERE, BrowserError, Driver, QuietHandler
from pubsub_client import Json, Wrong, demand, open_raw

ROOT = HERE.parent.parent
CHAT = "examples/chat.html"
PATIENCE = 30
FREEZE_SECONDS = 3
MARKUP = "<img src=x onerror='window.hacked = true'><b>bold</b> &amp; 🦀"


class Browser(Driver):
    """A browser with several windows, on pages of this repository."""

    def __init__(self, profile, server_url, web):
        super().__init__(profile)
        self.server_url = server_url
        self.web = web

    def page(self, path, base=None, **parameters):
        """Opens a page in a new window, served over HTTP if not from `base`; its handle."""
        handle = self.call("POST", f"{self.session}/window/new", {"type": "window"})["handle"]
        self.switch(handle)
        self.open(f"{base or self.web}/{path}?{urllib.parse.urlencode(parameters)}")
        return handle

    def chat(self, room, name, base=None):
        """Opens the page of the chat example and waits until it has subscribed."""
        window = self.page(CHAT, base, server=self.server_url, room=room, name=name)
        self.wait_for(window, "document.querySelector('#state').innerText.includes('connected to')")
        return window

    def switch(self, handle):
        """Selects the window for the following commands."""
        self.call("POST", f"{self.session}/window", {"handle": handle})

    def get(self, handle, expression):
        """The value of an expression in a window."""
        self.switch(handle)
        return self.evaluate(f"return {expression}")

    def wait_for(self, handle, expression):
        """Waits until an expression is true in a window."""
        deadline = time.monotonic() + PATIENCE
        while not self.get(handle, expression):
            if time.monotonic() > deadline:
                text = self.get(handle, "document.body.innerText")
                raise Wrong(f"{expression} is not so after {PATIENCE} s; the page: {text[-300:]!r}")
            time.sleep(0.05)

    def say(self, handle, text):
        """Types into the chat and presses the button."""
        self.switch(handle)
        self.evaluate(
            f"document.querySelector('#text').value = {json.dumps(text)};"
            "document.querySelector('#form button').click()"
        )

    def lines(self, handle):
        """The lines of a chat, each as its sender and text."""
        script = "Array.from(document.querySelectorAll('#log li'), (li) => li.textContent)"
        return self.get(handle, script)

    def wait_for_line(self, handle, line):
        """Waits until a chat shows a line with this text."""
        quoted = json.dumps(line)
        self.wait_for(
            handle,
            f"Array.from(document.querySelectorAll('#log li')).some((li) => "
            f"li.textContent.includes({quoted}))",
        )


def check_page(browser):
    """The checks that the page itself makes."""
    window = browser.page("tests/clients/chromium_pubsub.html", url=browser.server_url)
    browser.wait_for(window, "window.report?.done")
    report = browser.get(window, "window.report")
    details = []
    for check in report["checks"]:
        demand(not check["error"], f"{check['name']}: {check['error']}")
        details.append(check["name"])
    demand(len(details) == report["wanted"] > 0, f"only {details} were reported")
    return ", ".join(details)


def check_two_pages(browser):
    """A page publishes to another page and a Python client, and the other way round."""
    topic = f"chromium/{os.getpid()}/two-pages"
    path = "tests/clients/chromium_pubsub.html"
    one, two = (browser.page(path, url=browser.server_url, listen=topic) for _ in range(2))
    for window in (one, two):
        browser.wait_for(window, "window.report.done")

    async def exchange():
        async with (
            Json.open(browser.server_url, "deflate") as client,
            open_raw(browser.server_url, topic, None, "?echo=0") as raw,
        ):
            await client.subscribe(topic)
            browser.switch(one)
            for number in range(100):
                request = json.dumps({"publish": topic, "data": [number, "🦀"]})
                browser.evaluate(f"window.client.socket.send({json.dumps(request)})")
            for number in range(100):
                await client.expect({"topic": topic, "data": [number, "🦀"]})
                demand(json.loads(await raw.recv()) == [number, "🦀"], "raw: another message")
            await raw.send('"from Python"')
            await client.expect({"topic": topic, "data": "from Python"})

    asyncio.run(exchange())
    wanted = [[number, "🦀"] for number in range(100)] + ["from Python"]
    for window in (one, two):
        browser.wait_for(window, f"window.heard.length === {len(wanted)}")
        demand(browser.get(window, "window.heard") == wanted, "a page heard something else")
    return "100 messages from a page to 2 pages and 2 Python clients, 1 back"


def check_chat(browser):
    """Two instances of the example's page, one from disk, exchange text, shown as text."""
    room = f"chat {os.getpid()} & more"
    one = browser.chat(room, "Ann")
    two = browser.chat(room, "Bob <i>", base=ROOT.as_uri())
    demand(browser.get(two, "window.origin") == "null", "the page from disk has an origin")
    browser.say(one, "hello")
    browser.wait_for_line(two, "hello")
    browser.say(two, MARKUP)
    wanted = ["Annhello", f"Bob <i>{MARKUP}"]
    for window in (one, two):
        browser.wait_for_line(window, MARKUP)
        demand(browser.lines(window) == wanted, f"a page shows {browser.lines(window)}")
        demand(browser.get(window, "window.hacked ?? null") is None, "markup was run")
        demand(browser.get(window, "document.querySelectorAll('#log img').length") == 0, "markup")
    browser.say(one, f"/subject {MARKUP}")
    subject_is_there = f"document.querySelector('#subject').textContent === {json.dumps(MARKUP)}"
    browser.wait_for(two, subject_is_there)
    late = browser.chat(room, "Late")
    browser.wait_for(late, subject_is_there)
    demand(browser.lines(late) == [], "a late page shows earlier messages")
    return "from HTTP and from disk, markup stays text, the subject for a late comer"


def check_chat_of_others(browser):
    """Messages of other programs to a room do not break the page."""
    room = f"any{os.getpid()}"
    window = browser.chat(room, "Ann")
    payloads = ["no JSON", "12", "null", '{"text":{"a":1},"from":[]}', '{"toString":1}']
    payloads += [b"\xff", "end"]

    async def publish():
        async with open_raw(browser.server_url, f"chat/{room}", None, "?role=pub") as raw:
            for payload in payloads:
                await raw.send(payload)

    asyncio.run(publish())
    browser.wait_for_line(window, "end")
    wanted = ["someoneno JSON", "someone12", "someonenull", '[]{"a":1}', 'someone{"toString":1}',
              "someone(bytes that are no text)", "someoneend"]  # fmt: skip
    demand(browser.lines(window) == wanted, f"the page shows {browser.lines(window)}")
    browser.say(window, "still here")
    browser.wait_for_line(window, "Annstill here")
    return f"{len(payloads)} payloads of other shapes"


def check_chat_too_slow(browser, gaps):
    """A page that cannot keep up shows a gap, or is closed and connects again."""
    room = f"slow{os.getpid()}"
    window = browser.chat(room, "Ann")
    browser.switch(window)
    browser.evaluate(
        f"setTimeout(() => {{ const end = Date.now() + {FREEZE_SECONDS * 1000};"
        "while (Date.now() < end); }, 50)"
    )
    time.sleep(0.5)

    # Random, so that compression does not shrink it.
    padding = base64.b64encode(os.urandom(45_000)).decode()

    async def flood():
        async with open_raw(browser.server_url, f"chat/{room}", None, "?role=pub") as raw:
            for number in range(600):
                line = {"from": "flood", "text": f"line {number}.", "padding": padding}
                await raw.send(json.dumps(line))
            demand(await raw.ping() is not None, "no ping")

    asyncio.run(flood())
    if gaps:
        browser.wait_for_line(window, "lines are missing here")
        # The messages after the gap end with the last line.
        browser.wait_for_line(window, "line 599.")
        said = [line for line in browser.lines(window) if "line" in line]
        numbers = [int(line.split()[-1][:-1]) for line in said if line.startswith("flood")]
        lost = sum(int(line.split()[0]) for line in said if not line.startswith("flood"))
        demand(numbers == sorted(numbers), "lines are out of order")
        demand(lost + len(numbers) == 600, f"{len(numbers)} lines of 600 and {lost} lost")
        return f"{len(numbers)} lines came, the page says that {lost} are missing"
    browser.wait_for_line(window, "connected again")
    browser.say(window, "back")
    browser.wait_for_line(window, "Annback")
    return "closed with 1013, connected again"


def run(server_url, gaps):
    """Runs the checks; returns the numbers of passed and failed ones, and the browser's version."""
    checks = [check_page, check_two_pages, check_chat, check_chat_of_others]
    slow = functools.partial(check_chat_too_slow, gaps=gaps)
    slow.__name__ = "check_chat_gaps" if gaps else "check_chat_sent_away"
    checks = [slow] if gaps else [*checks, slow]
    handler = functools.partial(QuietHandler, directory=str(ROOT))
    failed = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        profile = tempfile.mkdtemp(prefix="corecast-chromium-")
        browser = None
        try:
            browser = Browser(profile, server_url, f"http://127.0.0.1:{web.server_address[1]}")
            for check in checks:
                name = check.__name__.removeprefix("check_")
                try:
                    print(f"ok   {name}: {check(browser)}")
                except (Wrong, BrowserError, OSError, ValueError) as error:
                    failed += 1
                    print(f"FAIL {name}: {type(error).__name__}: {error}")
            return len(checks) - failed, failed, browser.version
        finally:
            if browser:
                browser.stop()
            web.shutdown()
            shutil.rmtree(profile, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    gaps = "--gaps" in arguments
    if gaps:
        arguments.remove("--gaps")
    if len(arguments) != 1 or not arguments[0].startswith(("ws://", "wss://")):
        print("usage: chromium_pubsub.py [--gaps] ws[s]://HOST:PORT", file=sys.stderr)
        return 2
    if not shutil.which("chromedriver"):
        print("chromium_pubsub.py: error: no chromedriver; run scripts/setup.sh", file=sys.stderr)
        return 2
    try:
        passed, failed, version = run(arguments[0], gaps)
    except (BrowserError, OSError) as error:
        print(f"chromium_pubsub.py: error: {error}", file=sys.stderr)
        return 2
    print(f"Chromium {version} pub/sub: {passed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
