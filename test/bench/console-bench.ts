/**
 * What the console costs with a long trace: the upgrade of a store of release 0.1, reads for people over HTTP as a script asks them, and
 * the memory of a relay before and after somebody looked.
 * Run: node test/bench/console-bench.ts [messages]
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import { fillWithEnded } from '../support/ended-mail.ts';
import { row } from './rows.ts';

const MESSAGES = Number(process.argv[2] ?? 100_000);
const TIMES = 40;
/** A token may ask ten times a second. */
const PACE = 110;
const PROGRAM = new URL('../../src/smarthost.ts', import.meta.url).pathname;
const FIRST_RELEASE = MIGRATIONS.slice(0, 2);

const folder = mkdtempSync(join(tmpdir(), 'smarthost-bench-'));
const config = join(folder, 'smarthost.yaml');
const note = (what: string, figure: number, unit: string) => row('console', `${what}, ${MESSAGES} messages`, figure, unit);
const smarthost = async (...words: string[]) =>
  (await promisify(execFile)(process.execPath, [PROGRAM, ...words, '--config', config])).stdout;

try {
  const middle = upgradedStore();
  writeFileSync(
    config,
    `hostname: relay.test
dataDir: ${folder}/data
listen: { submissions: ['127.0.0.1:0'], submission: [], admin: [], console: ['127.0.0.1:0'] }
tls: { mode: self-signed }
dns: { servers: ['127.0.0.1:9'] }
queue: { minFree: 16MiB }
trace: { keep: 3650d, maxSize: 100GiB }
`,
  );
  await smarthost('console', 'add', 'anna', '--role', 'admin');
  const { token } = JSON.parse(
    await smarthost('token', 'add', 'bench', '--scope', 'messages:read', '--scope', 'metrics:read', '--json'),
  );
  await measureRelay(token, middle);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @returns the id of a message in the middle. */
function upgradedStore(): string {
  mkdirSync(join(folder, 'data'), { mode: 0o700 });
  const file = join(folder, 'data', 'smarthost.db');
  const old = openDatabase(file, 1000, FIRST_RELEASE);
  chmodSync(file, 0o600);
  const middle = fillWithEnded(old, MESSAGES, Date.now());
  old.close();
  const began = performance.now();
  openDatabase(file, 1000).close();
  note('upgrade from 0.1', (performance.now() - began) / 1000, 's');
  return middle;
}

async function measureRelay(token: string, middle: string): Promise<void> {
  const relay = spawn(process.execPath, [PROGRAM, '--config', config, 'serve'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const port = await consolePort(relay.stdout);
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
      const body = (await response.json()) as { readonly searchedBackTo?: string | null };
      if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
      return body;
    };
    const before = resident(relay.pid!);
    const began = performance.now();
    await ask('/status');
    note('first request', performance.now() - began, 'ms');
    const reads: Readonly<Record<string, string>> = {
      overview: '/status',
      'newest page': '/messages?limit=50',
      'page in the middle': `/messages?limit=50&before=${middle}`,
      'by credential': '/messages?limit=50&credential=exchange',
      'by state': '/messages?limit=50&state=failed',
      'by destination': '/messages?limit=50&destination=d7.test',
      'by recipient': `/messages?limit=50&to=u${MESSAGES >> 1}@`,
      'search without a hit': '/messages?limit=50&from=nobody-of-that-name',
      'one message': `/messages/${middle}`,
    };
    for (const [what, path] of Object.entries(reads)) await measure(what, () => ask(path));
    note('memory that the console took', (resident(relay.pid!) - before) / 2 ** 20, 'MiB');
  } finally {
    relay.kill('SIGTERM');
    await once(relay, 'close');
  }
}

async function measure(what: string, ask: () => Promise<unknown>): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const began = performance.now();
    await ask();
    times.push(performance.now() - began);
    await sleep(PACE);
  }
  times.sort((a, b) => a - b);
  note(`${what}, median`, times[TIMES >> 1]!, 'ms');
  note(`${what}, p95`, times[Math.floor(TIMES * 0.95)]!, 'ms');
}

async function consolePort(log: NodeJS.ReadableStream): Promise<number> {
  for await (const line of createInterface(log)) {
    const { event, listen } = JSON.parse(line);
    if (event !== 'started') continue;
    log.resume();
    return listen.find(({ name }: { readonly name: string }) => name === 'console').port;
  }
  throw new Error('the relay did not start');
}

/** Octets. */
function resident(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
