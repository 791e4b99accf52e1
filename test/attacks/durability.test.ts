/** Crashes, damage and clocks: rows C03 to C11, behaviour rules 11, 12 and 14. The sweeps of C01 and C02 are in test/crash. */
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import { riskOf } from '../../src/system/file-system.ts';
import { type Attacked, plain, RawClient, send, startAttacked, submit, TEXT, USER } from '../support/attack-rig.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { startProgram, until } from '../support/program.ts';
import { prepareRelay } from '../support/relay-process.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { attack, attacks, elsewhere } from './attack.ts';

const MAIL = `MAIL FROM:<${USER}>`;
const RCPT = 'RCPT TO:<anna@dest.test>';
const LARGE = `${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(400)}`;

/** One relay as a process, for tests that need one. Each test leaves it running. */
let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario();
});
afterAll(() => scenario?.close());

async function login(at: Scenario = scenario): Promise<RawClient> {
  const client = RawClient.clear(at.relay.ports.submissions);
  onTestFinished(() => client.close());
  await client.upgrade();
  await client.reply();
  await client.ask('EHLO client.test');
  const reply = await client.ask(plain(at.user, at.password));
  if (!reply.startsWith('235')) throw new Error(reply);
  return client;
}

/** All accepted mail has arrived, once or more, and the queue is empty. */
async function allThere(tokens: readonly string[]): Promise<void> {
  for (const token of tokens) await scenario.delivered(token);
  const empty = async () => (await scenario.relay.command(['queue', 'list', '--json'])).trim() === '[]';
  await until('an empty queue', empty, { deadline: 30_000, context: () => scenario.relay.output().slice(-2000) });
}

let tokens = 0;
const named = (text = TEXT) => {
  const token = `durable-${process.pid}-${tokens++}-`;
  return { token, text: text.replace('Subject: Hello', `Subject: ${token}`) };
};

elsewhere('C01', 'kill -9 at every call', 'test/crash');
elsewhere('C02', 'power cut at every call', 'test/crash');

if (requirePeer('strace', hasCommand('strace'))) {
  attack(
    'C03',
    'the order of syncs as the kernel sees it',
    'body, its directory, and the log are synced before the 250',
    async () => {
      const trace = join(scenario.relay.folder, 'trace');
      const args = [
        '-f',
        '-qq',
        '-y',
        '-s',
        '4000', // log lines of one turn are one write
        '-e',
        'trace=fsync,fdatasync,write',
        '-o',
        trace,
        '-p',
        String(scenario.relay.pid()),
      ];
      const strace = startProgram({ command: 'strace', args });
      await until('strace', () => /TracerPid:\s+[1-9]/.test(readFileSync(`/proc/${scenario.relay.pid()}/status`, 'utf8')));
      const client = await login();
      const messages = [named(), named(LARGE), named(), named(LARGE)];
      for (const { text } of messages) await send(client, { text });
      await allThere(messages.map(({ token }) => token)); // the log line comes after the reply
      await strace.close();
      const calls = readFileSync(trace, 'utf8').split('\n').map(nameOfCall).join('');
      const accepted = calls.split('a');
      expect(accepted).toHaveLength(5);
      expect(accepted[0]).toMatch(/L/);
      expect(accepted[1]).toMatch(/B.*N.*L/);
      expect(accepted[2]).toMatch(/L/);
      expect(accepted[3]).toMatch(/B.*N.*L/);
      await allThere(messages.map(({ token }) => token));
    },
  );
}

/** B: a body is synced, N: the directory of bodies, L: the log of the database, a: a message is logged as accepted. */
function nameOfCall(line: string): string {
  if (/ write\(1<.*accepted/.test(line)) return 'a';
  if (/ (fsync|fdatasync)\(\d+<[^>]*-wal>/.test(line)) return 'L';
  if (/ (fsync|fdatasync)\(\d+<[^>]*\/spool\/[^>]+>/.test(line)) return 'B';
  return / fsync\(\d+<[^>]*\/spool>/.test(line) ? 'N' : '';
}

attack('C04', 'a file system that loses synced data', 'reported at the start', async () => {
  expect(riskOf(0x01021994)).toMatch(/^tmpfs/);
  expect(riskOf(0xff534d42 | 0)).toMatch(/^CIFS/);
  expect(riskOf(0xef53)).toBeUndefined(); // ext4
  if (!existsSync('/dev/shm')) return;
  const folder = await mkdtemp('/dev/shm/smarthost-');
  onTestFinished(() => rm(folder, { recursive: true }));
  const relay = await startAttacked({ dataDir: join(folder, 'data') });
  onTestFinished(() => relay.close());
  expect((await relay.logged('fileSystem'))['reason']).toMatch(/tmpfs/);
});

attack(
  'C06',
  'a second relay on the same data, and one after kill -9',
  'refused with the name of the first; the lock of a killed relay is free',
  async () => {
    await expect(scenario.relay.command(['serve'])).rejects.toThrow(/Another smarthost serve \(process \d+\)/);
    const { token, text } = named();
    await send(await login(), { text });
    await scenario.relay.stop('SIGKILL');
    await scenario.relay.start();
    await allThere([token]);
  },
);

attacks(
  'C07',
  'signals within DATA and during delivery',
  'the transaction ends or gets 421 4.3.2, and what got 250 arrives',
  [
    ['SIGTERM', ['SIGTERM']],
    ['SIGINT twice', ['SIGINT', 'SIGINT']],
    ['SIGTERM, SIGHUP, SIGTERM', ['SIGTERM', 'SIGHUP', 'SIGTERM']],
  ],
  async (_, signals) => {
    const { relay } = scenario;
    const [before, within] = [named(), named()];
    const client = await login();
    await send(client, { text: before.text });
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send(within.text.slice(0, 60));
    for (const signal of signals) process.kill(relay.pid(), signal as NodeJS.Signals);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.send(within.text.slice(60));
    const reply = await client.ask('.').catch(() => 'closed');
    expect(reply).toMatch(/^250 2\.0\.0|^421 4\.3\.2|^closed$/);
    await until('its end', () => !relay.running()); // 30 s at most, and what a busy machine adds
    await relay.stop();
    await relay.start();
    await allThere([before.token, ...(reply.startsWith('250') ? [within.token] : [])]);
    const copies = scenario.mx.messages.filter(({ data }) => data.includes(within.token)).length;
    expect(copies).toBe(reply.startsWith('250') ? 1 : 0);
  },
);

attack('C07', 'SIGUSR1 and SIGUSR2 within DATA', 'nothing happens: no end, and no debugger', async () => {
  const { relay } = scenario;
  const client = await login();
  const { token, text } = named();
  await client.askAll([MAIL, RCPT, 'DATA']);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.kill(relay.pid(), signal);
  await new Promise((resolve) => setTimeout(resolve, 300));
  client.send(text);
  expect(await client.ask('.')).toMatch(/^250 /);
  expect(relay.output()).not.toContain('Debugger');
  await allThere([token]);
});

attack('C07', 'SIGHUP again and again under load', 'no session is dropped, every message arrives', async () => {
  const client = await login();
  const sent: string[] = [];
  for (let i = 0; i < 20; i++) {
    process.kill(scenario.relay.pid(), 'SIGHUP');
    const { token, text } = named();
    await send(client, { text });
    sent.push(token);
  }
  await allThere(sent);
});

attack(
  'C11',
  'kill -9 after the 250 of the host, for 3 of 5 recipients',
  'the 3 get it at most once more, the others get it',
  async () => {
    const { relay, mx } = scenario;
    const { token, text } = named();
    let killed = false;
    mx.script({
      RCPT: ({ address }) => (!killed && /^later/.test(address) ? '450 4.2.0 Later' : undefined),
      message: ({ message }) => {
        if (!killed && message?.data.includes(token)) {
          killed = true;
          setImmediate(() => process.kill(relay.pid(), 'SIGKILL'));
        }
        return undefined;
      },
    });
    const to = ['now1', 'now2', 'now3', 'later1', 'later2'].map((name) => `${name}@dest.test`);
    await submit(await login(), { text, to }).catch(() => 'closed');
    await until('its end', () => !relay.running());
    await relay.stop();
    await relay.start();
    await allThere([token]);
    mx.script({});
    const times = (address: string) =>
      mx.messages.filter(({ data, recipients }) => data.includes(token) && recipients.some((one) => one.address === address))
        .length;
    for (const address of to) {
      expect(times(address)).toBeGreaterThanOrEqual(1);
      expect(times(address)).toBeLessThanOrEqual(/^now/.test(address) ? 2 : 1);
    }
  },
);

const FAKETIME = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
].find((path) => existsSync(path));
if (requirePeer('faketime', FAKETIME !== undefined)) {
  attack(
    'C08',
    'the clock jumps 30 days ahead, and a year back, with mail in the queue',
    'each message is tried again before it expires; nothing stops, and no mail is lost',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'smarthost-clock-'));
      const clock = join(folder, 'clock');
      writeFileSync(clock, '+0\n');
      const env = {
        LD_PRELOAD: FAKETIME!,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        FAKETIME_DONT_RESET: '1',
      };
      const { mx, dns } = scenario;
      dns.set('closed.test', { MX: ['10 mx.closed.test'] });
      dns.set('mx.closed.test', { A: [mx.address] });
      const relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port, env, settings: { queue: { retry: ['1h'] } } });
      onTestFinished(async () => {
        mx.script({});
        await relay.close();
        await rm(folder, { recursive: true });
      });
      await relay.addUser('app@sender.test', 'a password', '--sender', '@sender.test');
      await relay.start();
      mx.script({ RCPT: '450 4.2.0 Later' });
      const clocked = { ...scenario, relay, user: 'app@sender.test', password: 'a password' };
      const [first, second] = [named(), named()];
      await send(await login(clocked), { text: first.text });
      await relay.event('delayed');
      writeFileSync(clock, '-365d\n');
      await send(await login(clocked), { text: second.text });
      mx.script({});
      const arrived = (token: string) => () => mx.messages.some(({ data }) => data.includes(token));
      await until('the second, in the past', arrived(second.token), { deadline: 30_000 });
      await until('the first: an hour ahead is a year and an hour ahead now, which nobody planned', arrived(first.token), {
        deadline: 90_000,
        context: relay.output,
      });
      mx.script({ RCPT: '450 4.2.0 Later' });
      const third = named();
      await send(await login(clocked), { text: third.text });
      await relay.event('delayed', (line) => line['queueId'] !== undefined && relay.events('delayed').length >= 2);
      mx.script({});
      writeFileSync(clock, '-335d\n');
      await until('the third, over its lifetime, with one more attempt', arrived(third.token), {
        deadline: 90_000,
        context: relay.output,
      });
      expect([...relay.events('expired'), ...relay.events('failed')]).toEqual([]);
    },
    240_000,
  );
}

/** Tests that need no process of their own. */
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'smarthost-durability-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const start = async (yaml: string, name = 'data'): Promise<Attacked> => {
  const relay = await startAttacked({ dataDir: join(folder, name), yaml });
  onTestFinished(() => relay.close());
  return relay;
};
const SHORT =
  'delivery: { port: MX_PORT, allowPrivate: [127.0.0.0/8], ip: v4-only, timeouts: { dot: 1s } }\nqueue: { minFree: 1MiB, retry: [1s] }';

attacks(
  'C09',
  'the last 250 of the host is lost',
  'uncertain, tried again with the same Message-ID, not at once',
  [
    ['the host closes behind the dot', 'close'],
    ['the host hangs behind the dot', 'hang'],
    ['the 250 comes after our deadline', 'late'],
  ],
  async (_, how) => {
    const relay = await start(SHORT);
    let count = 0;
    const seen: string[] = [];
    relay.mx.script({
      message: async ({ message }) => {
        seen.push(/^Message-ID: (.*)\r$/im.exec(message!.data.toString())?.[1] ?? '');
        if (count++ > 0) return undefined;
        if (how === 'late') await new Promise((resolve) => setTimeout(resolve, 1500));
        return how === 'late' ? undefined : (how as 'close' | 'hang');
      },
    });
    const id = await send(await relay.loggedIn(), { text: TEXT });
    const first = await relay.logged('delayed', (line) => line['queueId'] === id);
    expect(first).toMatchObject({ uncertain: true, status: '4.4.2' });
    await relay.logged('relayed', (line) => line['queueId'] === id, 20_000);
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(seen[1]);
    await relay.nothingIsLost();
  },
);

attack('C10', 'data of a newer version, and of another program', 'refused with a sentence, and left as they are', async () => {
  const relay = await start('');
  await relay.close();
  const file = join(folder, 'data', 'smarthost.db');
  const database = new DatabaseSync(file);
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  database.exec('PRAGMA user_version = 99');
  database.close();
  await expect(start('')).rejects.toThrow(/version/);
  const again = new DatabaseSync(file);
  expect(again.prepare('PRAGMA user_version').get()).toEqual({ user_version: 99 });
  again.exec(`PRAGMA user_version = ${version}`);
  again.close();
  await (await start('')).stillWorks();
});

attack(
  'C05',
  'bits that flip and files that are cut, in database, log, spool and keys',
  'refused with a sentence, or served; sent mail is as it was accepted',
  async () => {
    const source = await start('queue: { minFree: 1MiB, retry: [1h] }');
    source.mx.script({ RCPT: '450 4.2.0 Greylisted' });
    const client = await source.loggedIn();
    const sent = new Map<string, string>();
    for (const text of [TEXT, LARGE, TEXT, LARGE, TEXT]) {
      const message = named(text);
      await send(client, message);
      sent.set(message.token, message.text);
    }
    await until('all delayed', () => source.events('delayed').length === 5);
    await source.close();
    const from = join(folder, 'data');
    const spooled = (dir: string) => join(dir, 'spool', readdirSync(join(dir, 'spool'))[0]!);
    const results = { refused: 0, served: 0, arrived: 0 };
    const size = statSync(join(from, 'smarthost.db')).size;
    const damages: ((dir: string) => void)[] = [
      ...Array.from(
        { length: 8 },
        (_, i) => (dir: string) => flip(join(dir, 'smarthost.db'), Math.floor(((i + 0.5) * size) / 8)),
      ),
      (dir) => flip(join(dir, 'smarthost.db'), 20),
      (dir) => truncateSync(join(dir, 'smarthost.db'), size - 4096),
      (dir) => truncateSync(join(dir, 'smarthost.db'), 100),
      (dir) => flip(spooled(dir), 1000),
      (dir) => truncateSync(spooled(dir), 5000),
      (dir) => rmSync(spooled(dir)),
    ];
    for (const [i, damage] of damages.entries()) {
      const dir = join(folder, `copy${i}`);
      cpSync(from, dir, { recursive: true, preserveTimestamps: true });
      for (const closed of [dir, join(dir, 'spool')]) chmodSync(closed, 0o700);
      damage(dir);
      try {
        const relay = await startAttacked({ dataDir: dir, yaml: 'queue: { minFree: 1MiB, retry: [1s] }' });
        results.served++;
        await relay.withStore((store) => store.messages.retry({ all: true }, Date.now())).catch(() => {});
        // A change by a command of another process is seen within about a second. If everything is damaged, nothing comes.
        await until('mail', () => relay.mx.messages.length > 0, { deadline: 4000 }).catch(() => {});
        for (const { data, mailFrom } of relay.mx.messages) {
          if (mailFrom === '') continue;
          const text = data.toString();
          const [token, original] = [...sent].find(([one]) => text.includes(one)) ?? [];
          expect(token).toBeDefined();
          expect(text.slice(text.indexOf('\r\n\r\n'))).toBe(original!.slice(original!.indexOf('\r\n\r\n')));
          results.arrived++;
        }
        await relay.close();
      } catch (error) {
        results.refused++;
        expect((error as Error).message).toMatch(/damaged/);
      }
      rmSync(dir, { recursive: true });
    }
    expect(results.served).toBeGreaterThan(damages.length / 2);
    expect(results.arrived).toBeGreaterThan(0);
  },
  300_000,
);

function flip(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0]! ^= 0x10;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
}
