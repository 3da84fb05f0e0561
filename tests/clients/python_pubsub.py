#!/usr/bin/env python3
"""Publish and subscribe with the client of Python's `websockets` package.

    python_pubsub.py ws://127.0.0.1:PORT

With wss:// the roots are those in the file SSL_CERT_FILE.

The server is a `corecast serve` that closes subscribers which read too slowly. Prints one line for
each check; exit status 0 if all passed, 1 otherwise.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import socket
import sys
import time
import urllib.parse

import websockets
from pubsub_client import PROTOCOL, TIMEOUT, Json, Wrong, demand, demand_quiet, fresh
from pubsub_client import open_client, open_raw
from websockets.exceptions import ConnectionClosed, InvalidStatus

SEED = 6455
# Values that must come back unchanged, not parsed and serialised again.
DATA = (
    "null", "true", "0", "-0", "1.0", "1e400", "123456789012345678901234567890", '"a"', '""', "[]",
    "{}", '{"a":1,"a":2}', '{ "spaces" : [ 1 , 2 ] }', '"\\u0041\\ud83e\\udd80"', '"한국어🦀"',
    "[" * 500 + "]" * 500, json.dumps("x" * 70_000),
)  # fmt: skip


async def check_raw(url, compression):
    """All clients get each message to a topic: with its type, in order, of any size."""
    topic = fresh("späce %/🦀")
    source = random.Random(SEED)
    messages = ["", b"", "hello", b"\0\xff", "🦀" * 1000, "x" * 200_000]
    messages += [source.randbytes(size) for size in (125, 126, 65_535, 100_000)]
    burst = [f"number {number}" for number in range(500)]
    async with contextlib.AsyncExitStack() as stack:
        opening = [open_raw(url, topic, compression) for _ in range(4)]
        opening.append(open_raw(url, topic, None, "?role=sub"))
        clients = [await stack.enter_async_context(client) for client in opening]
        publisher = await stack.enter_async_context(open_raw(url, topic, None, "?role=pub"))
        other = await stack.enter_async_context(open_raw(url, topic + "/below", None))
        for sender in (clients[0], publisher):
            # One at a time: together they exceed the queue of a subscriber.
            for batch in [*([message] for message in messages), burst]:
                for message in batch:
                    await sender.send(message)
                for client, message in itertools.product(clients, batch):
                    got = await client.recv()
                    demand(got == message, f"received {got[:40]!r} instead of {message[:40]!r}")
        await demand_quiet(publisher)
        await demand_quiet(other)
    return f"5 subscribers, {len(messages + burst)} messages from one of them and from role=pub"


async def check_raw_echo(url, compression):
    """With echo=0 a client gets all messages but its own."""
    topic = fresh()
    async with (
        open_raw(url, topic, compression, "?echo=0") as silent,
        open_raw(url, topic, compression, "?role=both&echo=1") as other,
    ):
        for number in range(50):
            await silent.send(f"mine {number}")
            demand(await other.recv() == f"mine {number}", "echo=0 changed what others get")
            await other.send(f"theirs {number}")
            demand(await other.recv() == f"theirs {number}", "echo=1 left out an own message")
            demand(await silent.recv() == f"theirs {number}", "echo=0 did not get the other's")
        await demand_quiet(silent)
    return "100 messages between echo=0 and echo=1"


async def check_raw_refused(url, compression):
    """An invalid topic or query is refused with 400 and a reason, a frame of role=sub with 1008."""
    for path, words in (
        ("topics", "names no topic"), ("topics/", "names no topic"), ("topics/a%23", "wildcards"),
        ("topics/+", "wildcards"), ("topics/%ff", "UTF-8"), ("topics/%zz", "hexadecimal"),
        ("topics/" + "a" * 256, "at most 255"), ("topics/a?role=x", "role"),
        ("topics/a?echo=2", "echo"), ("topics/a?echo=0&echo=0", "twice"), ("pubsub?x=1", "x"),
    ):  # fmt: skip
        try:
            async with open_client(f"{url}/{path}", compression):
                raise Wrong(f"{path} was accepted")
        except InvalidStatus as refusal:
            status, body = refusal.response.status_code, refusal.response.body.decode()
            demand(status == 400 and words in body, f"{path}: {status} {body!r}")
    async with open_raw(url, fresh(), compression, "?role=sub") as client:
        await client.send("I only listen")
        try:
            await client.recv()
            raise Wrong("a message came to a client that was to be closed")
        except ConnectionClosed as end:
            demand(end.rcvd and end.rcvd.code == 1008 and end.rcvd.reason, f"closed with {end}")
    return "11 bad requests with 400; a frame with role=sub with 1008"


async def check_json(url, compression):
    """Subscribing, publishing, unsubscribing; answers with and without an id, in order."""
    topic = fresh()
    async with (
        Json.open(url, compression) as one,
        Json.open(url, compression, ()) as two,
        Json.open(url, compression, ("another", PROTOCOL)) as three,
    ):
        await one.ask({"subscribe": topic, "id": [1, "a"]}, {"subscribed": [topic], "id": [1, "a"]})
        await two.ask({"id": None, "subscribe": [topic]}, {"subscribed": [topic], "id": None})
        await three.ask(
            {"publish": topic, "data": {"a": 1}, "id": 7}, {"published": topic, "id": 7}
        )
        for client in (one, two):
            await client.expect({"topic": topic, "data": {"a": 1}})
        # A client gets its own messages, and there is no answer without an id.
        await one.ask({"publish": topic, "data": 2}, {"topic": topic, "data": 2})
        await two.expect({"topic": topic, "data": 2})
        await one.ask({"unsubscribe": topic, "id": ""}, {"unsubscribed": [topic], "id": ""})
        await one.send({"publish": topic, "data": 3})
        await two.expect({"topic": topic, "data": 3})
        await demand_quiet(one.client)
        await demand_quiet(three.client)
    return "3 clients, with the subprotocol offered and not"


async def check_json_data(url, compression):
    """Data is passed on unchanged to all kinds of subscribers."""
    topic = fresh()
    async with (
        Json.open(url, compression) as one,
        Json.open(url, compression) as two,
        open_raw(url, topic, compression, "?role=sub") as raw,
    ):
        await two.subscribe(topic)
        for data in DATA:
            await one.send(f'{{"publish":"{topic}","data":{data}}}')
            got = await two.receive_text()
            wanted = f'{{"topic":"{topic}","data":{data}}}'
            demand(got == wanted, f"{data[:80]} came as {got[:120]}")
            demand(await raw.recv() == data, f"{data[:80]} came changed to the raw topic")
    return f"{len(DATA)} values, byte for byte"


async def check_raw_to_json(url, compression):
    """Payloads of the raw endpoint in JSON: as JSON if they are, else as a string or base64."""
    topic = fresh()
    source = random.Random(SEED)
    async with (
        Json.open(url, compression) as client,
        open_raw(url, topic, compression, "?role=pub") as raw,
    ):
        await client.subscribe(topic)
        for payload, data in (
            ('{"a":[1]}', {"a": [1]}), ("12", 12), ("", ""), ("no JSON", "no JSON"),
            (b"[true]", [True]), (b"bytes", "bytes"), ('"\n\\\0 🦀', '"\n\\\0 🦀'),
        ):  # fmt: skip
            await raw.send(payload)
            await client.expect({"topic": topic, "data": data})
        for size in (1, 2, 3, 1000, 100_000):
            payload = b"\xff" + source.randbytes(size)
            await raw.send(payload)
            coded = base64.b64encode(payload).decode()
            await client.expect({"topic": topic, "data64": coded})
    return "JSON, text, and bytes as data64"


async def check_wildcards(url, compression):
    """Filters as in MQTT; one message comes once, however many filters match."""
    base = fresh("")
    cases = (
        ("a/+", ("a/b", "a/"), ("a", "a/b/c", "b/b")),
        ("a/#", ("a", "a/b", "a/b/c", "a//"), ("b", "aa")),
        ("+/b/+", ("a/b/c", "/b/"), ("a/b", "a/b/c/d", "a/c/c")),
        ("#", ("a", "a/b/c"), ()),
    )
    async with Json.open(url, compression) as client, Json.open(url, compression) as sender:
        for pattern, inside, outside in cases:
            await client.subscribe(base + pattern)
            for number, name in enumerate((*outside, *inside)):
                await sender.send({"publish": base + name, "data": number})
            for number, name in enumerate(inside, len(outside)):
                await client.expect({"topic": base + name, "data": number})
            await demand_quiet(client.client)
            await client.ask(
                {"unsubscribe": base + pattern}, {"unsubscribed": [base + pattern]}
            )
        overlapping = [base + name for name in ("a/b", "a/+", "+/b", "a/#", "#")]
        await client.subscribe(*overlapping)
        for number in range(20):
            await sender.send({"publish": base + "a/b", "data": number})
        await client.expect(*({"topic": base + "a/b", "data": n} for n in range(20)))
        await demand_quiet(client.client)
    return f"{len(cases)} filters, and 5 that overlap"


async def check_retained(url, compression):
    """Later subscribers get the last value, until it is cleared."""
    topic, other = fresh("one"), fresh("two")
    async with Json.open(url, compression) as sender:
        for number in range(3):
            await sender.ask(
                {"publish": topic, "data": {"n": number}, "retain": True, "id": 1},
                {"published": topic, "id": 1},
            )
        await sender.ask(
            {"publish": other, "data": "🦀", "retain": True, "id": 2},
            {"published": other, "id": 2},
        )
        for protocols in ((PROTOCOL,), ()):
            async with Json.open(url, compression, protocols) as late:
                await late.send({"subscribe": [topic, other], "id": 3})
                got = [json.loads(await late.receive_text()) for _ in range(3)]
                for value in (
                    {"subscribed": [topic, other], "id": 3},
                    {"topic": topic, "data": {"n": 2}, "retained": True},
                    {"topic": other, "data": "🦀", "retained": True},
                ):
                    demand(value in got, f"{value} is missing in {got}")
                # Existing subscribers get it as any other message.
                await sender.send({"publish": topic, "data": {"n": 2}, "retain": True})
                await late.expect({"topic": topic, "data": {"n": 2}})
        async with open_raw(url, topic, compression) as raw:
            got = await raw.recv()
            demand(got == '{"n": 2}', f"the raw late comer got {got!r}")
            await demand_quiet(raw)
        await sender.ask(
            {"publish": topic, "retain": True, "id": 4}, {"published": topic, "id": 4}
        )
        async with Json.open(url, compression) as late:
            await late.subscribe(topic)
            await demand_quiet(late.client)
        await sender.ask(
            {"publish": other, "data": "", "retain": True, "id": 5}, {"published": other, "id": 5}
        )
        async with open_raw(url, other, compression) as raw:
            await demand_quiet(raw)
    return "to 2 late comers in JSON and 1 raw; cleared without data and with an empty string"


async def check_errors(url, compression):
    """Errors are reported with the id, and the connection stays open."""
    topic = fresh()
    cases = (
        ("no JSON", "not a JSON object", None),
        ("[]", "not a JSON object", None),
        ('{"subscribe":"a"', "not valid JSON", None),
        ('{"id":1}', "asks for nothing", 1),
        ('{"id":{"a":1},"subscribe":[]}', "empty", {"a": 1}),
        ('{"subscribe":["a",5],"id":2}', "a number", 2),
        ('{"subscribe":"a/b+","id":3}', "must be alone", 3),
        ('{"subscribe":"#/a","id":4}', "last level", 4),
        ('{"subscribe":"","id":5}', "empty", 5),
        ('{"publish":"a/+","data":1,"id":6}', "wildcards", 6),
        ('{"publish":"a","id":7}', "data is missing", 7),
        ('{"publish":"a","data":1,"retain":"yes","id":8}', "true or false", 8),
        ('{"subscribe":"a","publish":"a","data":1,"id":9}', "a request for each", 9),
        ('{"subscribe":"a","data":1,"id":10}', "goes with publish", 10),
        ('{"subscribe":"a","qos":1,"id":11}', "is not known", 11),
        (json.dumps({"subscribe": "ü" * 128, "id": 12}), "at most 255", 12),
    )
    async with Json.open(url, compression) as client:
        for request, words, request_id in cases:
            await client.fail(request, words, request_id)
        await client.client.send(b'{"subscribe":"a"}')
        demand("binary" in json.loads(await client.receive_text())["error"], "binary was taken")
        # All filters of a list or none; at most 128 in all, duplicates counted once.
        await client.fail({"subscribe": [topic, "a/#/b"]}, "last level")
        await client.ask({"publish": topic, "data": 1, "id": 1}, {"published": topic, "id": 1})
        filters = [f"{topic}/{number}" for number in range(128)]
        await client.subscribe(*filters[:127])
        await client.subscribe(filters[127], filters[127], filters[0])
        await client.fail({"subscribe": f"{topic}/more", "id": 0}, "128", 0)
        await client.ask({"unsubscribe": filters[0]}, {"unsubscribed": [filters[0]]})
        await client.subscribe(f"{topic}/more")
        await client.ask(
            {"publish": filters[127], "data": 1}, {"topic": filters[127], "data": 1}
        )
    return f"{len(cases) + 1} bad requests, 128 subscriptions and no more"


async def check_order(url, compression):
    """All subscribers get the messages of each publisher in order, with all publishing at once."""
    base, senders, count = fresh(""), 8, 400
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Json.open(url, compression)) for _ in range(12)]
        for client in clients:
            await client.subscribe(base + "+", base + "#")

        async def publish(number):
            for value in range(count):
                data = [number, value]
                await clients[number].send({"publish": f"{base}{number % 3}", "data": data})

        async def read(client):
            heard = [0] * senders
            for _ in range(senders * count):
                number, value = json.loads(await client.receive_text())["data"]
                demand(heard[number] == value, f"{value} of {number} came for {heard[number]}")
                heard[number] += 1
            await demand_quiet(client.client)

        await asyncio.gather(*(publish(n) for n in range(senders)), *map(read, clients))
    return f"{senders} publishers, {len(clients)} subscribers, {senders * count:,} messages"


async def check_slow(url, compression):
    """A slow reader is closed with 1013 after a prefix of the messages; the others miss nothing."""
    topic, count = fresh(), 300
    source = random.Random(SEED)
    messages = [bytes([n % 256]) + source.randbytes(65_535) for n in range(count)]
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    parts = urllib.parse.urlsplit(url)
    small.connect((parts.hostname, parts.port))
    small.setblocking(False)
    async with (
        open_raw(url, topic, compression, "?role=pub") as sender,
        open_raw(url, topic, compression, "?role=sub") as quick,
        open_raw(url, topic, compression, "?role=sub", sock=small, max_queue=1) as slow,
    ):
        for message in messages:
            await sender.send(message)
            demand(await quick.recv() == message, "the quick subscriber got another message")
        read = 0
        try:
            while True:
                demand(await slow.recv() == messages[read], f"message {read} is another one")
                read += 1
        except ConnectionClosed as end:
            code = end.rcvd and end.rcvd.code
            demand(code == 1013, f"the slow subscriber was closed with {end}")
        demand(read < count, "the slow subscriber got everything")
    return f"{count} messages of 64 KiB; the slow one got the first {read}"


CHECKS = (
    check_raw, check_raw_echo, check_raw_refused, check_json, check_json_data, check_raw_to_json,
    check_wildcards, check_retained, check_errors, check_order, check_slow,
)  # fmt: skip


async def run(url):
    """Runs every check, with and without compression; returns the number of failed ones."""
    failed = passed = 0
    for check, compression in itertools.product(CHECKS, (None, "deflate")):
        name = f"{check.__name__.removeprefix('check_')} ({compression or 'plain'})"
        start = time.monotonic()
        try:
            detail = await asyncio.wait_for(check(url, compression), TIMEOUT)
            passed += 1
            print(f"ok   {name}: {detail}, {time.monotonic() - start:.1f} s")
        except (Wrong, OSError, TimeoutError, ValueError, websockets.WebSocketException) as error:
            failed += 1
            words = str(error) or "no answer in time"
            print(f"FAIL {name}: {type(error).__name__}: {words}")
    version = websockets.__version__
    print(f"python websockets {version} pub/sub: {passed} checks passed, {failed} failed")
    return failed


def main():
    if len(sys.argv) != 2 or not sys.argv[1].startswith(("ws://", "wss://")):
        print("usage: python_pubsub.py ws[s]://HOST:PORT", file=sys.stderr)
        return 2
    # Loopback only: nothing between the client and the server may change the bytes.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    return 1 if asyncio.run(run(sys.argv[1])) else 0


if __name__ == "__main__":
    sys.exit(main())
