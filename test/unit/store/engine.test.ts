/** The configuration chooses the engine of the store. */
import { expect, test } from 'vitest';
import { StoreError } from '../../../src/store/opening.ts';
import { filesOf, needFiles, openStore } from '../../../src/store/store.ts';
import { dataDir, newMessage, put } from '../../support/store-rig.ts';

test('sqlite keeps the data in files of the data directory', async () => {
  const settings = { store: 'sqlite', dataDir: dataDir() };
  const store = await openStore(settings);
  await put(store, newMessage());
  await store.close();
  expect(filesOf(settings)?.dataDir).toBe(settings.dataDir);
  const again = await needFiles(settings).open();
  expect((await again.messages.counts()).states).toEqual({ queued: 1 });
  expect(again.files.dataDir).toBe(settings.dataDir);
  await again.close();
});

test('an engine that is not there is refused by its name, and nothing of a password is told', async () => {
  const settings = { store: 'postgres://relay:secret@db.example/mail', dataDir: dataDir() };
  const sentence = 'store: this release has no engine named "postgres", only sqlite';
  await expect(openStore(settings)).rejects.toThrow(new StoreError(sentence));
  for (const ask of [filesOf, needFiles]) expect(() => ask(settings)).toThrow(sentence);
});
