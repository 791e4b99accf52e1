/** How the server runs what each message asks of it, while many others wait: by indexes, so that a long queue costs nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Store } from '../../src/store/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { sized } from '../support/size.ts';
import { delay, LEASE, newMessage, put, relay, until } from '../support/store-rig.ts';

const WAITING = sized(50_000, 15_000);
const DOMAINS = 500;
/** Rows of messages that wait until tomorrow. They are never read, so that their checksums need not be right. */
const FILL = `
  INSERT INTO smarthost.messages (id, user_name, reverse_path, message_id, size, accepted_at, expires_at, flags, signatures, verify)
    SELECT 'f' || i, 'app', 'app@sender.test', '<' || i || '@sender.test>', 4096, $1, $2, 0, '', 0 FROM generate_series(1, ${WAITING}) AS i;
  INSERT INTO smarthost.recipients (message, n, address, destination, verify, state, attempts, next_attempt, last_reply, tried_by)
    SELECT 'f' || i, 0, 'user@d' || i % ${DOMAINS} || '.test', 'd' || i % ${DOMAINS} || '.test', 0, 0, 1, $2, '451 4.3.0 later', 'one'
    FROM generate_series(1, ${WAITING}) AS i;
  INSERT INTO smarthost.open (id, length, verify) SELECT 'f' || i, 10, 0 FROM generate_series(1, ${WAITING}) AS i;
  INSERT INTO smarthost.contents (message, bytes) SELECT 'f' || i, 'body body ' FROM generate_series(1, ${WAITING}) AS i;
  INSERT INTO smarthost.attempts (message, n, attempt, at, outcome, code, status, reply, seconds)
    SELECT 'f' || i, 0, 1, $1, 2, 451, '4.3.0', '451 4.3.0 later', 0.1 FROM generate_series(1, ${WAITING}) AS i`;
const LARGE = ['messages', 'recipients', 'open', 'contents', 'attempts'];

describe.skipIf(!requirePeer('postgresql', hasPostgres))('the statements of each message', () => {
  const promise = `read no table from end to end beside ${WAITING} waiting recipients on ${DOMAINS} domains`;

  test(`${promise}, which were there before the relay`, async () => {
    const { server, database, mark, plans } = await explaining();
    await (await openPostgres({ server: server.options(database) })).close();
    await fill(server, database);
    await server.sql('ANALYZE', database);
    const store = await openPostgres({ server: server.options(database), node: 'one' });
    await mark('it begins here');
    await passAndRetry(store);
    await store.close();
    expectIndexes(await plans());
  });

  test(`${promise}, which came after the relay had made its plans for empty tables`, async () => {
    const { server, database, mark, plans } = await explaining();
    const store = await openPostgres({ server: server.options(database), node: 'one' });
    await passAndRetry(store);
    await fill(server, database);
    await mark('it begins here');
    await passAndRetry(store);
    await store.close();
    expectIndexes(await plans());
  });
});

async function fill(server: PostgresServer, database: string): Promise<void> {
  const now = Date.now();
  for (const sql of FILL.replaceAll('$1', String(now))
    .replaceAll('$2', String(now + 86_400_000))
    .split(';'))
    await server.sql(sql, database);
}

/** A server that logs the plan of each statement. @returns `plans`: those since the mark. */
async function explaining() {
  const server = await PostgresServer.create({
    ...{ logging_collector: 'on', log_directory: 'log', log_min_messages: 'log', session_preload_libraries: 'auto_explain' },
    ...{ 'auto_explain.log_min_duration': '0', 'auto_explain.log_nested_statements': 'on' },
  });
  onTestFinished(() => server.remove());
  const database = await newDatabase(server);
  const mark = (name: string) => server.sql(`SELECT '${name}'`, database);
  const log = () =>
    readdirSync(join(server.folder, 'log'))
      .map((name) => readFileSync(join(server.folder, 'log', name), 'utf8'))
      .join('\n');
  const plans = async () => {
    await mark('it ends here');
    await until(() => log().includes('it ends here'));
    return log()
      .slice(log().indexOf('it begins here'), log().lastIndexOf('it ends here'))
      .split(/^\S+ \S+ \S+ \[\d+\] LOG: /m)
      .filter((plan) => plan.includes('Query Text:'));
  };
  return { server, database, mark, plans };
}

/** One after the other and together, so that groups are small and large; more often than a plan is made anew for its values. */
async function passAndRetry(store: Store): Promise<void> {
  const rounds = Array.from({ length: 20 }, (_, i) => i);
  for (const _ of rounds) await passOn(store, 'good.test');
  await Promise.all(rounds.map(() => passOn(store, 'good.test')));
  for (const i of rounds) await retry(store, `slow${i % 3}.test`);
}

async function passOn(store: Store, destination: string): Promise<void> {
  const { id } = await put(store, newMessage({ to: [`bob@${destination}`] }), { claim: [0] });
  await relay(store, id);
}

/** It is deferred at first, and claimed when it is due. */
async function retry(store: Store, destination: string): Promise<void> {
  const { id } = await put(store, newMessage({ to: [`bob@${destination}`] }), { claim: [0] });
  await delay(store, id, Date.now());
  const { due } = await store.messages.due(Date.now(), 100);
  expect(due.map((one) => one.destination)).toContain(destination);
  const claims = await store.messages.claim({ destination, now: Date.now(), limit: 20, lease: LEASE });
  expect(claims.map(({ message }) => message.id)).toContain(id);
  for (const { message } of claims) await relay(store, message.id);
}

function expectIndexes(plans: readonly string[]): void {
  for (const table of LARGE)
    expect(
      plans.some((plan) => plan.includes(` on ${table}`)),
      table,
    ).toBe(true);
  const names = `(${LARGE.join('|')})`;
  // An index without a condition is read whole too, if no limit stands right above it.
  const index = `(?<!Limit [^\\n]*\\n[ \\t]*->  )Index (Only )?Scan using \\S+ on ${names}\\b[^\\n]*\\n(?!\\s*Index Cond)`;
  const whole = new RegExp(`Seq Scan on ${names}\\b|${index}`);
  expect(plans.filter((plan) => whole.test(plan))).toEqual([]);
}
