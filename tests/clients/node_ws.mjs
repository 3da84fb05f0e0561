#!/usr/bin/env node
// The client of npm's `ws` against an echo server.
//
//     node_ws.mjs ws://127.0.0.1:PORT
//
// With wss:// the roots in the file NODE_EXTRA_CA_CERTS are trusted too.
// Prints one line for each check; exit status 0 if all passed, 1 otherwise.

import { randomFillSync } from 'node:crypto';
import { createRequire } from 'node:module';
import WebSocket from 'ws';

const VERSION = createRequire(import.meta.url)('ws/package.json').version;
const TIMEOUT_MS = 60_000;
const SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, 1 << 20];
const HUGE = 16 << 20;
const PLAIN = { perMessageDeflate: false };
const DEFLATE = { perMessageDeflate: { threshold: 0 } };
const TEXT = 'ASCII, \u00e9\u07ff, \ud55c\uad6d\uc5b4\uffff, \u{1f980}\u{10ffff}\u0000 end';

// Throws unless the condition holds.
function demand(condition, text) {
  if (!condition) throw new Error(text);
}

// Rejects when the promise has not settled in time.
function within(promise, what, milliseconds = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing for ${milliseconds} ms`)),
      milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A connection whose messages, pongs and end are read with promises.
class Client {
  constructor(url, options = {}, protocols = []) {
    this.socket = new WebSocket(url, protocols, { ...PLAIN, maxPayload: 2 * HUGE, ...options });
    this.messages = [];
    this.waiting = [];
    this.pongs = [];
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.failure = undefined;
    this.socket.on('error', (error) => { this.failure = error; });
    this.socket.on('message', (data, binary) => this.deliver({ data, binary }));
    this.socket.on('pong', (payload) => this.pongs.push(payload.toString('latin1')));
    this.closed.then(({ code }) => {
      const why = this.failure ?? new Error(`closed with ${code} while a message was awaited`);
      for (const { reject } of this.waiting.splice(0)) reject(why);
    });
  }

  static async open(url, options, protocols) {
    const client = new Client(url, options, protocols);
    await within(client.opened, 'opening handshake');
    return client;
  }

  deliver(message) {
    const next = this.waiting.shift();
    if (next) next.resolve(message);
    else this.messages.push(message);
  }

  receive() {
    const ready = this.messages.shift();
    if (ready) return Promise.resolve(ready);
    if (this.socket.readyState >= WebSocket.CLOSING) {
      return Promise.reject(this.failure ?? new Error('the connection is closed'));
    }
    return within(new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    }), 'awaited message', TIMEOUT_MS / 2);
  }

  async expect(data, binary) {
    const got = await this.receive();
    const wanted = Buffer.from(data);
    const kind = (flag) => (flag ? 'binary' : 'text');
    demand(got.binary === binary, `${kind(binary)} message came back as ${kind(got.binary)}`);
    demand(got.data.equals(wanted),
      `sent ${wanted.length} B, received ${got.data.length} B, not the same content`);
  }

  async echo(data, binary = typeof data !== 'string') {
    this.socket.send(data, { binary });
    await this.expect(data, binary);
  }

  // Closes; the server must answer with the same code and end the TCP connection.
  async close(code = 1000, reason = '') {
    this.socket.close(code, reason);
    const end = await within(this.closed, `answer to close ${code}`);
    demand(!this.failure, `error at close ${code}: ${this.failure}`);
    demand(end.code === code, `close ${code} was answered with ${end.code}`);
    demand(end.reason === '' || end.reason === reason,
      `close ${code} was answered with the reason ${JSON.stringify(end.reason)}`);
  }
}

function randomBytes(size) {
  return randomFillSync(Buffer.alloc(size));
}

// Opens, checks that permessage-deflate is negotiated as expected, runs the body, closes.
async function withClient(url, options, body) {
  const client = await Client.open(url, options);
  const wanted = options.perMessageDeflate ? 'permessage-deflate' : '';
  demand(client.socket.extensions === wanted,
    `extensions in force: "${client.socket.extensions}", not "${wanted}"`);
  try {
    await body(client);
    await client.close();
  } finally {
    client.socket.terminate();
  }
}

async function checkSizes(url, options) {
  await withClient(url, options, async (client) => {
    for (const size of SIZES) {
      await client.echo(randomBytes(size));
      await client.echo('z'.repeat(size));
    }
    await client.echo(TEXT);
    await client.echo(TEXT.repeat(10_000));
  });
  return `${2 * SIZES.length + 2} messages of 0 B to 1 MiB`;
}

async function checkHuge(url, options) {
  await withClient(url, options, async (client) => {
    await client.echo(randomBytes(HUGE));
    await client.echo('16 MiB of '.repeat(HUGE / 10).padEnd(HUGE, '!'));
  });
  return 'a random binary and a text message of 16 MiB';
}

async function checkFragments(url, options) {
  await withClient(url, options, async (client) => {
    for (const count of [1, 2, 3, 17, 500]) {
      for (const binary of [true, false]) {
        const parts = Array.from({ length: count }, (_, number) => (
          binary ? randomBytes(number % 200) : Buffer.from(`${number} \u{1f980}`)));
        parts.forEach((part, number) => {
          client.socket.send(part, { binary, fin: number === count - 1 });
          if (number % 50 === 7) client.socket.ping(`in the middle ${number}`);
        });
        await client.expect(Buffer.concat(parts), binary);
      }
    }
    // A character split in two: the fragments are not valid UTF-8, but the message is.
    const crab = Buffer.from('\u{1f980}');
    client.socket.send(crab.subarray(0, 2), { binary: false, fin: false });
    client.socket.send(crab.subarray(2), { binary: false, fin: true });
    await client.expect(crab, false);
    await within((async () => {
      while (client.pongs.length === 0) await new Promise((done) => { setTimeout(done, 5); });
    })(), 'pong to a ping within a message');
    demand(client.pongs.every((pong) => /^in the middle \d+$/.test(pong)),
      `pongs with another payload: ${client.pongs}`);
  });
  return '1 to 500 fragments, a character cut in two, pings in between';
}

async function checkPings(url, options) {
  await withClient(url, options, async (client) => {
    for (const size of [0, 1, 124, 125]) {
      const payload = randomBytes(size);
      const pong = new Promise((resolve) => { client.socket.once('pong', resolve); });
      client.socket.ping(payload);
      demand((await within(pong, 'pong')).equals(payload), `pong of ${size} B differs`);
    }
    client.socket.pong('nobody asked for this pong');
    await client.echo('still here');
  });
  return 'payloads of 0 to 125 B, and an unasked pong';
}

async function checkCloseCodes(url, options) {
  const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
    3999, 4000, 4999];
  for (const code of codes) {
    for (const reason of ['', '\ud55c\uad6d bye', 'r'.repeat(123)]) {
      const client = await Client.open(url, options);
      await client.echo(`before close ${code}`);
      await client.close(code, reason);
    }
  }
  const client = await Client.open(url, options);
  client.socket.close();
  const { code } = await within(client.closed, 'answer to an empty close');
  demand(code === 1005, `a close without a code was answered with ${code}`);
  return `${codes.length} codes x 3 reasons, and a close without a code`;
}

async function checkPipeline(url, options) {
  await withClient(url, options, async (client) => {
    const messages = Array.from({ length: 2000 }, (_, n) => Buffer.from(`${n}:`.repeat(n % 300)));
    messages.forEach((message) => client.socket.send(message, { binary: true }));
    for (const message of messages) await client.expect(message, true);
  });
  return '2,000 messages sent before the first is read, in order';
}

async function checkTerminate(url, options) {
  for (let round = 0; round < 50; round += 1) {
    const client = await Client.open(url, options);
    client.socket.send(randomBytes(200_000), { fin: false });
    client.socket.send(randomBytes(200_000), { fin: round % 2 === 0 });
    setTimeout(() => client.socket.terminate(), round % 5);
    const { code } = await within(client.closed, 'end after terminate');
    demand(code === 1006, `terminated by us, yet the close code is ${code}`);
  }
  await withClient(url, options, (client) => client.echo('alive after 50 broken connections'));
  return '50 connections cut in mid message, the server goes on';
}

async function checkHandshake(url) {
  for (const origin of ['http://127.0.0.1', 'https://www.example.org', 'null']) {
    await withClient(url, { origin }, (client) => client.echo(`from ${origin}`));
  }
  const headers = { 'User-Agent': 'corecast-test', Cookie: 'a=b', Authorization: 'Basic eDp5' };
  await withClient(url, { headers }, (client) => client.echo('with headers'));
  const chosen = await Client.open(url, {}, ['first', 'second', 'third']);
  demand(chosen.socket.protocol === 'first', `subprotocol "${chosen.socket.protocol}"`);
  await chosen.echo('subprotocol');
  await chosen.close();
  return 'origins, headers, subprotocols';
}

// Version 8 of the drafts must be refused with 426 and the server's own version (RFC 6455
// section 4.4).
async function checkRefusal(url) {
  const socket = new WebSocket(url, { protocolVersion: 8 });
  const answer = await within(new Promise((resolve, reject) => {
    socket.once('unexpected-response', (_, response) => resolve(response));
    socket.once('open', () => reject(new Error('version 8 was accepted')));
    socket.once('error', reject);
  }), 'answer to version 8');
  socket.on('error', () => {});
  socket.terminate();
  demand(answer.statusCode === 426, `version 8 was answered with ${answer.statusCode}`);
  const version = answer.headers['sec-websocket-version'];
  demand(version === '13', `Sec-WebSocket-Version in the answer is ${version}`);
  return 'version 8 refused with 426';
}

async function checkDeflateOptions(url) {
  const offers = [
    { serverNoContextTakeover: true },
    { clientNoContextTakeover: true },
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
    { clientMaxWindowBits: 9 },
    { clientMaxWindowBits: 15 },
    { serverMaxWindowBits: 9 },
    { serverMaxWindowBits: 12, clientMaxWindowBits: 10, serverNoContextTakeover: true },
    { serverMaxWindowBits: 15, clientMaxWindowBits: 15, clientNoContextTakeover: true },
  ];
  for (const offer of offers) {
    const perMessageDeflate = { threshold: 0, ...offer };
    await withClient(url, { perMessageDeflate }, async (client) => {
      for (let round = 0; round < 30; round += 1) {
        await client.echo(`${TEXT} ${round} `.repeat(round * 40));
        await client.echo(randomBytes(round * 50));
      }
      client.socket.send('not compressed', { compress: false });
      await client.expect('not compressed', false);
      // ws compresses a message whole: the fragments of one share its RSV1 and its context.
      client.socket.send(TEXT.repeat(50), { fin: false });
      client.socket.send(TEXT.repeat(70), { fin: true });
      await client.expect(TEXT.repeat(120), false);
    });
  }
  return `${offers.length} offers`;
}

const BOTH = [['plain', PLAIN], ['deflate', DEFLATE]];
const CHECKS = [
  ...[checkSizes, checkHuge, checkFragments, checkPings, checkCloseCodes, checkPipeline,
    checkTerminate].flatMap((check) => BOTH.map(([name, options]) => [check, name, options])),
  [checkHandshake, 'plain'],
  [checkRefusal, 'plain'],
  [checkDeflateOptions, 'deflate'],
];

async function main() {
  const url = process.argv[2];
  if (process.argv.length !== 3 || !/^wss?:/.test(url)) {
    console.error('usage: node_ws.mjs ws[s]://HOST:PORT');
    return 2;
  }
  let failed = 0;
  for (const [check, mode, options] of CHECKS) {
    const name = `${check.name.replace('check', '').toLowerCase()} (${mode})`;
    const start = performance.now();
    try {
      const detail = await within(check(url, options), name, TIMEOUT_MS);
      console.log(`ok   ${name}: ${detail}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}: ${error.message}`);
    }
  }
  console.log(`npm ws ${VERSION}: ${CHECKS.length - failed} checks passed, ${failed} failed`);
  return failed ? 1 : 0;
}

// A late error of an abandoned connection must fail the run, and must not hang the process.
process.exit(await main());
