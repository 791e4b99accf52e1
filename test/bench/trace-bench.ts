/**
 * Whether the tables of a PostgreSQL store stay as large as they are, and claims as fast, while traces come and go: days of some seconds.
 * Run: node test/bench/trace-bench.ts [minutes] [messages a second]
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Claim } from '../../src/store/store.ts';
import { newDatabase, PostgresServer } from '../support/postgres.ts';

const MINUTES = Number(process.argv[2] ?? 6);
const RATE = Number(process.argv[3] ?? 100);
const TICK = 100;
/** What a day of trace is kept for here. */
const KEEP = 40_000;
const TRIM_EVERY = 5000;
const TABLES = ['messages', 'recipients', 'attempts', 'contents', 'open', 'usage', 'writers'];
const BODY = randomBytes(4096);

const server = await PostgresServer.create({ autovacuum_naptime: '1min' });
const database = await newDatabase(server);
const store = await openPostgres({ server: server.options(database) });
const claims: number[][] = [];
const begun = performance.now();
const minute = () => Math.floor((performance.now() - begun) / 60_000);
let number = 0;
let sent = 0;

/** One in five waits in the store, and is claimed from there. */
async function one(): Promise<void> {
  const now = store.now();
  const i = ++number;
  const bytes = new Uint8Array(BODY);
  const waits = i % 5 === 0;
  const recipients = [{ address: `user${i}@example.net`, destination: `d${i % 50}.example.net` }];
  const message = {
    ...{ id: newQueueId(now), user: `u${i % 100}@example.org`, reversePath: 'a@example.org', messageId: `<${i}@example.org>` },
    ...({ size: BODY.length, acceptedAt: now, expiresAt: now + 432_000_000, body: '8BITMIME', needsSmtpUtf8: false } as const),
    ...{ signatures: ['s1._domainkey.example.org'], recipients, content: { kind: 'inline', bytes } as const },
  };
  const limits = { user: message.user, list: [{ count: 1e9, kind: 'messages', per: 'day' } as const], over: 'refuse' as const };
  await store.messages.accept({ message, limits, claim: { indexes: waits ? [] : [0], lease: 'bench#1' } });
  if (!waits) await settle(message.id, 0, 'bench#1');
}

async function settle(messageId: string, n: number, lease: Claim['lease']): Promise<void> {
  const at = store.now();
  const attempt = {
    ...{ at, mx: 'mx.example.net', ip: '192.0.2.1', tls: 'TLSv1.3', outcome: 'relayed' as const, code: 250, status: '2.0.0' },
    ...{ reply: '250 2.0.0 Ok: queued as 4XyZ1234567', seconds: 0.05 },
  };
  await store.messages.settle({ messageId, lease, at, changes: [{ n, state: 'relayed', attempt }] });
  sent++;
}

async function claimAll(): Promise<void> {
  const { due } = await store.messages.due(store.now(), 50);
  for (const { destination } of due) {
    const from = performance.now();
    const found = await store.messages.claim({ destination, now: store.now(), limit: 20, lease: 'bench#2' });
    (claims[minute()] ??= []).push(performance.now() - from);
    for (const { message, recipients } of found) for (const { n } of recipients) void settle(message.id, n, 'bench#2');
  }
}

async function sizes(): Promise<string> {
  const sql = `SELECT sum(pg_table_size(c.oid))::bigint AS rows, sum(pg_indexes_size(c.oid))::bigint AS indexes, sum(s.n_live_tup)::int AS live,
    sum(s.n_dead_tup)::int AS dead FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE s.schemaname = 'smarthost' AND c.relname = ANY($1)`;
  const all = await Promise.all(TABLES.map(async (name) => ({ name, ...(await server.sql(sql, database, [[name]]))[0] })));
  const kb = (bytes: unknown) => Math.round(Number(bytes) / 1024);
  return all
    .map((t: Record<string, unknown>) => `${t['name']} ${kb(t['rows'])}+${kb(t['indexes'])} KB (${t['live']}/${t['dead']})`)
    .join(', ');
}

const p99 = (times: number[] = []) => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]?.toFixed(1);
const lease = { name: 'trim', owner: 'bench' };
let trimmedAt = 0;
let told = 0;
let trimming: Promise<unknown> = Promise.resolve();
while (minute() < MINUTES) {
  const from = performance.now();
  for (let i = 0; i < (RATE * TICK) / 1000; i++) void one();
  await claimAll();
  if (from - trimmedAt > TRIM_EVERY) {
    trimmedAt = from;
    await store.operation.takeLease(lease.name, lease.owner, store.now() + 60_000, store.now());
    trimming = trimming.then(() => store.underLease(lease).messages.trimTrace(store.now() - KEEP, Number.MAX_SAFE_INTEGER));
  }
  if (from - told > 30_000) {
    told = from;
    console.log(`${Math.round((from - begun) / 1000)} s, ${sent} relayed: ${await sizes()}`);
  }
  await sleep(Math.max(0, TICK - (performance.now() - from)));
}
await trimming;
console.log(`end, ${sent} relayed: ${await sizes()}`);
console.log(`p99 of a claim in each minute, ms: ${claims.map((times) => `${p99(times)} of ${times.length}`).join(', ')}`);
await store.close();
await server.remove();
