#!/usr/bin/env node
// Publish and subscribe with the client of npm's `ws`.
//
//     node_pubsub.mjs ws://127.0.0.1:PORT
//
// With wss:// the roots in the file NODE_EXTRA_CA_CERTS are trusted too.
// Prints one line for each check; exit status 0 if all passed, 1 otherwise.

import { randomFillSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { deepStrictEqual } from 'node:assert';
import WebSocket from 'ws';

const VERSION = createRequire(import.meta.url)('ws/package.json').version;
const TIMEOUT_MS = 60_000;
const QUIET_MS = 300;
const PROTOCOL = 'corecast.v1.json';
const PLAIN = { perMessageDeflate: false };
const DEFLATE = { perMessageDeflate: { threshold: 0 } };
// Offers for which the server uses different forms: windows of 9, 12 and 15 bits, and none.
const FORMS = [PLAIN, DEFLATE,
  ...[9, 12].map((bits) => ({ perMessageDeflate: { threshold: 0, serverMaxWindowBits: bits } })),
  { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } }];
const TEXT = 'ASCII, \u00e9\u07ff, \ud55c\uad6d\uc5b4\uffff, \u{1f980}\u{10ffff}\u0000 end';

let topics = 0;

// A topic that was not used before, on this server or in an earlier run.
function fresh() {
  topics += 1;
  return `node/${process.pid}-${topics}`;
}

function demand(condition, text) {
  if (!condition) throw new Error(text);
}

// Rejects when the promise has not settled in time.
function within(promise, what, milliseconds = TIMEOUT_MS / 2) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing for ${milliseconds} ms`)),
      milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A connection whose messages and end are read with promises.
class Client {
  constructor(url, options, protocols) {
    this.socket = new WebSocket(url, protocols, options);
    this.messages = [];
    this.waiting = [];
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.socket.on('error', () => {});
    this.socket.on('message', (data, binary) => {
      const message = binary ? data : data.toString();
      const next = this.waiting.shift();
      if (next) next.resolve(message);
      else this.messages.push(message);
    });
    this.closed.then(({ code, reason }) => {
      const why = new Error(`closed with ${code} "${reason}" while a message was awaited`);
      for (const { reject } of this.waiting.splice(0)) reject(why);
    });
  }

  static async open(url, options = PLAIN, protocols = []) {
    const client = new Client(url, options, protocols);
    await within(client.opened, 'opening handshake');
    const wanted = options.perMessageDeflate ? 'permessage-deflate' : '';
    demand(client.socket.extensions === wanted, `extensions: "${client.socket.extensions}"`);
    return client;
  }

  receive() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    return within(new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    }), 'awaited message');
  }

  // The next message must be this text or these bytes.
  async expect(wanted) {
    const got = await this.receive();
    demand(typeof got === typeof wanted, `a ${typeof got} came instead of a ${typeof wanted}`);
    demand(typeof got === 'string' ? got === wanted : got.equals(wanted),
      `received ${String(got).slice(0, 80)}, not ${String(wanted).slice(0, 80)}`);
  }

  async expectJson(...values) {
    for (const wanted of values) deepStrictEqual(JSON.parse(await this.receive()), wanted);
  }

  request(value) {
    this.socket.send(JSON.stringify(value));
  }

  async ask(value, ...answers) {
    this.request(value);
    await this.expectJson(...answers);
  }

  // Nothing comes, and the connection still works.
  async quiet() {
    await new Promise((done) => { setTimeout(done, QUIET_MS); });
    const pong = new Promise((resolve) => { this.socket.once('pong', resolve); });
    this.socket.ping();
    await within(pong, 'pong');
    demand(this.messages.length === 0, `${this.messages[0]} came, and nothing should have`);
  }
}

const openJson = (url, options, protocols = [PROTOCOL]) => (
  Client.open(`${url}/pubsub`, options, protocols));
const openRaw = (url, topic, options, query = '') => (
  Client.open(`${url}/topics/${topic}${query}`, options));

async function checkForms(url) {
  const topic = fresh();
  const raw = await Promise.all(FORMS.map((options) => openRaw(url, topic, options)));
  const json = await Promise.all(FORMS.map((options) => openJson(url, options)));
  for (const client of json) {
    await client.ask({ subscribe: topic }, { subscribed: [topic] });
  }
  const bytes = randomFillSync(Buffer.alloc(100_001)).fill(0xff, 0, 1);
  for (const sender of raw) {
    for (const payload of [TEXT, TEXT.repeat(2000), '', bytes, bytes.subarray(0, 20)]) {
      sender.socket.send(payload);
      const { data, data64 } = typeof payload === 'string'
        ? { data: payload } : { data64: payload.toString('base64') };
      for (const client of raw) await client.expect(payload);
      for (const client of json) {
        await client.expectJson(data64 === undefined ? { topic, data } : { topic, data64 });
      }
    }
  }
  for (const sender of json) {
    sender.request({ publish: topic, data: [TEXT] });
    for (const client of raw) await client.expect(JSON.stringify([TEXT]));
    for (const client of json) await client.expectJson({ topic, data: [TEXT] });
  }
  [...raw, ...json].forEach((client) => client.socket.close());
  return `${raw.length} raw and ${json.length} JSON clients, each with its compression`;
}

async function checkProtocols(url, options) {
  const offers = [[[], ''], [[PROTOCOL], PROTOCOL], [['a', PROTOCOL, 'b'], PROTOCOL]];
  for (const [offer, wanted] of offers) {
    const client = await openJson(url, options, offer);
    const { protocol } = client.socket;
    demand(protocol === wanted, `offered [${offer}], the server chose "${protocol}"`);
    await client.ask({ unsubscribe: ['x'], id: 1 }, { unsubscribed: ['x'], id: 1 });
    client.socket.close();
  }
  // This client fails a connection if the server selected none of the offered ones.
  const failed = await openJson(url, options, ['a']).then(() => false, () => true);
  demand(failed, 'the subprotocol "a" was agreed to');
  return `${offers.length} offers, and one of another subprotocol only`;
}

async function checkRoles(url, options) {
  const topic = fresh();
  const both = await openRaw(url, topic, options, '?role=both');
  const silent = await openRaw(url, topic, options, '?echo=0');
  const sub = await openRaw(url, topic, options, '?role=sub');
  const pub = await openRaw(url, topic, options, '?role=pub');
  for (const [sender, listeners] of [[both, [both, silent, sub]], [silent, [both, sub]],
    [pub, [both, silent, sub]]]) {
    // In fragments, which are published as one message.
    sender.socket.send(TEXT, { fin: false });
    sender.socket.send(TEXT, { fin: true });
    for (const client of listeners) await client.expect(TEXT + TEXT);
  }
  await Promise.all([both, silent, sub, pub].map((client) => client.quiet()));
  sub.socket.send('nobody is to hear this');
  const { code, reason } = await within(sub.closed, 'close of role=sub');
  demand(code === 1008 && reason.includes('role=sub'), `closed with ${code} "${reason}"`);
  await both.quiet();
  [both, silent, pub].forEach((client) => client.socket.close());
  return 'role=both, sub, pub and echo=0';
}

async function checkRefusals(url, options) {
  const paths = ['/topics', '/topics/a%00', '/topics/a/%23', '/topics/a?rolle=sub', '/pubsub?a'];
  for (const path of paths) {
    const socket = new WebSocket(url + path, [], options);
    const status = await within(new Promise((resolve) => {
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('open', () => resolve(101));
      socket.on('error', () => {});
    }), `answer to ${path}`);
    socket.terminate();
    demand(status === 400, `${path} was answered with ${status}`);
  }
  return `${paths.length} bad paths and queries`;
}

async function checkJson(url, options) {
  const [topic, base] = [fresh(), fresh()];
  const [one, two] = [await openJson(url, options), await openJson(url, options)];
  await one.ask({ publish: topic, data: { n: 1 }, retain: true, id: 'a' },
    { published: topic, id: 'a' });
  two.request({ subscribe: [topic, `${base}/+/x`], id: 2 });
  const got = [JSON.parse(await two.receive()), JSON.parse(await two.receive())];
  got.sort((left) => ('subscribed' in left ? -1 : 1));
  deepStrictEqual(got, [{ subscribed: [topic, `${base}/+/x`], id: 2 },
    { topic, data: { n: 1 }, retained: true }]);
  // Answers and deliveries of a burst: each publisher's messages in order.
  for (let number = 0; number < 1000; number += 1) {
    one.request({ publish: `${base}/${number % 2}/x`, data: number, id: number });
  }
  const last = [-2, -1];
  for (let number = 0; number < 1000; number += 1) {
    await one.expectJson({ published: `${base}/${number % 2}/x`, id: number });
    const { topic: from, data } = JSON.parse(await two.receive());
    const at = data % 2;
    demand(from === `${base}/${at}/x` && data === last[at] + 2, `${data} came after ${last[at]}`);
    last[at] = data;
  }
  await two.ask({ unsubscribe: `${base}/+/x` }, { unsubscribed: [`${base}/+/x`] });
  await one.ask({ publish: `${base}/0/x`, data: 0, id: 3 }, { published: `${base}/0/x`, id: 3 });
  await one.ask({ publish: topic, retain: true, id: 4 }, { published: topic, id: 4 });
  await two.expectJson({ topic, data: '' });
  await two.quiet();
  const wrong = [['{', undefined], ['{"id":5}', 5], ['{"publish":"#","data":1,"id":6}', 6]];
  for (const [request, id] of wrong) {
    two.socket.send(request);
    const { error, ...rest } = JSON.parse(await two.receive());
    demand(typeof error === 'string' && error.length > 10, `${request}: no error came`);
    deepStrictEqual(rest, id === undefined ? {} : { id });
  }
  [one, two].forEach((client) => client.socket.close());
  return 'retained, wildcards, 1,000 answers in order, errors';
}

const BOTH = [['plain', PLAIN], ['deflate', DEFLATE]];
const CHECKS = [
  [checkForms, 'every form'],
  ...[checkProtocols, checkRoles, checkRefusals, checkJson].flatMap((check) => (
    BOTH.map(([name, options]) => [check, name, options]))),
];

async function main() {
  const url = process.argv[2];
  if (process.argv.length !== 3 || !/^wss?:/.test(url)) {
    console.error('usage: node_pubsub.mjs ws[s]://HOST:PORT');
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
  const passed = CHECKS.length - failed;
  console.log(`npm ws ${VERSION} pub/sub: ${passed} checks passed, ${failed} failed`);
  return failed ? 1 : 0;
}

// A late error of an abandoned connection must fail the run, and must not hang the process.
process.exit(await main());
