/** What people ask of a store in files: their reads stand before no mail. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { DATABASE_FILE } from '../../../src/store/embedded/data-dir.ts';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { NOW, newMessage } from '../../support/store-rig.ts';

async function opened() {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-people-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const store = await storeFiles(dataDir).open({ busyTimeout: 120_000 });
  onTestFinished(() => store.close());
  return { store, dataDir };
}

test('people read while the thread of the store waits for its disk', async () => {
  const { store, dataDir } = await opened();
  const message = newMessage({ to: ['a@x.example'] });
  await store.messages.accept({ message });
  const other = new DatabaseSync(join(dataDir, DATABASE_FILE));
  other.exec('BEGIN IMMEDIATE');
  let accepted = false;
  const waiting = store.messages.accept({ message: newMessage({ to: ['b@x.example'] }) }).then(() => {
    accepted = true;
  });
  const people = store.forPeople.messages;
  expect((await people.browse({ limit: 10 })).items.map(({ id }) => id)).toEqual([message.id]);
  expect(await people.find('a@x.example', 10)).toHaveLength(1);
  expect(await people.summary(10)).toMatchObject([{ destination: 'x.example', recipients: 1 }]);
  expect(accepted, 'the thread of the store still waits').toBe(false);
  other.exec('ROLLBACK');
  other.close();
  await waiting;
  expect((await people.browse({ limit: 10 })).items, 'what is accepted is seen at once').toHaveLength(2);
});

test('what people change is changed by the thread of the store, and is told', async () => {
  const { store } = await opened();
  const told = new Set<string>();
  store.onChange((changes) => {
    for (const change of changes) told.add(change);
  });
  await store.messages.accept({ message: newMessage({ to: ['a@x.example'] }) });
  const people = store.forPeople.messages;
  expect(await people.preview({ all: true })).toMatchObject({ recipients: 1 });
  expect(await people.hold({ all: true }, NOW)).toHaveLength(1);
  expect(await people.list({ states: ['held'] })).toHaveLength(1);
  expect(told).toContain('notices');
});

test('reads after the end of the store are rejected', async () => {
  const { store } = await opened();
  await store.forPeople.messages.browse({ limit: 1 });
  await store.close();
  await expect(store.forPeople.messages.browse({ limit: 1 })).rejects.toMatchObject({ code: 'ESTORE' });
});

test('a thread that nobody has asked for a minute ends, and who asks in that moment gets another one', async () => {
  const { store } = await opened();
  const ends: Promise<unknown>[] = [];
  const count = (worker: Worker) => ends.push(once(worker, 'exit'));
  process.on('worker', count);
  onTestFinished(() => void process.off('worker', count));
  const read = () => store.forPeople.messages.browse({ limit: 1 });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  await read();
  vi.advanceTimersByTime(59_999);
  await read();
  vi.advanceTimersByTime(59_999);
  expect(ends).toHaveLength(1);
  vi.advanceTimersByTime(1);
  await read();
  expect(ends, 'a thread that ends takes nothing more').toHaveLength(2);
  await ends[0];
  await read();
  expect(ends, 'the new one is not forgotten').toHaveLength(2);
  const reading = read().catch(() => {});
  await store.close();
  await reading;
  expect(await Promise.all(ends), 'also with a read under way each ends by itself').toEqual([[0], [0]]);
});
