/** Slow, many, and failing: rows L01 to L08, behaviour rules 2 and 11. Full disks are in disk-full.test.ts too. */
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import {
  type Attacked,
  codeOf,
  plain,
  RawClient,
  RIGHT,
  send,
  startAttacked,
  submit,
  TEXT,
  UNCOUNTED,
  USER,
} from '../support/attack-rig.ts';
import { cpuClock } from '../support/cpu-time.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { type Program, startProgram, until } from '../support/program.ts';
import { type Scenario, type ScenarioOptions, startScenario } from '../support/relay-scenario.ts';
import { attack, attacks, elsewhere } from './attack.ts';

const MIB = 1024 * 1024;
const MAIL = `MAIL FROM:<${USER}>`;
const RCPT = 'RCPT TO:<anna@dest.test>';

let relay: Attacked;
beforeAll(async () => {
  relay = await startAttacked({
    yaml: `${UNCOUNTED}\nlimits: { messages: [], newRecipients: [] }\nsubmission: { commandTimeout: 1s, authTimeout: 1s, idleTimeout: 2s }`,
  });
});
afterEach(() => relay?.hangUp());
afterAll(async () => {
  await relay?.nothingIsLost();
  await relay?.close();
});

/** Sends the text byte by byte until the connection ends. */
async function trickle(client: RawClient, text: string, every = 200): Promise<void> {
  let i = 0;
  const timer = setInterval(() => client.send(text[i++ % text.length]!), every);
  await client.closed().finally(() => clearInterval(timer));
}

attacks(
  'L01',
  'slow clients',
  '421 4.4.2, and nothing of it is queued',
  [
    ['a command byte by byte', [], 'NOOP '],
    ['an answer to AUTH byte by byte', ['AUTH PLAIN'], 'A'],
    ['no answer to AUTH', ['AUTH LOGIN'], ''],
    ['a text byte by byte', [RIGHT, MAIL, RCPT, 'DATA'], 'x'],
    ['a text that stops', [RIGHT, MAIL, RCPT, 'DATA'], ''],
    ['no command', [], ''],
    ['no command after a login', [RIGHT, MAIL], ''],
  ],
  async (_, lines: string[], text) => {
    await relay.lettingNothingIn(async () => {
      const client = await relay.tls();
      await client.ask('EHLO client.test');
      for (const line of lines) expect(codeOf(await client.ask(line))).toMatch(/^[23]/);
      await (text === '' ? client.closed() : trickle(client, text));
      expect(codeOf(await client.reply())).toBe('421 4.4.2');
    });
  },
);

attack('L01', 'a text that arrives slowly but steadily, for longer than any limit', '250', async () => {
  const client = await relay.loggedIn();
  await client.askAll([MAIL, RCPT, 'DATA']);
  client.send(TEXT);
  for (let i = 0; i < 30; i++) {
    client.send(`${'x'.repeat(398)}\r\n`); // 2 kB a second
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(codeOf(await client.ask('.'))).toBe('250 2.0.0');
});

attack(
  'L01',
  'a client that reads no replies while it pipelines',
  'the relay stops reading from it and closes the connection',
  async () => {
    const client = await relay.loggedIn();
    await client.ask(MAIL);
    client.socket.pause();
    const before = process.memoryUsage().rss;
    const seen = relay.log.length;
    const piece = Buffer.from(`${RCPT}\r\n`.repeat(10_000));
    let queued = true;
    for (let i = 0; i < 100 && queued; i++) queued = client.socket.write(piece);
    expect(queued).toBe(false); // the relay stopped reading
    await until(
      'the relay to end it',
      () => relay.log.slice(seen).some(({ event, status }) => event === 'refused' && status === '4.4.2'),
      {
        deadline: 15_000,
      },
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
    await relay.stillWorks();
  },
);

attack('L01', 'one address with more sessions than its limit', '421 4.7.0, other addresses get sessions', async () => {
  const clients: RawClient[] = [];
  for (let i = 0; i < 230; i++) clients.push(relay.raw('submission', '127.0.8.1'));
  const greetings = await Promise.all(clients.map((client) => client.reply().then(codeOf, () => 'closed')));
  expect(greetings.filter((code) => code === '220').length).toBeLessThanOrEqual(200); // a hundred, and those that waited for a session
  expect(greetings.filter((code) => code === '421 4.7.0').length).toBeGreaterThanOrEqual(30);
  await relay.stillWorks('127.0.8.2');
});

type WithLogin = Scenario & { login(from?: string): Promise<RawClient> };

/** The relay as a process, with one user. It ends with its test. */
async function startProcess(options: ScenarioOptions = {}): Promise<WithLogin> {
  const scenario = await startScenarioWithLogin(options);
  onTestFinished(() => scenario.close());
  return scenario;
}

async function startScenarioWithLogin(options: ScenarioOptions = {}): Promise<WithLogin> {
  const scenario = await startScenario(options);
  return {
    ...scenario,
    async login(from) {
      const client = RawClient.clear(scenario.relay.ports.submissions, from);
      await client.upgrade();
      await client.reply();
      await client.ask('EHLO client.test');
      const reply = await client.ask(plain(scenario.user, scenario.password));
      if (!reply.startsWith('235')) throw new Error(reply);
      return client;
    },
  };
}

const statusOf = (pid: number, name: string) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

attack(
  'L02',
  '2000 idle and 200 slow connections from 200 addresses, and 50 guessers',
  'a client that has sent mail before is served in time',
  async () => {
    const { relay: process, login, mx } = await startProcess();
    const good = await login('127.0.9.1');
    await send(good, { text: TEXT });
    const sockets: Socket[] = [];
    const open = (port: number, localAddress: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => {});
      socket.resume();
      sockets.push(socket);
      return socket;
    };
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let i = 0; i < 2000; i++)
      open(i % 2 ? process.ports.submissions : process.ports.submission, `127.0.10.${1 + (i % 200)}`);
    for (let i = 0; i < 200; i++) open(process.ports.submission, `127.0.10.${1 + i}`).write('E');
    const guessers = Array.from({ length: 50 }, async (_, i) => {
      const client = RawClient.clear(process.ports.submissions, `127.0.11.${1 + i}`);
      await client.upgrade();
      await client.reply();
      await client.ask('EHLO x');
      for (;;) await client.ask(plain('guess', `${i}`));
    });
    const guessing = Promise.allSettled(guessers);
    for (let i = 0; i < 40; i++) {
      const client = i % 2 ? good : await login('127.0.9.1'); // it fails if its turn does not come within 5 s
      await send(client, { text: TEXT });
      if (client !== good) client.close();
    }
    expect(statusOf(process.pid(), 'VmHWM')).toBeLessThan(400 * MIB);
    for (const socket of sockets) socket.destroy();
    await guessing;
    await mx.received(41, 30_000);
    const stranger = await login('127.0.12.1');
    await send(stranger, { text: TEXT });
  },
  120_000,
);

attack(
  'L03',
  'no file left to open',
  'connections wait or are closed; later the relay works as before, and no accepted mail is lost',
  async () => {
    const { relay: process, login, mx } = await startProcess();
    const open = readdirSync(`/proc/${process.pid()}/fd`).length;
    const limit = startProgram({ command: 'prlimit', args: ['--pid', String(process.pid()), `--nofile=${open + 12}:`] });
    expect(await limit.ended).toBe(0);
    const good = await login();
    await send(good, { text: TEXT });
    const crowd = Array.from({ length: 60 }, () => RawClient.clear(process.ports.submission));
    await Promise.all(crowd.map((client) => client.reply().catch(() => 'closed')));
    const large = `${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(600)}`; // needs a file of its own
    const replies = [await submit(good, { text: TEXT }), await submit(good, { text: large })];
    for (const reply of replies) expect(codeOf(reply)).toMatch(/^(250|45[12]) /);
    for (const client of crowd) client.close();
    expect(process.running()).toBe(true);
    await until(
      'it serves again',
      () =>
        login().then(
          (client) => client.close() === undefined,
          () => false,
        ),
      { deadline: 20_000 },
    );
    const accepted = replies.filter((reply) => reply.startsWith('250')).length;
    await send(await login(), { text: large });
    const lift = startProgram({ command: 'prlimit', args: ['--pid', String(process.pid()), '--nofile=4096:'] });
    expect(await lift.ended).toBe(0);
    await mx.received(2 + accepted, 20_000).catch(() => {}); // a message without a socket waits for its retry
    const taken = process.events('accepted').length;
    expect(taken).toBe(2 + accepted);
    expect(process.events('failed')).toEqual([]);
  },
  90_000,
);

elsewhere('L04', 'a disk of 2 MB, and one that can only be read', 'test/integration/disk-tiny.test.ts');
elsewhere('L04', 'each call on a file or a socket says ENOSPC, EROFS or EMFILE', 'test/crash');
elsewhere('L05', 'each call on a file or a socket says EIO', 'test/crash');

/** strace on a running process, with faults in its calls. It detaches when it is closed. */
async function inject(pid: number, ...expressions: readonly string[]): Promise<Program> {
  const strace = startProgram({
    command: 'strace',
    args: ['-f', '-qq', '-o', '/dev/null', ...expressions.flatMap((one) => ['-e', one]), '-p', String(pid)],
  });
  await until('strace', () => /TracerPid:\s+[1-9]/.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
  return strace;
}

if (requirePeer('strace', hasCommand('strace'))) {
  attack('L03', 'no file left for a connection to a host', 'delayed and tried again; the host does not rest', async () => {
    const { relay: process, login, mx } = await startProcess();
    mx.script({ message: { reply: '250 2.0.0 Ok', thenClose: true } }); // each message needs a connection of its own
    const client = await login();
    await send(client, { text: TEXT });
    await process.event('relayed'); // and its DNS is known
    const strace = await inject(process.pid(), 'inject=socket:error=EMFILE');
    const id = await send(client, { text: TEXT });
    const { status, reply } = await process.event('delayed', (line) => line['queueId'] === id);
    expect(status).toBe('4.3.0');
    expect(reply).toContain('no room for a connection');
    await strace.close();
    await process.event('relayed', (line) => line['queueId'] === id, 20_000);
    expect(process.events('resting')).toEqual([]);
  });
  attacks(
    'L04',
    'calls that find no space',
    '452 or 451, never 250; later the relay works as before',
    [
      ['pwrite64: ENOSPC', ['inject=pwrite64:error=ENOSPC']],
      ['write and pwrite64: EDQUOT', ['inject=pwrite64,pwritev,pwritev2:error=EDQUOT']],
      ['openat for writing: EROFS', ['inject=pwrite64,fallocate,ftruncate:error=EROFS']],
    ],
    (_, expressions) => faulty(expressions),
  );
  attacks(
    'L05',
    'calls that fail',
    '451 4.3.0, never 250; later the relay works as before',
    [
      ['fdatasync and fsync: EIO', ['inject=fdatasync,fsync:error=EIO']],
      ['pwrite64: EIO', ['inject=pwrite64:error=EIO']],
    ],
    (_, expressions) => faulty(expressions),
  );
}

let shared: WithLogin | undefined;
afterAll(() => shared?.close());

async function faulty(expressions: readonly string[]): Promise<void> {
  shared ??= await startScenarioWithLogin();
  const { relay: process, login, mx } = shared;
  const client = await login();
  await send(client, { text: TEXT });
  const strace = await inject(process.pid(), ...expressions);
  const small = await submit(client, { text: TEXT });
  const large = await submit(client, { text: `${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(600)}` });
  expect(
    [codeOf(small), codeOf(large)].every((code) => /^45[12] 4\.3\.[01]$/.test(code)),
    `${small} ${large}`,
  ).toBe(true);
  await strace.close();
  await until('a 250 again', async () => (await submit(client, { text: TEXT })).startsWith('250'), { deadline: 20_000 });
  expect(process.running()).toBe(true);
  await mx.received(process.events('accepted').length, 30_000);
  expect(mx.count()).toBe(process.events('accepted').length);
  await until('nothing left in the spool', () => readdirSync(join(process.folder, 'data/spool')).length === 0);
  await until('all settled', () => process.events('relayed').length === process.events('accepted').length);
}

attack(
  'L05',
  'after all of these faults, kill -9 and a new start',
  'the queue is empty, and nothing was sent twice',
  async () => {
    if (shared === undefined) return;
    const { relay: process, mx } = shared;
    await process.stop('SIGKILL');
    await process.start();
    await until('an empty queue', async () => (await process.command(['queue', 'list', '--json'])).trim() === '[]');
    const arrived = mx.messages.map(({ data }) => /\bid ([0-9a-z]{17})\b/.exec(data.toString('latin1'))![1]!);
    // A message that got 451 may be stored completely after a crash. A message that got 250 is there once. No message is there twice.
    expect(new Set(arrived).size).toBe(arrived.length);
    expect(arrived).toEqual(expect.arrayContaining(process.events('accepted').map((event) => event['queueId'])));
  },
);

attack('L04', 'free space below `queue.minFree`', '452 4.3.1 at MAIL, before anything is sent', async () => {
  const full = await startAttacked({ yaml: 'queue: { minFree: 1000000GiB }' });
  const client = await full.loggedIn();
  expect(codeOf(await client.ask(MAIL))).toBe('452 4.3.1');
  expect(codeOf(await client.ask(RCPT))).toBe('503 5.5.1');
  expect((await fetch(`http://127.0.0.1:${full.ports.admin}/readyz`)).status).toBe(503);
  await full.close();
});

attack(
  'L06',
  '40 messages of 4 MB at once, with 128 MB for objects',
  'all arrive; the process stays below 400 MB',
  async () => {
    const { relay: process, login, mx } = await startProcess({ mx: { keep: 1 }, settings: { limits: { messages: [] } } });
    await process.stop();
    const options = globalThis.process.env['NODE_OPTIONS'];
    globalThis.process.env['NODE_OPTIONS'] = '--max-old-space-size=128';
    await process.start();
    if (options === undefined) delete globalThis.process.env['NODE_OPTIONS'];
    else globalThis.process.env['NODE_OPTIONS'] = options;
    const text = Buffer.from(`${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(4000)}`);
    const clients = await Promise.all(Array.from({ length: 40 }, () => login()));
    await Promise.all(clients.map((client) => client.askAll([MAIL, RCPT, 'DATA'])));
    const replies = clients.map(async (client) => {
      for (let at = 0; at < text.length; at += 256 * 1024) {
        if (!client.socket.write(text.subarray(at, at + 256 * 1024)))
          await new Promise((resolve) => client.socket.once('drain', resolve));
      }
      client.send('.\r\n');
      return until('a reply', () => (/\n$/.test(client.unread) ? client.unread : undefined), { deadline: 80_000 });
    });
    for (const reply of await Promise.all(replies)) expect(reply).toMatch(/^250 2\.0\.0/);
    await mx.received(40, 60_000);
    expect(statusOf(process.pid(), 'VmHWM')).toBeLessThan(400 * MIB);
  },
  180_000,
);

attack('L07', 'a header of 5 MB, 4 MB of bare newlines, 4 MB of dots', 'the event loop is not blocked', async () => {
  const client = await relay.loggedIn();
  const other = await relay.loggedIn();
  const texts = [
    `${`X: ${'y'.repeat(900)}\r\n`.repeat(5500)}${TEXT}`,
    `${TEXT}${'x\n'.repeat(2 * MIB)}\r\n`,
    `${TEXT}${'..\r\n'.repeat(MIB)}`,
  ].map((text) => Buffer.from(text));
  for (const text of texts) {
    await client.askAll([MAIL, RCPT, 'DATA']);
    await other.ask('NOOP');
    let [last, longest] = [cpuClock(), 0];
    const look = () => {
      const now = cpuClock();
      [last, longest] = [now, Math.max(longest, now - last)];
    };
    const timer = setInterval(look, 5);
    for (let at = 0; at < text.length; at += 65_536) {
      client.socket.write(text.subarray(at, at + 65_536));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(codeOf(await client.ask('.'))).toMatch(/^250|^552/);
    clearInterval(timer);
    look();
    expect(longest).toBeLessThan(3000); // milliseconds of processor between two turns: some 50
  }
});

attack('L08', 'connections that are reset at every moment', 'the process lives, and no error is unhandled', async () => {
  const heard: unknown[] = [];
  const hear = (error: unknown) => heard.push(error);
  process.on('uncaughtExceptionMonitor', hear);
  const moments = ['', '\x16\x03\x01', 'EHLO x\r\n'];
  for (const moment of moments) {
    for (const port of ['submissions', 'submission'] as const) {
      for (let wait = 0; wait < 8; wait++) {
        const socket = connect(relay.ports[port], '127.0.0.1').on('error', () => {});
        socket.on('connect', () => {
          socket.write(moment);
          setTimeout(() => socket.resetAndDestroy(), wait);
        });
      }
    }
  }
  for (const lines of [[], [RIGHT], [RIGHT, MAIL, RCPT], [RIGHT, MAIL, RCPT, 'DATA', TEXT]]) {
    for (let wait = 0; wait < 4; wait++) {
      const client = relay.raw('submissions');
      const wire = client.socket;
      await client.upgrade();
      client.send(['EHLO x', ...lines].map((line) => `${line}\r\n`).join(''));
      setTimeout(() => wire.resetAndDestroy(), wait * 3);
      await client.closed();
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.off('uncaughtExceptionMonitor', hear);
  expect(heard).toEqual([]);
  await relay.stillWorks();
});
