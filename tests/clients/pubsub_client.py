"""Shared by the checks of publish and subscribe: a client for each endpoint, and assertions."""

import asyncio
import contextlib
import itertools
import json
import os
import urllib.parse

from websockets.asyncio.client import connect

TIMEOUT = 60
QUIET_SECONDS = 0.3
PROTOCOL = "corecast.v1.json"

numbers = itertools.count()


class Wrong(Exception):
    """The server's behaviour is not the expected one."""


def demand(condition, text):
    """Raises `Wrong` with the text unless the condition holds."""
    if not condition:
        raise Wrong(text)


def fresh(name="topic"):
    """A topic that was not used before, on this server or in an earlier run."""
    return f"python/{os.getpid()}-{next(numbers)}/{name}"


def open_client(url, compression, **options):
    """A connection with no limit of size and no traffic but that of the check."""
    options = {"max_size": None, "max_queue": None, "ping_interval": None, "proxy": None, **options}
    return connect(url, compression=compression, **options)


def open_raw(url, topic, compression, query="", **options):
    """A connection to one topic."""
    path = urllib.parse.quote(topic, safe="/")
    return open_client(f"{url}/topics/{path}{query}", compression, **options)


class Json:
    """A connection to /pubsub."""

    def __init__(self, client):
        self.client = client

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url, compression, protocols=(PROTOCOL,)):
        """Connects; the subprotocol must be selected if and only if it was offered."""
        offered = list(protocols) or None
        async with open_client(f"{url}/pubsub", compression, subprotocols=offered) as client:
            wanted = PROTOCOL if PROTOCOL in protocols else None
            demand(client.subprotocol == wanted, f"the subprotocol is {client.subprotocol!r}")
            names = [extension.name for extension in client.protocol.extensions]
            demand(bool(compression) == bool(names), f"extensions in force are {names}")
            yield cls(client)

    async def send(self, request):
        """Sends a request, given as text or as a value."""
        await self.client.send(request if isinstance(request, str) else json.dumps(request))

    async def receive_text(self):
        """The next message, unchanged."""
        text = await self.client.recv()
        demand(isinstance(text, str), f"a binary message of {len(text)} bytes came")
        return text

    async def expect(self, *wanted):
        """Expects these values, in this order."""
        for value in wanted:
            got = json.loads(await self.receive_text())
            demand(got == value, f"received {str(got)[:200]}, not {str(value)[:200]}")

    async def ask(self, request, answer):
        """Sends a request; the next message must be its answer."""
        await self.send(request)
        await self.expect(answer)

    async def subscribe(self, *filters):
        """Subscribes and waits for the answer, after which every core has the subscription."""
        await self.ask({"subscribe": list(filters)}, {"subscribed": list(filters)})

    async def fail(self, request, words, request_id=None):
        """Sends a request; expects an error that contains these words, and nothing more."""
        await self.send(request)
        got = json.loads(await self.receive_text())
        demand(words in got.pop("error", ""), f"{request!r} was answered with {got}")
        demand(got == ({} if request_id is None else {"id": request_id}), f"besides: {got}")


async def demand_quiet(client):
    """Nothing comes, and the connection still works."""
    try:
        message = await asyncio.wait_for(client.recv(), QUIET_SECONDS)
    except TimeoutError:
        await asyncio.wait_for(await client.ping(), TIMEOUT)
    else:
        raise Wrong(f"{message[:80]!r} came, and nothing should have")
