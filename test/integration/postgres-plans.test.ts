/** How the server runs what each message asks of it, while many others wait: by indexes, so that a long queue costs nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
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
  test(`read no table from end to end beside ${WAITING} waiting recipients on ${DOMAINS} domains`, async () => {
    const server = await PostgresServer.create({
      ...{
        logging_collector: 'on',
        log_directory: 'log',
        log_min_messages: 'log',
        session_preload_libraries: 'auto_explain',
      },
      ...{
        'auto_explain.log_min_duration': '0',
        'auto_explain.log_nested_statements': 'on',
      },
    });
    onTestFinished(() => server.remove());
    const database = await newDatabase(server);
    await (await openPostgres({ server: server.options(database) })).close();
    const now = Date.now();
    for (const sql of FILL.replaceAll('$1', String(now))
      .replaceAll('$2', String(now + 86_400_000))
      .split(';'))
      await server.sql(sql, database);
    await server.sql('ANALYZE', database);
    const mark = (name: string) => server.sql(`SELECT '${name}'`, database);

    await mark('it begins here');
    const store = await openPostgres({
      server: server.options(database),
      node: 'one',
    });
    const rounds = Array.from({ length: 20 }, (_, i) => i);
    // One after the other and together, so that groups are small and large; more often than a plan is made anew for its values.
    for (const _ of rounds) await passOn('good.test');
    await Promise.all(rounds.map(() => passOn('good.test')));
    for (const i of rounds) await retry(`slow${i % 3}.test`);
    await store.close();
    await mark('it ends here');

    const log = () =>
      readdirSync(join(server.folder, 'log'))
        .map((name) => readFileSync(join(server.folder, 'log', name), 'utf8'))
        .join('\n');
    await until(() => log().includes('it ends here'));
    const plans = log()
      .slice(log().indexOf('it begins here'), log().lastIndexOf('it ends here'))
      .split(/^\S+ \S+ \S+ \[\d+\] LOG: /m);
    const all = plans.filter((plan) => plan.includes('Query Text:'));
    for (const table of LARGE)
      expect(
        all.some((plan) => plan.includes(` on ${table}`)),
        table,
      ).toBe(true);
    expect(all.filter((plan) => new RegExp(`Seq Scan on (${LARGE.join('|')})\\b`).test(plan))).toEqual([]);

    async function passOn(destination: string): Promise<void> {
      const { id } = await put(store, newMessage({ to: [`bob@${destination}`] }), { claim: [0] });
      await relay(store, id);
    }

    /** It is deferred at first, and claimed when it is due. */
    async function retry(destination: string): Promise<void> {
      const { id } = await put(store, newMessage({ to: [`bob@${destination}`] }), { claim: [0] });
      await delay(store, id, Date.now());
      const { due } = await store.messages.due(Date.now(), 100);
      expect(due.map((one) => one.destination)).toContain(destination);
      const claims = await store.messages.claim({
        destination,
        now: Date.now(),
        limit: 20,
        lease: LEASE,
      });
      expect(claims.map(({ message }) => message.id)).toContain(id);
      for (const { message } of claims) await relay(store, message.id);
    }
  });
});
