/**
 * How fast the store is: accept and settle with 4 KB bodies, and what is due with 500 000 recipients waiting.
 * Run: node test/bench/store-bench.ts [pairs] [waiting recipients] [postgres [messages at once]]
 * With `postgres`: on a primary and a synchronous standby that it starts, with their processor time.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { type EmbeddedOptions, storeFiles } from '../../src/store/embedded/embedded.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { NewMessage, Store } from '../../src/store/store.ts';
import { newDatabase, PostgresServer } from '../support/postgres.ts';
import { row } from './rows.ts';

const PAIRS = Number(process.argv[2] ?? 40_000);
const WAITING = Number(process.argv[3] ?? 500_000);
const DESTINATIONS = 5000;
const AT_ONCE = Number(process.argv[5] ?? 100);
const postgres = process.argv[4] === 'postgres' ? await startCluster() : undefined;
const SUBJECT = postgres === undefined ? 'store' : 'store on PostgreSQL';
const BODY = randomBytes(4096);

const dataDir = mkdtempSync(join(tmpdir(), 'store-bench-'));
let commits = 0;
let requests = 0;
let longest = 0;
const onCommit = (seconds: number, shared: number) => {
  longest = Math.max(longest, seconds);
  commits++;
  requests += shared;
};

async function startCluster() {
  const primary = await PostgresServer.create({ shared_buffers: '512MB', max_wal_size: '4GB' });
  const database = await newDatabase(primary);
  const standby = await primary.standby('b');
  await primary.set({ synchronous_standby_names: 'b' });
  return {
    options: primary.options(database, { durability: 'two' }),
    cpu: () => ({ primary: primary.cpuSeconds(), standby: standby.cpuSeconds() }),
    close: () => Promise.all([primary.remove(), standby.remove()]),
  };
}

function message(recipients: readonly { address: string; destination: string }[], now: number): NewMessage {
  const bytes = new Uint8Array(BODY.length);
  bytes.set(BODY);
  return {
    id: newQueueId(now),
    user: 'alice@example.org',
    reversePath: 'alice@example.org',
    messageId: `<${randomBytes(12).toString('hex')}@example.org>`,
    size: BODY.length,
    acceptedAt: now,
    expiresAt: now + 432_000_000,
    body: '8BITMIME',
    needsSmtpUtf8: false,
    signatures: ['s1._domainkey.example.org', 's2._domainkey.example.org'],
    recipients,
    content: { kind: 'inline', bytes },
  };
}

async function pair(store: Store, i: number): Promise<void> {
  const now = Date.now();
  const one = message([{ address: `user${i}@example.net`, destination: 'example.net' }], now);
  await store.messages.accept({ message: one, claim: { indexes: [0], lease: 'bench#1' } });
  const reply = '250 2.0.0 Ok: queued as 4XyZ1234567';
  const attempt = {
    at: now,
    mx: 'mx.example.net',
    ip: '192.0.2.1',
    tls: 'TLSv1.3',
    outcome: 'relayed' as const,
    code: 250,
    status: '2.0.0',
    reply,
    seconds: 0.05,
  };
  await store.messages.settle({
    messageId: one.id,
    lease: 'bench#1',
    at: now,
    changes: [{ n: 0, state: 'relayed', lastReply: reply, attempt }],
  });
}

async function pairs(store: Store): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < PAIRS) await pair(store, next++);
  };
  const before = postgres?.cpu();
  const main = process.threadCpuUsage();
  const all = process.cpuUsage();
  const begun = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const seconds = (performance.now() - begun) / 1000;
  const mainUsed = process.threadCpuUsage(main);
  const used = process.cpuUsage(all);
  const mainMicros = (mainUsed.user + mainUsed.system) / PAIRS;
  const micros = (used.user + used.system) / PAIRS;
  for (const [name, seconds] of Object.entries(postgres?.cpu() ?? {}))
    row(SUBJECT, `accept and settle, ${name}`, ((seconds - before![name as 'primary']) * 1e6) / PAIRS, 'µs CPU');
  row(SUBJECT, 'accept and settle', PAIRS / seconds, 'messages/s');
  row(SUBJECT, 'accept and settle, requests in a commit', requests / commits, 'requests');
  row(SUBJECT, 'accept and settle, the longest commit', longest * 1000, 'ms');
  row(SUBJECT, 'accept and settle, all threads', micros, 'µs CPU');
  row(SUBJECT, 'accept and settle, main thread', mainMicros, 'µs CPU');
}

async function fill(store: Store): Promise<void> {
  const now = Date.now() - 3_600_000;
  for (let i = 0; i < WAITING; ) {
    const group = [];
    for (let m = 0; m < 50 && i < WAITING; m++) {
      const recipients = Array.from({ length: 10 }, () => {
        const domain = `domain${(i * 7919) % DESTINATIONS}.example`;
        return { address: `user${i++}@${domain}`, destination: domain };
      });
      group.push(store.messages.accept({ message: message(recipients, now) }));
    }
    await Promise.all(group);
  }
}

async function timed<T>(name: string, action: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await action();
  row(SUBJECT, `${WAITING} waiting: ${name}`, performance.now() - begun, 'ms');
  return result;
}

const open = (options: EmbeddedOptions = {}): Promise<Store> =>
  postgres === undefined ? storeFiles(dataDir).open(options) : openPostgres({ ...options, server: postgres.options });

let store = await open({ onCommit });
await pairs(store);
await timed('fill', () => fill(store));
await store.close();
store = await timed('open', () => open());
await store.close();
store = await timed('open and sweep', () => open({ sweep: true }));
await timed('take back', () => store.messages.takeBack({ owner: 'other', silence: 30_000, now: Date.now() }));
await timed('first due', () => store.messages.due(Date.now(), 100));
for (let i = 0; i < 3; i++) {
  const { due } = await timed('due', () => store.messages.due(Date.now(), 100));
  const destination = due[i]?.destination ?? '';
  const claims = await timed('claim 1', () => store.messages.claim({ destination, now: Date.now(), limit: 1, lease: 'bench#1' }));
  await timed('claim 20', () => store.messages.claim({ destination, now: Date.now(), limit: 20, lease: 'bench#1' }));
  await timed('settle', () =>
    store.messages.settle({
      messageId: claims[0]?.message.id ?? '',
      lease: 'bench#1',
      at: Date.now(),
      changes: [{ n: claims[0]?.recipients[0]?.n ?? 0, state: 'delayed', nextAttemptAt: Date.now() + 300_000 }],
    }),
  );
}
await timed('counts', () => store.messages.counts());
await timed('summary', () => store.messages.summary(20));
await timed('list 100', () => store.messages.list({}));
await timed('find an address', () => store.messages.find('user17@domain3.example', 10));
await timed('signatureInUse, absent', () => store.messages.signatureInUse('none._domainkey.example.org'));
await timed('hold all', () => store.messages.hold({ all: true }, Date.now()));
await store.close();
rmSync(dataDir, { recursive: true });
await postgres?.close();
