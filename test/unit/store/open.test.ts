/** Opening: what is refused, how it is set, who may read it, and what a damaged store does. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { NODES } from '../../../src/smtp/queue-id.ts';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { StoreError } from '../../../src/store/opening.ts';
import { openDatabase } from '../../../src/store/sqlite/database.ts';
import { encodeMessage, factsCheck, recipientCheck } from '../../../src/store/sqlite/rows.ts';
import { MIGRATIONS } from '../../../src/store/sqlite/schema.ts';
import { DAY } from '../../../src/system/clock.ts';
import { asLeader } from '../../support/led.ts';
import { isRoot } from '../../support/peers.ts';
import { dataDir, NOW, newMessage, put, testStore } from '../../support/store-rig.ts';

const refusal = async (path: string) => {
  const error = await storeFiles(path)
    .open()
    .then(
      (store) => store.close(),
      (error) => error,
    );
  expect(error).toBeInstanceOf(StoreError);
  return (error as Error).message;
};
const databaseFile = (path: string) => join(path, 'smarthost.db');

async function madeStore(): Promise<string> {
  const path = join(dataDir(), 'deep', 'down');
  const store = await storeFiles(path).open();
  await put(store);
  await store.close();
  return path;
}

test('directories are made for their owner alone, files too', async () => {
  const path = join(dataDir(), 'a', 'b');
  await testStore({ dataDir: path });
  const modes = readdirSync(path).map((name) => [name, (statSync(join(path, name)).mode & 0o777).toString(8)]);
  expect(Object.fromEntries(modes)).toEqual({
    'smarthost.db': '600',
    'smarthost.db-shm': '600',
    'smarthost.db-wal': '600',
    spool: '700',
  });
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test.skipIf(process.platform !== 'linux')(
  'a directory that cannot be made is refused, where making it says odd things too',
  async () => {
    // Below /proc each new directory is ENOENT, and its parent exists: Node's own recursive mkdir never ends there.
    expect(await refusal('/proc/smarthost/data')).toMatch(/^(Cannot use|No permission to use) \/proc\/smarthost\/data/);
  },
);

test('a directory or database that others can read is refused with the remedy', async () => {
  const path = await madeStore();
  chmodSync(path, 0o755);
  expect(await refusal(path)).toBe(`${path} is open to every user of this machine (mode 755): run chmod 700 ${path}`);
  chmodSync(path, 0o700);
  chmodSync(databaseFile(path), 0o644);
  expect(await refusal(path)).toContain(`run chmod 600 ${databaseFile(path)}`);
});

test('an empty directory of our own is closed to others and used', async () => {
  const path = join(dataDir(), 'empty');
  mkdirSync(path, { mode: 0o755 });
  chmodSync(path, 0o755);
  await testStore({ dataDir: path });
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('every opening syncs each commit, in the log, also the second', async () => {
  const path = await madeStore();
  for (let i = 0; i < 2; i++) {
    const db = openDatabase(databaseFile(path), 1000);
    expect(db.get('PRAGMA synchronous')).toEqual({ synchronous: 2 });
    expect(db.get('PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' });
    expect(db.get('PRAGMA page_size')).toEqual({ page_size: 16384 });
    expect(db.get('PRAGMA auto_vacuum')).toEqual({ auto_vacuum: 2 });
    db.close();
  }
});

test('a store of a newer version is refused', async () => {
  const path = await madeStore();
  const db = new DatabaseSync(databaseFile(path));
  db.exec('PRAGMA user_version = 99');
  db.close();
  expect(await refusal(path)).toMatch(/newer smarthost \(format 99, this one knows \d+\)/);
});

test('an older store becomes one of this version when it is opened, with all that is in it', async () => {
  const path = await madeStore();
  const steps = [...MIGRATIONS, 'ALTER TABLE credentials ADD COLUMN note TEXT', 'CREATE TABLE later (x) STRICT'];
  expect(() => openDatabase(databaseFile(path), 1000, steps)).toThrow(/Cannot open .*later/);
  const before = openDatabase(databaseFile(path), 1000); // a step that failed took the others back
  expect(before.get('PRAGMA user_version')).toEqual({ user_version: MIGRATIONS.length });
  before.close();
  const db = openDatabase(databaseFile(path), 1000, steps.slice(0, -1));
  expect(db.get('PRAGMA user_version')).toEqual({ user_version: MIGRATIONS.length + 1 });
  expect(db.get('SELECT count(*) AS n, (SELECT count(note) FROM credentials) AS notes FROM messages')).toEqual({
    n: 1,
    notes: 0,
  });
  db.close();
  // The version before refuses it, and says what to do.
  expect(await refusal(path)).toMatch(/newer smarthost .*install that version again, or restore a backup/);
});

test('a store of the first format is read, and what is new can be written to it', async () => {
  const path = dataDir();
  const first = openDatabase(databaseFile(path), 1000, MIGRATIONS.slice(0, 1));
  const columns = "'old', 0, 1, 7, 'mx', '192.0.2.1', NULL, 5, 250, '2.0.0', 'Ok', 0.5";
  first.exec(`INSERT INTO attempts VALUES (${columns})`);
  first.close();
  const db = openDatabase(databaseFile(path), 1000);
  expect(db.get('SELECT reply, conversation, assurance FROM attempts')).toEqual({
    ...{ reply: 'Ok', conversation: null, assurance: null },
  });
  db.close();
});

test('recipients known to an older store count as written to on the day that it becomes one of this version', async () => {
  const path = dataDir();
  const old = openDatabase(databaseFile(path), 1000, MIGRATIONS.slice(0, 2));
  chmodSync(databaseFile(path), 0o600);
  old.exec("INSERT INTO known_recipients VALUES ('alice', 'bob@example.net')");
  old.close();
  const store = await testStore({ dataDir: path });
  expect(await asLeader(store.messages).forgetRecipients(Date.now() + 399 * DAY, null)).toEqual({ forgotten: 0, after: null });
  expect(await asLeader(store.messages).forgetRecipients(Date.now() + 409 * DAY, null)).toEqual({ forgotten: 1, after: null });
});

test('a store of release 0.1 keeps its mail, and draws its node once', async () => {
  const path = dataDir();
  const old = openDatabase(databaseFile(path), 1000, MIGRATIONS.slice(0, 2));
  chmodSync(databaseFile(path), 0o600);
  const { id, facts, recipients, bytes } = encodeMessage(newMessage());
  const [address, destination, notify, orcpt] = recipients as [string, string, null, null];
  old.run('INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', ...facts, factsCheck(facts));
  old.run('INSERT INTO contents VALUES (1, ?)', bytes);
  old.run('INSERT INTO open VALUES (?, 1, ?, ?, NULL, NULL, NULL)', id, bytes.byteLength, crc32(bytes));
  old.run(
    'INSERT INTO recipients (message, n, address, destination, verify, state, next_attempt) VALUES (?, 0, ?, ?, ?, 0, ?)',
    id,
    address,
    destination,
    recipientCheck(id, 0, [address, notify, orcpt]),
    NOW,
  );
  old.close();
  const store = await testStore({ dataDir: path, sweep: true });
  const node = await store.operation.value('instance.node');
  expect(Number(node)).toBeLessThan(NODES);
  const [claim] = await store.messages.claim({ destination, now: NOW, limit: 5, lease: 'me#1' });
  expect(claim).toMatchObject({ message: { id }, recipients: [{ address }] });
  await store.close();
  const again = await testStore({ dataDir: path });
  expect(await again.operation.value('instance.node')).toBe(node);
});

test('a database of another program is refused', async () => {
  const path = dataDir();
  const db = new DatabaseSync(databaseFile(path));
  db.exec('CREATE TABLE t (x)');
  db.close();
  chmodSync(databaseFile(path), 0o600);
  expect(await refusal(path)).toContain('is not a store of smarthost');
});

test('a file that is no database is named as damaged, with what to do', async () => {
  const path = dataDir();
  writeFileSync(databaseFile(path), 'this is not a database, it is a text that is long enough', { mode: 0o600 });
  expect(await refusal(path)).toMatch(/is damaged .*restore a backup/);
});

test('a database cut short is named as damaged or served, never a crash', async () => {
  const path = await madeStore();
  const size = statSync(databaseFile(path)).size;
  const fd = openSync(databaseFile(path), 'r+');
  writeSync(fd, Buffer.alloc(16_384 - 200, 0xff), 0, 16_384 - 200, 200);
  closeSync(fd);
  expect(size).toBeGreaterThan(16_384);
  expect(await refusal(path)).toMatch(/damaged|malformed/);
});

test('several that make a store at once make one', async () => {
  const path = join(dataDir(), 'new');
  const stores = await Promise.all(Array.from({ length: 4 }, () => testStore({ dataDir: path })));
  await Promise.all(stores.map((store) => put(store, newMessage())));
  expect(await stores[0]?.messages.list({})).toHaveLength(4);
});

test('after closing everything is refused, and what was asked before is kept', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const kept = put(store);
  await store.close();
  const { id } = await kept;
  await expect(store.ping()).rejects.toThrow('closed');
  await store.close();
  expect(await (await testStore({ dataDir: path })).messages.get(id)).toBeDefined();
});

test('only one serve runs on a directory', async () => {
  const path = dataDir();
  const lock = await storeFiles(path).lock();
  await expect(storeFiles(path).lock()).rejects.toThrow(
    new StoreError(
      `Another smarthost serve (process ${process.pid}) runs on ${path}: stop it first, or give this one a dataDir of its own`,
    ),
  );
  await lock.release();
  await lock.release();
  await (await storeFiles(path).lock()).release();
});

test.skipIf(!isRoot)('a command run by root takes the user and group that own the directory', async () => {
  const path = dataDir();
  chownSync(path, 65_534, 65_534);
  const script = `
    import { storeFiles } from ${JSON.stringify(new URL('../../../src/store/embedded/embedded.ts', import.meta.url).href)};
    const files = storeFiles(${JSON.stringify(path)});
    files.becomeOwner();
    const store = await files.open();
    await store.ping();
    await store.close();
    console.log(process.getuid(), process.getgid());`;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8', timeout: 20_000 });
  expect(child.stdout.trim()).toBe('65534 65534');
  expect(statSync(databaseFile(path)).uid).toBe(65_534);
});
