/** The configuration chooses the engine of the store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { StoreError } from '../../../src/store/opening.ts';
import { serverOf } from '../../../src/store/postgres/postgres-store.ts';
import { clusterOf, filesOf, moveStore, openStore } from '../../../src/store/store.ts';
import { dataDir, newMessage, put } from '../../support/store-rig.ts';

test('sqlite keeps the data in files of the data directory', async () => {
  const settings = { store: 'sqlite', dataDir: dataDir() };
  const store = await openStore(settings);
  await put(store, newMessage());
  await store.close();
  expect(filesOf(settings)?.dataDir).toBe(settings.dataDir);
  const again = await filesOf(settings)!.open();
  expect((await again.messages.counts()).states).toEqual({ queued: 1 });
  expect(again.files.dataDir).toBe(settings.dataDir);
  await again.close();
});

test('an engine that is not there is refused by its name, and nothing of a password is told', async () => {
  const settings = { store: 'postgres://relay:secret@db.example/mail', dataDir: dataDir() };
  const sentence = 'store: this release has no engine named "postgres", only sqlite and postgres';
  await expect(openStore(settings)).rejects.toThrow(new StoreError(sentence));
  for (const ask of [filesOf, clusterOf]) expect(() => ask(settings)).toThrow(sentence);
});

test('the settings of a database have defaults that lose no mail, and each server may have a port', () => {
  expect(serverOf({ postgres: ['db1.example', 'db2.example:5433', '[2001:db8::1]:5434', '2001:db8::2'] })).toEqual({
    hosts: [
      { host: 'db1.example', port: 5432 },
      { host: 'db2.example', port: 5433 },
      { host: '2001:db8::1', port: 5434 },
      { host: '2001:db8::2', port: 5432 },
    ],
    ...{ database: 'smarthost', user: 'smarthost', tls: 'verify', durability: 'two' },
  });
});

test('a password is read from its file, and a file that is missing is named without its content', () => {
  const passwordFile = join(dataDir(), 'password');
  writeFileSync(passwordFile, 'geheim\n');
  expect(serverOf({ postgres: ['db.example'], passwordFile })).toMatchObject({ password: 'geheim' });
  const missing = `${passwordFile}.missing`;
  const sentence = `store.passwordFile: ${missing} cannot be read (ENOENT)`;
  expect(() => serverOf({ postgres: ['db.example'], passwordFile: missing })).toThrow(new StoreError(sentence));
});

test('a database is not in files, files are not a cluster, and a store is moved from one to the other only', async () => {
  const database = { store: { postgres: ['db.example'] }, dataDir: dataDir() };
  const files = { store: 'sqlite', dataDir: dataDir() };
  expect([filesOf(database), clusterOf(files)]).toEqual([undefined, undefined]);
  await expect(moveStore({ from: files, to: files, told: () => {} })).rejects.toThrow('from files into a database');
});
