/** Relays of two versions on one database: the first new one brings the tables up to date, and old ones go on as long as they can. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { DatabaseSession } from '../../src/store/postgres/database-session.ts';
import { FORMAT, migrateDatabase } from '../../src/store/postgres/postgres-schema.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { newMessage, until } from '../support/store-rig.ts';

/** A newer release, with one more step. A step that ran a second time would fail. */
const NEWER = [...Array.from({ length: FORMAT }, () => ''), 'ALTER TABLE messages ADD COLUMN origin text'];

describe.skipIf(!requirePeer('postgresql', hasPostgres))('an upgrade of relays on one database', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  async function session(database: string): Promise<DatabaseSession> {
    const options = server.options(database);
    const one = await DatabaseSession.open(options, options.hosts[0]!, 'smarthost/newer');
    onTestFinished(() => one.close());
    return one;
  }

  test('new relays that start at once migrate once, under load, and the old relay sees no error and can start again', async () => {
    const database = await newDatabase(server);
    const old = await openPostgres({ server: server.options(database) });
    let [accepted, running] = [0, true];
    const clients = Array.from({ length: 5 }, async () => {
      while (running) {
        expect(await old.messages.accept({ message: newMessage() })).toMatchObject({ accepted: true });
        accepted++;
      }
    });
    await until(() => accepted > 50);
    const newer = await Promise.all(Array.from({ length: 4 }, () => session(database)));
    await Promise.all(newer.map((one) => migrateDatabase(one, { migrations: NEWER })));
    const before = accepted;
    await until(() => accepted > before + 50);
    running = false;
    await Promise.all(clients);
    await old.close();
    expect(await server.sql('SELECT version, min_version FROM smarthost.format', database)).toEqual([
      { version: FORMAT + 1, min_version: 1 },
    ]);
    const again = await openPostgres({ server: server.options(database) });
    onTestFinished(() => again.close());
    expect((await again.messages.counts()).states).toEqual({ queued: accepted });
  });

  test('an old relay does not start on tables that it cannot work with, and a new one does', async () => {
    const database = await newDatabase(server);
    await (await openPostgres({ server: server.options(database) })).close();
    await migrateDatabase(await session(database), { migrations: NEWER, oldest: FORMAT + 1 });
    await expect(openPostgres({ server: server.options(database) })).rejects.toThrow(
      `The database was written by a newer smarthost (format ${FORMAT + 1}, which needs ${FORMAT + 1}, and this one knows ${FORMAT}): install that version`,
    );
    await migrateDatabase(await session(database), { migrations: NEWER, oldest: FORMAT + 1 });
  });

  test('a migration that cannot get its lock waits briefly at a time, so that the mail goes on, and is done when it can', async () => {
    const database = await newDatabase(server);
    const store = await openPostgres({ server: server.options(database) });
    onTestFinished(() => store.close());
    const reader = await session(database);
    await reader.ask('BEGIN');
    await reader.ask('SELECT count(*) FROM messages');
    const migrating = migrateDatabase(await session(database), { migrations: NEWER });
    const waits = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'smarthost/newer' AND wait_event_type = 'Lock'`;
    await until(async () => (await server.sql(waits)).length > 0);
    expect(await store.messages.accept({ message: newMessage() })).toMatchObject({ accepted: true });
    await reader.ask('COMMIT');
    await migrating;
    expect(await store.messages.accept({ message: newMessage() })).toMatchObject({ accepted: true });
  });
});
