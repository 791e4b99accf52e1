/** All bytes are sent unchanged, and nothing is sent after a refusal. RFC 5321 §4.5.2, attacks P03 and R06. */
import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Content } from '../../src/store/message-store.ts';
import { MINUTE } from '../../src/system/clock.ts';
import { inline, TIMEOUTS } from '../support/delivery.ts';
import { startRig, startScripted } from '../support/delivery-rig.ts';
import { makePair } from '../support/pair.ts';

/** A body on disk, as delivery sees it. */
function spooled(prefix: string, body: Buffer, chunk = 64 * 1024): Content {
  async function* read() {
    for (let at = 0; at < body.length; at += chunk) {
      if (at % (64 * 1024) === 0) await setImmediate(); // as a disk would
      yield body.subarray(at, at + chunk);
    }
  }
  return { kind: 'spooled', prefix: new Uint8Array(Buffer.from(prefix)), spool: { name: 'x', size: body.length, read } };
}

/** Lines of every kind, many of them with dots first. */
function lines(size: number): Buffer {
  const some = ['', '.', '..', '.a', 'x']
    .map((start, i) => `${start}${randomBytes(10 + 20 * i).toString('base64')}\r\n`)
    .join('');
  return Buffer.from(`${some.repeat(Math.ceil(size / some.length))}.\r\n\r\n.\r\n`);
}

const HEADER = 'Received: x\r\nSubject: y\r\n\r\n';

describe.each([
  ['in clear', false],
  ['over TLS', true],
])('%s', (_, encrypted) => {
  test.each([
    ['an empty one', ''],
    ['a lone dot', '.\r\n'],
    ['dots everywhere', '.\r\n..\r\n...\r\n.x\r\nx.\r\n'],
    ['no CRLF at its end', 'Subject: x\r\n\r\nend'],
    ['8-bit bytes', 'Subject: x\r\n\r\n\xff\xfe\x80\r\n'],
  ])('content with %s arrives unchanged', async (_name, text) => {
    const { relay, mx } = await startRig({ hosts: [encrypted ? { tls: await makePair() } : {}] });
    const bytes = Buffer.from(text, 'latin1');
    expect(await relay.send('a@good.test', { content: inline(bytes) })).toMatchObject([{ kind: 'relayed' }]);
    const expected = text === '' || text.endsWith('\r\n') ? bytes : Buffer.concat([bytes, Buffer.from('\r\n')]);
    expect(mx.messages[0]!.data.equals(expected)).toBe(true);
  });

  test('a body on disk without a prefix causes no delay', async () => {
    const { relay, mx } = await startRig({ hosts: [encrypted ? { tls: await makePair() } : {}] });
    const body = Buffer.from('Subject: x\r\n\r\nbody\r\n');
    expect(await relay.send('a@good.test', { content: spooled('', body) })).toMatchObject([{ kind: 'relayed' }]);
    expect(mx.messages[0]!.data.equals(body)).toBe(true);
  });

  test('300 KB in memory and 10 MB on disk arrive unchanged', async () => {
    const { relay, mx } = await startRig({ hosts: [encrypted ? { tls: await makePair() } : {}] });
    const small = lines(300_000);
    const large = lines(10_000_000);
    expect(await relay.send('a@good.test', { content: inline(small) })).toMatchObject([{ kind: 'relayed' }]);
    expect(await relay.send('a@good.test', { content: spooled(HEADER, large) })).toMatchObject([{ kind: 'relayed' }]);
    expect(await relay.send('a@good.test', { content: spooled(HEADER, small, 7) })).toMatchObject([{ kind: 'relayed' }]);
    expect(mx.messages[0]!.data.equals(small)).toBe(true);
    expect(mx.messages[1]!.data.equals(Buffer.concat([Buffer.from(HEADER), large]))).toBe(true);
    expect(mx.messages[2]!.data.equals(Buffer.concat([Buffer.from(HEADER), small]))).toBe(true);
    expect(mx.messages[1]!.mailParameters).toContain(`SIZE=${HEADER.length + large.length}`);
    expect(mx.sessions()).toBe(1);
  });
});

test('a body that cannot be read is delayed, and the host gets no dot', async () => {
  const { relay, mx } = await startRig();
  async function* read() {
    yield Buffer.from('part\r\n');
    throw new Error('disk on fire');
  }
  const content: Content = {
    kind: 'spooled',
    prefix: new Uint8Array(Buffer.from(HEADER)),
    spool: { name: 'x', size: 100, read },
  };
  expect(await relay.send('a@good.test', { content })).toMatchObject([{ kind: 'delayed', reply: { status: '4.3.0' } }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
  await expect.poll(() => mx.open()).toBe(0);
  expect(mx.count()).toBe(0);
});

describe('a host that replies while we still send', () => {
  const large = spooled(HEADER, lines(10_000_000));

  test.each([
    ['552 5.3.4 Too big', 'failed', '5.3.4'],
    ['452 4.3.1 Disk full', 'delayed', '4.3.1'],
    ['250 2.0.0 Thank you', 'delayed', '4.5.0'],
  ])('%s: %s, and the connection is not used again', async (reply, kind, status) => {
    const { relay, mx } = await startScripted({ content: reply });
    expect(await relay.send('a@good.test', { content: large })).toMatchObject([{ kind, reply: { status } }]);
    mx.script({});
    await relay.send('b@good.test');
    expect(mx.sessions()).toBeGreaterThan(relay.blockedUntil('good.test') === undefined ? 1 : 0);
    expect(mx.messages.every(({ data }) => data.length < 100)).toBe(true);
  });

  test('after 421 and a close the next host is tried', async () => {
    for (const content of ['421 4.3.2 Stopping', 'close'] as const) {
      const patient = { timeouts: { ...TIMEOUTS, dot: MINUTE } }; // the whole message is read by this process too
      const { relay, hosts } = await startScripted({ content }, { hosts: [{}], delivery: patient });
      expect(await relay.send('a@good.test', { content: large })).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
      expect(hosts[0]!.count()).toBe(0);
    }
  });
});

test('a reply before our final dot never counts as success', async () => {
  const { relay, mx } = await startScripted({ DATA: { raw: '354 go on\r\n250 2.0.0 Ok: queued\r\n' } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.5.0' } }]);
  expect(mx.count()).toBe(0);
});

test('a host that stops reading is given up after the block timeout', async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('220 x\r\n');
    socket.on('data', (chunk) => {
      const text = chunk.toString();
      if (text.startsWith('EHLO')) socket.write('250-x\r\n250 PIPELINING\r\n');
      else if (text.startsWith('MAIL')) {
        socket.write('250 ok\r\n250 ok\r\n354 go on\r\n');
        socket.pause();
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.3.9', done));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const port = (server.address() as { port: number }).port;
  const timeouts = { connect: 60_000, greeting: 60_000, command: 60_000, data: 60_000, block: 300, dot: 60_000 };
  const { relay } = await startRig({ zone: { 'd.test': { A: ['127.0.3.9'] } }, delivery: { port, timeouts } });
  const [outcome] = await relay.send('a@d.test', { content: spooled(HEADER, lines(20_000_000)) });
  expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.4.2' } });
  expect(outcome!.reply.text).toContain('nothing within 0.3 s');
});
