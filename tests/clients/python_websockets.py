#!/usr/bin/env python3
"""The client of Python's `websockets` package against an echo server.

    python_websockets.py ws://127.0.0.1:PORT

With wss:// the roots are those in the file SSL_CERT_FILE.

Prints one line for each check; exit status 0 if all passed, 1 otherwise.
"""

import asyncio
import os
import random
import sys
import time

import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

TIMEOUT = 60
PONG_TIMEOUT = 10
CLOSE_TIMEOUT = 5
SIZES = (0, 1, 2, 124, 125, 126, 127, 128, 1000, 4096, 16384, 65534, 65535, 65536, 65537, 1 << 20)
HUGE = 16 << 20
# The first and the last character of each length in UTF-8, around the surrogates, and some
# common ones.
CHARACTERS = (
    "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff"
    "a \xe9\xdfд한국어日🦀👩\u200d🚀"
)
SEED = 6455


class Wrong(Exception):
    """The server's behaviour is not the expected one."""


def demand(condition, text):
    """Raises `Wrong` with the text unless the condition holds."""
    if not condition:
        raise Wrong(text)


def open_client(url, compression="deflate", **options):
    """A connection with no limit of size and no traffic but that of the check."""
    options = {"max_size": None, "ping_interval": None, "proxy": None, **options}
    return connect(url, compression=compression, **options)


def shorten(message):
    """A short form of a message for an error text."""
    kind = "text" if isinstance(message, str) else "binary"
    return f"{kind} of length {len(message)} {message[:32]!r}"


def demand_same(received, sent):
    """The echo has the same type and content."""
    demand(
        type(received) is type(sent) and received == sent,
        f"sent {shorten(sent)}, received {shorten(received)}",
    )


async def echo(client, message):
    """Sends a message; the echo must be the same."""
    await client.send(message)
    demand_same(await client.recv(), message)


def demand_extension(client, compression):
    """permessage-deflate must be negotiated if and only if it was offered."""
    names = [extension.name for extension in client.protocol.extensions]
    wanted = ["permessage-deflate"] if compression else []
    demand(names == wanted, f"extensions in force are {names}, not {wanted}")


async def check_binary(url, compression):
    """Every size, of random and of repeated bytes."""
    source = random.Random(SEED)
    async with open_client(url, compression) as client:
        demand_extension(client, compression)
        for size in SIZES:
            await echo(client, source.randbytes(size))
            await echo(client, (b"corecast" * (size // 8 + 1))[:size])
    return f"{2 * len(SIZES)} messages of 0 B to 1 MiB"


async def check_text(url, compression):
    """Every size in text, and characters of one to four bytes at every alignment."""
    async with open_client(url, compression) as client:
        demand_extension(client, compression)
        for size in SIZES:
            await echo(client, "x" * size)
        for character in CHARACTERS:
            for shift in range(9):
                await echo(client, "-" * shift + character * 17)
        await echo(client, CHARACTERS * 4000)
    return f"{len(SIZES)} sizes, {len(CHARACTERS)} characters at 9 offsets"


async def check_every_character(url, compression):
    """All characters of Unicode, a sixteenth of a plane in each message."""
    scalars = [chr(n) for n in range(0x110000) if not 0xD800 <= n <= 0xDFFF]
    async with open_client(url, compression) as client:
        for start in range(0, len(scalars), 4096):
            await echo(client, "".join(scalars[start : start + 4096]))
    return f"{len(scalars):,} characters"


async def check_huge(url, compression):
    """One message of 16 MiB, the server's limit."""
    async with open_client(url, compression) as client:
        await echo(client, random.Random(SEED).randbytes(HUGE))
    return "one random binary message of 16 MiB"


async def check_fragments(url, compression):
    """Messages that arrive in fragments come back whole, with pings between the fragments."""
    source = random.Random(SEED)
    async with open_client(url, compression) as client:
        for count in (1, 2, 3, 10, 100, 1000):
            parts = [source.randbytes(source.randrange(0, 300)) for _ in range(count)]
            await client.send(parts)
            demand_same(await client.recv(), b"".join(parts))
            texts = [source.choice(CHARACTERS) * source.randrange(0, 99) for _ in range(count)]
            await client.send(texts)
            demand_same(await client.recv(), "".join(texts))

        async def with_pings():
            for number in range(5):
                yield f"part {number};"
                await asyncio.wait_for(await client.ping(), PONG_TIMEOUT)

        await client.send(with_pings())
        demand_same(await client.recv(), "".join(f"part {number};" for number in range(5)))
    return "1 to 1,000 fragments; pongs in the middle of a message"


async def check_pings(url, compression):
    """Each ping gets its own payload back; the library matches the pong by its payload."""
    source = random.Random(SEED)
    async with open_client(url, compression) as client:
        for size in (0, 1, 4, 124, 125):
            await asyncio.wait_for(await client.ping(source.randbytes(size)), PONG_TIMEOUT)
        await echo(client, "after the pings")
    return "payloads of 0 to 125 B"


async def check_close(url, compression):
    """The server answers a close with the same code and ends the TCP connection cleanly."""
    cases = (
        (1000, ""), (1000, "done"), (1001, "going away"), (1003, "r" * 123), (1011, "한국"),
        (3000, "🦀"), (3999, ""), (4000, "x"), (4999, "last"),
    )  # fmt: skip
    for code, reason in cases:
        async with open_client(url, compression, close_timeout=CLOSE_TIMEOUT) as client:
            await echo(client, "before the close")
            start = time.monotonic()
            await client.close(code, reason)
            took = time.monotonic() - start
            answer = client.protocol.close_rcvd
            demand(
                answer is not None and answer.code == code and answer.reason in ("", reason),
                f"close {code} {reason!r} was answered with {answer}",
            )
            demand(not client.protocol.close_rcvd_then_sent, f"the server closed before our {code}")
            # The server must end TCP first (RFC 6455 section 7.1.1), or the library times out.
            demand(took < CLOSE_TIMEOUT - 1, f"TCP still open {took:.1f} s after close {code}")
            try:
                await client.recv()
                demand(False, f"a message arrived after close {code}")
            except ConnectionClosed:
                pass
    return f"{len(cases)} codes from 1000 to 4999"


async def check_deflate_parameters(url, _compression):
    """Every valid offer is accepted as offered, and messages are echoed unchanged."""
    offers = [
        {"server_no_context_takeover": True},
        {"client_no_context_takeover": True},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"client_max_window_bits": True},
        {"client_max_window_bits": 9},
        {"server_max_window_bits": 9},
        {"server_max_window_bits": 15, "client_max_window_bits": 15},
        {"server_max_window_bits": 10, "server_no_context_takeover": True},
    ]
    for offer in offers:
        factory = ClientPerMessageDeflateFactory(**offer)
        async with open_client(url, None, extensions=[factory]) as client:
            demand_extension(client, "deflate")
            extension = client.protocol.extensions[0]
            if offer.get("server_no_context_takeover"):
                demand(extension.remote_no_context_takeover, f"{offer}: context is kept")
            if "server_max_window_bits" in offer:
                bits = extension.remote_max_window_bits
                demand(bits <= offer["server_max_window_bits"], f"{offer}: {bits} window bits")
            for round_number in range(20):
                await echo(client, f"{CHARACTERS} {round_number} " * 500)
    return f"{len(offers)} offers"


async def check_subprotocols(url, compression):
    """The first subprotocol offered is selected, and none without an offer."""
    for offered, wanted in ((["a", "b"], "a"), (["chat.v2", "chat.v1"], "chat.v2"), (None, None)):
        async with open_client(url, compression, subprotocols=offered) as client:
            await echo(client, "hello")
            chosen = client.subprotocol
            demand(chosen == wanted, f"offered {offered}, the server chose {chosen!r}")
    return "offered: the first; none offered: none"


async def pipeline(url, compression, number):
    """Sends 100 messages before it reads; all must come back in order."""
    source = random.Random(SEED + number)
    messages = []
    for count in range(100):
        text = f"{number}/{count}:"
        body = source.randbytes(source.choice((0, 10, 125, 126, 1000, 5000)))
        messages.append(text.encode() + body if count % 2 else text + body.hex())
    async with open_client(url, compression, max_queue=None) as client:
        for message in messages:
            await client.send(message)
        for message in messages:
            demand_same(await client.recv(), message)


async def check_concurrent(url, compression):
    """50 connections at once, with 100 messages in flight on each."""
    await asyncio.gather(*(pipeline(url, compression, number) for number in range(50)))
    return "50 connections x 100 messages in order"


CHECKS = (
    (check_binary, (None, "deflate")),
    (check_text, (None, "deflate")),
    (check_every_character, (None, "deflate")),
    (check_huge, (None, "deflate")),
    (check_fragments, (None, "deflate")),
    (check_pings, (None, "deflate")),
    (check_close, (None, "deflate")),
    (check_deflate_parameters, ("deflate",)),
    (check_subprotocols, (None, "deflate")),
    (check_concurrent, (None, "deflate")),
)


async def run(url):
    """Runs every check, with and without compression; returns the number of failed ones."""
    failed = passed = 0
    for check, compressions in CHECKS:
        for compression in compressions:
            name = f"{check.__name__.removeprefix('check_')} ({compression or 'plain'})"
            start = time.monotonic()
            try:
                detail = await asyncio.wait_for(check(url, compression), TIMEOUT)
                passed += 1
                print(f"ok   {name}: {detail}, {time.monotonic() - start:.1f} s")
            except (Wrong, OSError, TimeoutError, websockets.WebSocketException) as error:
                failed += 1
                words = str(error) or "no answer in time"
                print(f"FAIL {name}: {type(error).__name__}: {words}")
    print(f"python websockets {websockets.__version__}: {passed} checks passed, {failed} failed")
    return failed


def main():
    if len(sys.argv) != 2 or not sys.argv[1].startswith(("ws://", "wss://")):
        print("usage: python_websockets.py ws[s]://HOST:PORT", file=sys.stderr)
        return 2
    # Loopback only: nothing between the client and the server may change the bytes.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    return 1 if asyncio.run(run(sys.argv[1])) else 0


if __name__ == "__main__":
    sys.exit(main())
