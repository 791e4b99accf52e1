/** A database, a user or a server that is not as the manual says: it does no harm, or the start says in one sentence what is wrong. */
import { rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { openPostgres, serverOf } from '../../src/store/postgres/postgres-store.ts';
import type { OpenedStore } from '../../src/store/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, OWNER, OWNER_PASSWORD, PostgresServer } from '../support/postgres.ts';
import { bytesOf, dataDir, inline, NOW, newMessage, put, until, wholeContent } from '../support/store-rig.ts';

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const user: Partial<ServerOptions> = { user: OWNER, password: OWNER_PASSWORD };

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a database that is not as the manual says', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create({ listen_addresses: HAS_IPV6 ? '127.0.0.1,::1' : '127.0.0.1' });
  });
  afterEach(async () => {
    await server.sql(`ALTER ROLE ${OWNER} RESET ALL`);
  });
  afterAll(() => server?.remove());

  async function open(
    database: string,
    change: Partial<ServerOptions> = {},
    more: { pastFile?: string } = {},
  ): Promise<OpenedStore> {
    const store = await openPostgres({ server: server.options(database, { ...user, ...change }), ...more });
    onTestFinished(() => store.close());
    return store;
  }
  const refusal = (database: string, change: Partial<ServerOptions> = {}, more: { pastFile?: string } = {}) =>
    open(database, change, more).then(
      () => 'it opened',
      (error: Error) => `${error.name}: ${error.message}`,
    );
  const roleHas = (name: string, value: string) => server.sql(`ALTER ROLE ${OWNER} SET ${name} = '${value}'`);

  test('settings of the user that other programs need change nothing for mail', async () => {
    const database = await newDatabase(server, OWNER);
    const strange = {
      ...{ bytea_output: 'escape', extra_float_digits: '-15', array_nulls: 'off', standard_conforming_strings: 'off' },
      ...{ client_encoding: 'LATIN1', DateStyle: 'German', IntervalStyle: 'sql_standard', timezone: 'Asia/Kathmandu' },
      ...{ default_transaction_isolation: 'serializable', statement_timeout: '1', idle_session_timeout: '100' },
      ...{ transform_null_equals: 'on', search_path: 'public', row_security: 'off', synchronous_commit: 'off' },
    };
    for (const [name, value] of Object.entries(strange)) await roleHas(name, value);
    for (const table of ['messages', 'usage', 'format', 'life'])
      await server.sql(`CREATE TABLE public.${table} (trap int); GRANT ALL ON public.${table} TO ${OWNER}`, database);
    const store = await open(database);
    expect(Math.abs(store.now() - Date.now())).toBeLessThan(2000);
    const bytes = () => new Uint8Array([...bytesOf('Grüße, 你好 \\ \\\\ \\000'), 0, 255, 92]);
    const small = newMessage({ messageId: '<Grüße\\你好@example.org>', content: inline(bytes()) });
    await put(store, small);
    const writer = await store.messages.createSpool();
    await writer.write(bytes());
    const large = newMessage({ content: { kind: 'spooled', prefix: bytes(), spool: await writer.finish() } });
    await put(store, large);
    const claims = await store.messages.claim({ destination: 'example.net', now: NOW, limit: 9, lease: 'one#1' });
    expect(claims.map(({ message }) => message.id)).toEqual([small.id, large.id]);
    expect(await Promise.all([small, large].map(async ({ id }) => wholeContent(await store.messages.content(id))))).toEqual([
      Buffer.from(bytes()),
      Buffer.from([...bytes(), ...bytes()]),
    ]);
    expect(claims[0]!.message.messageId).toBe(small.messageId);
    // Each group locks, then reads: with another isolation it would fail when two write at once.
    const limits = { user: 'anna', list: [{ kind: 'messages', count: 1000, per: 'hour' }], over: 'refuse' } as const;
    const other = await open(database);
    const accepted = await Promise.all(
      [store, other].flatMap((one) =>
        Array.from({ length: 40 }, () => one.messages.accept({ message: newMessage({ user: 'anna' }), limits })),
      ),
    );
    expect(accepted.filter((one) => one.accepted)).toHaveLength(80);
    expect(await server.sql(`SELECT count(*)::int AS n FROM public.messages`, database)).toEqual([{ n: 0 }]);
  });

  test('a cancelled wait for the standby is no acceptance, though the user hears no warnings', async () => {
    const database = await newDatabase(server, OWNER);
    await roleHas('client_min_messages', 'error');
    const store = await open(database);
    await put(store);
    await server.set({ synchronous_standby_names: 'nobody' });
    onTestFinished(() => server.set({ synchronous_standby_names: '' }));
    let answered = false;
    const waiting = put(store).finally(() => {
      answered = true;
    });
    const waits = async () =>
      (
        await server.sql(
          `SELECT pid, xact_start::text FROM pg_stat_activity WHERE application_name LIKE '%/mail' AND wait_event = 'SyncRep'`,
        )
      )[0];
    await until(async () => (await waits()) !== undefined);
    const first = (await waits())!;
    await server.sql('SELECT pg_cancel_backend($1)', 'postgres', [first['pid']]);
    await until(async () => answered || ((await waits())?.['xact_start'] ?? first['xact_start']) !== first['xact_start']);
    expect(answered).toBe(false);
    await server.set({ synchronous_standby_names: '' });
    await waiting;
    expect((await store.messages.counts()).states).toEqual({ queued: 2 });
  });

  test.each(['SQL_ASCII', 'LATIN1'])('an encoding that cannot keep all mail, %s, is refused', async (encoding) => {
    const database = `other_${encoding.toLowerCase()}`;
    await server.sql(`CREATE DATABASE ${database} OWNER ${OWNER} ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`);
    expect(await refusal(database)).toBe(
      `StoreError: 127.0.0.1:${server.port} has the database in the encoding ${encoding}, which cannot keep all mail: make it with ENCODING 'UTF8' TEMPLATE template0`,
    );
  });

  test('names are found in a database of a language that writes a small I in another way', async () => {
    await server.sql(
      `CREATE DATABASE turkish OWNER ${OWNER} TEMPLATE template0 LOCALE 'C.utf8' LOCALE_PROVIDER icu ICU_LOCALE 'tr'`,
    );
    expect(await server.sql(`SELECT lower('I') AS i`, 'turkish')).toEqual([{ i: 'ı' }]);
    const store = await open('turkish');
    const user = 'ÉMILIE.INFO@EXAMPLE.ORG';
    const { id } = await put(store, newMessage({ user, reversePath: 'INFO@EXAMPLE.ORG', to: ['BILL@EXAMPLE.NET'] }));
    const found = await Promise.all([
      store.messages.find('info@example.org', 9),
      store.messages.find('bill@example.net', 9),
      store.messages.list({ user }),
      store.messages.list({ domain: 'example.net' }),
      store.messages.browse({ user, limit: 9 }).then(({ items }) => items),
    ]);
    expect(found.map((items) => items.map((item) => item.id))).toEqual(found.map(() => [id]));
    expect(await store.messages.hold({ user: 'Émilie.info@example.org' }, NOW)).toMatchObject([{ id }]);
  });

  test('a user who may only read is refused', async () => {
    const database = await newDatabase(server, OWNER);
    await (await open(database)).close();
    await roleHas('default_transaction_read_only', 'on');
    expect(await refusal(database)).toContain('lets this user only read (default_transaction_read_only is on for the user');
  });

  test('tables that the user may not write are named at the start, as after a restore by another user', async () => {
    const database = await newDatabase(server, OWNER);
    await (await open(database)).close();
    for (const table of ['contents', 'attempts'])
      await server.sql(
        `REVOKE ALL ON smarthost.${table} FROM ${OWNER}; ALTER TABLE smarthost.${table} OWNER TO postgres`,
        database,
      );
    expect(await refusal(database)).toBe(
      `StoreError: The user ${OWNER} may not read and write these tables of the schema smarthost: attempts, contents. As their owner: GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO ${OWNER}`,
    );
    await server.sql(`GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO ${OWNER}`, database);
    await put(await open(database));
  });

  test('a schema of another user is refused by its name', async () => {
    const database = await newDatabase(server, OWNER);
    await server.sql('CREATE SCHEMA smarthost', database);
    expect(await refusal(database)).toContain(
      `The schema smarthost belongs to postgres: ALTER SCHEMA smarthost OWNER TO ${OWNER}`,
    );
  });

  test('what keeps a relay out is said with the place, and what to look at', async () => {
    const database = await newDatabase(server, OWNER);
    const narrow = await newDatabase(server, OWNER);
    await server.sql(`ALTER DATABASE ${narrow} CONNECTION LIMIT 3`);
    const here = `127.0.0.1:${server.port} `;
    const troubles: [ReturnType<typeof refusal>, string][] = [
      [
        refusal(database, { password: 'x' }),
        `${here}password authentication failed for user "smarthost" (look at store.user and store.passwordFile)`,
      ],
      [
        refusal(database, { database: 'none' }),
        `${here}database "none" does not exist (make it with createdb, or look at store.database)`,
      ],
      [refusal(database, { tls: 'verify' }), `${here}The server does not support SSL connections`],
      [
        refusal(narrow, {}, { pastFile: join(dataDir(), 'database.seen') }),
        `${here}too many connections for database "${narrow}" (a relay needs five connections)`,
      ],
    ];
    if (HAS_IPV6) troubles.push([refusal(database, { hosts: [{ host: '::1', port: 1 }] }), '[::1]:1 connect ECONNREFUSED ::1:1']);
    expect(await Promise.all(troubles.map(([said]) => said))).toEqual(
      troubles.map(([, words]) => `StoreError: No primary of the database: ${words}`),
    );
    expect((await (await open(narrow)).messages.counts()).states).toEqual({}); // a command needs less
  }, 30_000);

  test.skipIf(!HAS_IPV6)('a server is found by its address of IPv6', async () => {
    await put(await open(await newDatabase(server), { hosts: [{ host: '::1', port: server.port }], user: 'postgres' }));
  });

  test('a password that is changed at the database and in its file is used at the next connect', async () => {
    const database = await newDatabase(server, OWNER);
    const passwordFile = join(dataDir(), 'password');
    writeFileSync(passwordFile, `${OWNER_PASSWORD}\n`);
    const settings = { postgres: [`127.0.0.1:${server.port}`], database, passwordFile, tls: 'none', durability: 'one' } as const;
    const store = await openPostgres({ server: serverOf(settings) });
    onTestFinished(() => store.close());
    await put(store);
    await server.sql(`ALTER ROLE ${OWNER} PASSWORD 'another'`);
    onTestFinished(async () => void (await server.sql(`ALTER ROLE ${OWNER} PASSWORD '${OWNER_PASSWORD}'`)));
    writeFileSync(passwordFile, 'another\n');
    await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
    await put(store);
    await server.sql(`ALTER ROLE ${OWNER} PASSWORD '${OWNER_PASSWORD}'`);
    // What was read at the start counts where there is nothing now, as in the middle of a change.
    for (const lose of [() => writeFileSync(passwordFile, '\n'), () => rmSync(passwordFile)]) {
      lose();
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
      await put(store);
    }
    expect((await store.messages.counts()).states).toEqual({ queued: 4 });
  });

  test('an empty database is not begun by a relay that has worked with another one', async () => {
    const folder = dataDir();
    const file = join(folder, 'database.seen');
    const [database, empty] = [await newDatabase(server, OWNER), await newDatabase(server, OWNER)];
    const first = await open(database, {}, { pastFile: file });
    first.announce('the settings');
    await until(
      async () => (await server.sql('SELECT 1 FROM smarthost.nodes WHERE config_digest IS NOT NULL', database)).length > 0,
    );
    await first.close();
    const words = `StoreError: The database is empty, and this relay has worked with another one: look at \`store\` in the configuration. To begin anew, remove ${file}`;
    expect(await refusal(empty, {}, { pastFile: file })).toBe(words);
    expect(await server.sql(`SELECT 1 FROM pg_namespace WHERE nspname = 'smarthost'`, empty)).toEqual([]);
    await (await open(empty)).close(); // a command, by which somebody looks, makes the tables
    expect(await refusal(empty, {}, { pastFile: file })).toBe(words);
    await open(database, {}, { pastFile: file });
  });

  test('a running relay does not go on with other data', async () => {
    const [database, other] = [await newDatabase(server, OWNER), await newDatabase(server, OWNER)];
    await (await open(other)).close();
    const store = await open(database, {}, { pastFile: join(dataDir(), 'database.seen') });
    const { id } = await put(store);
    const swap = async (one: string, two: string) => {
      for (const name of [one, two]) await server.sql(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('${one}', '${two}')`);
      await until(async () => (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE datname = '${one}'`)).length === 0);
      await server.sql(`ALTER DATABASE ${one} RENAME TO between_two`);
      await server.sql(`ALTER DATABASE ${two} RENAME TO ${one}`);
      await server.sql(`ALTER DATABASE between_two RENAME TO ${two}`);
      for (const name of [one, two]) await server.sql(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    };
    await swap(database, other);
    const waiting = put(store);
    await until(async () => (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE datname = '${database}'`)).length > 0);
    await swap(database, other);
    await waiting;
    expect(await store.messages.get(id, { from: 0, limit: 1 })).toBeDefined();
    expect(await server.sql('SELECT 1 FROM smarthost.messages', other)).toEqual([]);
  }, 60_000);

  test('a running relay stores nothing where other data came under its open connections', async () => {
    const database = await newDatabase(server, OWNER);
    const store = await open(database, {}, { pastFile: join(dataDir(), 'database.seen') });
    await put(store);
    await server.sql('DROP SCHEMA smarthost CASCADE', database);
    await (await open(database)).close();
    for (let i = 0; i < 2; i++)
      await expect(put(store)).rejects.toThrow('the database has other data than this relay began with');
    expect(await server.sql('SELECT 1 FROM smarthost.messages', database)).toEqual([]);
  });
});
