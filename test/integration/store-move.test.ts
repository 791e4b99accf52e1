/** `store move`: from files into PostgreSQL and back, killed on the way, with nothing lost and never two stores alive. */
import { renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { clusterOf, moveStore } from '../../src/store/store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { sized } from '../support/size.ts';
import { countMoved, move, moveAgain, moveConfiguration, moveTarget, storeAt } from '../support/store-moves.ts';
import { dataDir, newMessage, put, statesOf, wholeContent } from '../support/store-rig.ts';
import { dumpStore, fillStore } from '../support/whole-store.ts';

const EACH = sized(1000, 120);

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a store that is moved', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  const quiet = { told: () => {} };
  const files = (dir: string) => ({ store: 'sqlite', dataDir: dir });
  const shared = (database: string) => ({
    store: storeAt(server, database),
    dataDir: '',
  });
  const url = (database: string) => moveTarget(server, database);
  const countIn = (database: string) => countMoved(server, database);

  test('every row and body arrives in the database and comes back, although both moves are killed at several points', async () => {
    const [there, back] = [dataDir(), dataDir()];
    await fillStore(there, EACH);
    const before = dumpStore(there);
    const database = await newDatabase(server);
    const toDatabase = moveConfiguration(there, `dataDir: ${there}`);
    const total = 9 * (EACH + 1);
    for (const killAt of sized([1, 2, 5, 9, 14, 20, 26, 30, 34, 40], [2, 20], [1, 5, 14, 26, 40])) {
      expect((await move(toDatabase, url(database), killAt)).code).toBeNull();
      expect(dumpStore(there)).toEqual(before);
      const old = await storeFiles(there).open();
      expect((await old.messages.counts()).states['queued']).toBe(EACH + 1);
      await old.close();
      expect(await countIn(database)).toBe(0);
    }
    expect(await moveAgain(toDatabase, url(database))).toMatchObject({ code: 0 });
    expect(await countIn(database)).toBe(total);
    await expect(storeFiles(there).open()).rejects.toThrow(`were moved to postgres://127.0.0.1:${server.port}/${database}`);
    const store = await openPostgres({ server: server.options(database) });
    expect((await store.messages.counts()).states).toEqual(
      Object.fromEntries(['queued', 'delayed', 'uncertain', 'active', 'held'].map((state) => [state, EACH + 1])),
    );
    await store.close();

    const { store: at } = shared(database);
    const toFiles = moveConfiguration(back, `store: ${JSON.stringify(at)}`);
    for (const killAt of sized([1, 3, 6, 11, 17, 22, 25, 28], [3, 22], [1, 6, 17, 28])) {
      expect((await move(toFiles, `sqlite:${back}`, killAt)).code).toBeNull();
      expect(await countIn(database)).toBe(total);
      const [format] = await server.sql('SELECT state FROM smarthost.format', database);
      expect(format).toEqual({ state: null });
    }
    expect(await moveAgain(toFiles, `sqlite:${back}`)).toMatchObject({ code: 0 });
    await expect(openPostgres({ server: server.options(database) })).rejects.toThrow(`were moved to sqlite:${back}`);
    expect(statSync(join(back, 'smarthost.db')).mode & 0o077).toBe(0);
    const after = dumpStore(back);
    for (const [name, rows] of before) expect(after.get(name), name).toEqual(rows);
    const again = await storeFiles(back).open({ sweep: true });
    expect(await again.messages.takeBack({ owner: 'x', silence: 0, now: Date.now() })).toBe(EACH + 1);
    await again.close();
  }, 600_000);

  test('a move that ended before its last step is not open on either side, and the same command does the step', async () => {
    const [there, back] = [dataDir(), dataDir()];
    await fillStore(there, 2);
    const database = await newDatabase(server);
    await moveStore({ from: files(there), to: shared(database), ...quiet });
    await server.sql(`UPDATE smarthost.format SET state = 'filled'`, database);
    await expect(openPostgres({ server: server.options(database) })).rejects.toThrow('run the same command again');
    await expect(storeFiles(there).open()).rejects.toThrow('were moved to');
    expect(await moveStore({ from: files(there), to: shared(database), ...quiet })).toMatchObject({ resumed: true });
    expect(await moveStore({ from: files(there), to: shared(database), ...quiet })).toMatchObject({ resumed: false, rows: {} });
    await (await openPostgres({ server: server.options(database) })).close();

    await moveStore({ from: shared(database), to: files(back), ...quiet });
    renameSync(join(back, 'smarthost.db'), join(back, 'move.partial'));
    await expect(openPostgres({ server: server.options(database) })).rejects.toThrow('were moved to');
    expect(await moveStore({ from: shared(database), to: files(back), ...quiet })).toMatchObject({ resumed: true });
    expect(await moveStore({ from: shared(database), to: files(back), ...quiet })).toMatchObject({ resumed: false });
    const store = await storeFiles(back).open();
    expect((await store.messages.counts()).states['queued']).toBe(3);
    await store.close();
    rmSync(join(there, 'smarthost.db'));
    await expect(moveStore({ from: shared(database), to: files(there), ...quiet })).rejects.toThrow(
      `moved to sqlite:${back} before`,
    );
  });

  test('what is in use or not empty is refused by its name, and nothing is changed', async () => {
    const there = dataDir();
    const open = await storeFiles(there).open();
    await put(open);
    const database = await newDatabase(server);
    const relay = await openPostgres({ server: server.options(database) });
    await open.close();
    const move = () => moveStore({ from: files(there), to: shared(database), ...quiet });
    await expect(move()).rejects.toThrow(`process ${process.pid} on`);
    await relay.messages.accept({ message: newMessage() });
    await relay.close();
    await expect(move()).rejects.toThrow('The database is not empty');
    await expect(moveStore({ from: shared(database), to: files(there), ...quiet })).rejects.toThrow(`${there} is not empty`);
    const lock = await storeFiles(there).lock();
    await expect(move()).rejects.toThrow('Another smarthost serve');
    await lock.release();
    const again = await storeFiles(there).open();
    expect((await again.messages.counts()).states).toEqual({ queued: 1 });
    await again.close();
  });

  test('a copy that differs is found, and nothing is changed', async () => {
    const there = dataDir();
    await fillStore(there, 3);
    const database = await newDatabase(server);
    await (await openPostgres({ server: server.options(database) })).close();
    await server.sql(
      `CREATE FUNCTION smarthost.spoil() RETURNS trigger AS $$ BEGIN NEW.bytes = set_byte(NEW.bytes, 3, get_byte(NEW.bytes, 3) # 1); RETURN NEW; END $$ LANGUAGE plpgsql;
       CREATE TRIGGER spoil BEFORE INSERT ON smarthost.contents FOR EACH ROW EXECUTE FUNCTION smarthost.spoil()`,
      database,
    );
    const moving = moveStore({ from: files(there), to: shared(database), ...quiet });
    await expect(moving).rejects.toThrow('The copy of bodies differs from what was read');
    expect(await countIn(database)).toBe(0);
    await (await storeFiles(there).open()).close();
  });

  test('mail that was moved is claimed and read in the database as it was written to files', async () => {
    const there = dataDir();
    const open = await storeFiles(there).open();
    const message = newMessage();
    const bytes = Buffer.from((message.content as { bytes: Uint8Array }).bytes);
    await put(open, message);
    await open.close();
    const database = await newDatabase(server);
    await moveStore({ from: files(there), to: shared(database), ...quiet });
    const store = await openPostgres({ server: server.options(database) });
    onTestFinished(() => store.close());
    const [claim] = await store.messages.claim({ destination: 'example.net', now: Date.now(), limit: 1, lease: 'one#1' });
    expect(claim?.message.id).toBe(message.id);
    expect(await wholeContent(claim?.content)).toEqual(bytes);
    expect(await statesOf(store, message.id)).toEqual(['active']);
    expect(newMessage({ acceptedAt: Date.now() }).id > message.id).toBe(true);
  });

  test('a backup of a database, made while a relay works, is that of a store in files, and restores into both with waiting mail held', async () => {
    const [there, folder, other] = [dataDir(), dataDir(), dataDir()];
    await fillStore(there, 3);
    const [database, empty] = [await newDatabase(server), await newDatabase(server)];
    await moveStore({ from: files(there), to: shared(database), ...quiet });
    const relay = await openPostgres({ server: server.options(database) });
    const file = join(folder, 'backup.db');
    const counts = await clusterOf(shared(database))!.backup(file);
    expect(counts).toMatchObject({ messages: 36, waiting: 20 });
    await relay.messages.accept({ message: newMessage() });
    await relay.close();
    const source = await open(file);
    onTestFinished(() => source.close());
    const request = { source, name: file, force: false };
    await expect(clusterOf(shared(database))!.restore(request)).rejects.toThrow('The database is not empty');
    expect(await countIn(database)).toBe(37);
    const held = { messages: 20, recipients: 20 };
    expect(await clusterOf(shared(empty))!.restore(request)).toMatchObject({ messages: 36, held });
    expect(await clusterOf(shared(database))!.restore({ ...request, force: true })).toMatchObject({ held });
    expect(await storeFiles(other).restore(request)).toMatchObject({ messages: 36, held });
    for (const name of [empty, database]) {
      const store = await openPostgres({ server: server.options(name) });
      expect((await store.messages.counts()).states).toEqual({ held: 20 });
      const large = (await server.sql('SELECT id FROM smarthost.open WHERE spool IS NOT NULL', name)).map(({ id }) => id);
      expect((await wholeContent(await store.messages.content(large[0])))?.byteLength).toBe(700_006);
      await store.close();
    }
  });
});
