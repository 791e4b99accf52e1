/** A command and `serve` at the same time: two processes on one store. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import type { Change } from '../../src/store/store.ts';
import { startStoreProcess } from '../support/store-process.ts';
import { dataDir, LEASE, NOW, newMessage, put, relay, statesOf, testStore, until } from '../support/store-rig.ts';

test('mail that another process accepts is reported, due and claimed here', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const told: Change[] = [];
  store.onChange((changes) => told.push(...changes));
  expect((await store.messages.due(Date.now(), 10)).due).toEqual([]);
  const child = startStoreProcess(path, 'accept');
  await until(() => child.lines.length > 50, 20_000);
  await until(() => told.includes('queue:example.net'));
  expect((await store.messages.due(Date.now(), 10)).due.map(({ destination }) => destination)).toEqual(['example.net']);
  expect(await store.messages.claim({ destination: 'example.net', now: Date.now(), limit: 5, lease: LEASE })).toHaveLength(5);
  await child.kill();
});

test('a relay’s own changes are not reported to it, those of others at most once a second', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const command = await testStore({ dataDir: path });
  const told: number[] = [];
  store.onChange(() => told.push(Date.now()));
  for (let i = 0; i < 10; i++) await put(store);
  const begun = Date.now();
  await until(() => Date.now() - begun > 1500);
  expect(told).toEqual([]);
  const changing = Date.now();
  while (Date.now() - changing < 2500)
    await command.messages.hold({ all: true }, NOW).then(() => command.messages.release({ all: true }, NOW));
  await until(() => told.length > 0);
  expect(told.length).toBeLessThanOrEqual(4);
});

test('mail that a command holds is not due here, and mail that it releases is due at once', async () => {
  const path = dataDir();
  const serve = await testStore({ dataDir: path });
  const command = await testStore({ dataDir: path });
  await Promise.all([put(serve), put(serve, newMessage({ to: ['a@other.example'] }))]);
  expect((await serve.messages.due(NOW, 10)).due).toHaveLength(2);
  await command.messages.hold({ domain: 'other.example' }, NOW);
  expect((await serve.messages.due(NOW, 10)).due).toHaveLength(1);
  await command.messages.release({ all: true }, NOW + 1);
  expect((await serve.messages.due(NOW + 1, 10)).due).toHaveLength(2);
  expect(await serve.messages.counts()).toMatchObject({ states: { queued: 2 } });
});

test('a blocked process settles nothing of the mail that another one has taken over', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const { id } = await put(store, newMessage());
  const child = startStoreProcess(path, 'claim');
  await child.seen('claimed', 20_000);
  process.kill(-child.child.pid!, 'SIGSTOP');
  const db = new DatabaseSync(join(path, 'smarthost.db'), { timeout: 10_000 });
  db.exec('UPDATE owners SET beat_at = beat_at - 60000'); // a minute goes by
  db.close();
  expect(await store.messages.takeBack({ owner: 'incarnation-1', silence: 30_000, now: NOW })).toBe(1);
  expect(await store.messages.claim({ destination: 'example.net', now: NOW, limit: 1, lease: LEASE })).toHaveLength(1);
  writeFileSync(`${path}.go`, '');
  onTestFinished(() => rmSync(`${path}.go`, { force: true }));
  process.kill(-child.child.pid!, 'SIGCONT');
  await child.seen('lost 1', 20_000);
  expect(await statesOf(store, id)).toEqual(['active']);
  await relay(store, id);
  expect(await statesOf(store, id)).toEqual(['relayed']);
});

test('a newer command leaves the store of an older relay as it is while that runs', async () => {
  const path = dataDir();
  const file = join(path, 'smarthost.db');
  openDatabase(file, 1000, MIGRATIONS.slice(0, 1)).close();
  chmodSync(file, 0o600);
  const relay = startStoreProcess(path, 'lock');
  await relay.seen('locked');
  await expect(testStore({ dataDir: path })).rejects.toThrow(
    /relay that runs on \S+ is older than this command: restart it first/,
  );
  const older = openDatabase(file, 1000, MIGRATIONS.slice(0, 1)); // which refuses what is newer than itself
  older.close();
  await relay.kill();
  const store = await testStore({ dataDir: path });
  expect(await store.messages.list({})).toEqual([]);
});
