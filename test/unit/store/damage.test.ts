/** Damage: a changed entry is set aside, the others are served, and changed mail is never sent. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { type Damage, StoreError } from '../../../src/store/opening.ts';
import { readContent } from '../../../src/store/sqlite/claim.ts';
import type { Store } from '../../../src/store/store.ts';
import { sized } from '../../support/size.ts';
import { bytesOf, dataDir, inline, LEASE, NOW, newMessage, put, statesOf, testStore } from '../../support/store-rig.ts';

/** Three messages, closed, changed by SQL from outside, and opened again. */
async function damagedStore(sql: (ids: readonly string[]) => string) {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const messages = [await put(store), await put(store), await put(store)];
  await store.close();
  const ids = messages.map(({ id }) => id);
  const db = new DatabaseSync(join(path, 'smarthost.db'));
  db.exec(sql(ids));
  db.close();
  const damaged: Damage[] = [];
  const again = await testStore({ dataDir: path, sweep: true, onDamaged: (damage) => void damaged.push(damage) });
  return { store: again, ids, damaged };
}
const claim = (store: Store, destination = 'example.net') =>
  store.messages.claim({ destination, now: NOW, limit: 100, lease: LEASE });

test.each([
  [
    'content',
    "UPDATE contents SET bytes = zeroblob(200) WHERE key = (SELECT content FROM open WHERE id = 'ID')",
    'content does not match',
  ],
  [
    'key of its content',
    "UPDATE open SET (content, length, verify) = (SELECT content, length, verify FROM open LIMIT 1) WHERE id = 'ID'",
    'content does not match',
  ],
  [
    'missing content',
    "DELETE FROM contents WHERE key = (SELECT content FROM open WHERE id = 'ID')",
    'content is not in the database',
  ],
  ['envelope', "UPDATE messages SET reverse_path = 'mallory@example.org' WHERE id = 'ID'", 'envelope does not match'],
  ['missing row', "DELETE FROM messages WHERE id = 'ID'", 'row is missing'],
  ['recipient', "UPDATE recipients SET address = 'bpb@example.net' WHERE message = 'ID'", 'recipient does not match'],
  ['state', "UPDATE recipients SET state = 77 WHERE message = 'ID'", 'state that cannot be'],
  ['time', "UPDATE recipients SET next_attempt = NULL WHERE message = 'ID'", 'state that cannot be'],
  ['place in the queue', "DELETE FROM open WHERE id = 'ID'", 'content is not in the database'],
])('a damaged %s sets that message aside, says why, and the others are served', async (_, sql, reason) => {
  const { store, ids, damaged } = await damagedStore(([, second]) => sql.replace('ID', second ?? ''));
  expect((await claim(store)).map(({ message }) => message.id)).toEqual([ids[0], ids[2]]);
  expect(damaged).toEqual([{ id: ids[1], reason: expect.stringContaining(reason) }]);
  expect((await store.messages.due(NOW, 10)).due).toEqual([]);
  expect(await claim(store)).toEqual([]);
  expect((await store.messages.counts()).states).toEqual({ active: 2, held: 1 });
  expect((await store.messages.list({ states: ['held'] })).map(({ id }) => id)).toEqual(
    reason.includes('row is missing') ? [] : ids.slice(1, 2),
  );
});

test('a message that was set aside is shown as held with its reason, and can be removed', async () => {
  const { store, ids } = await damagedStore(([first]) => `UPDATE messages SET user = 'x' WHERE id = '${first}'`);
  await claim(store);
  const id = ids[0] ?? '';
  expect((await store.messages.get(id))?.recipients).toMatchObject([
    { state: 'held', lastReply: expect.stringContaining('Set aside') },
  ]);
  expect((await store.messages.counts()).states).toEqual({ active: 2, held: 1 });
  await store.messages.remove({ ids: [id] }, NOW);
  expect(await statesOf(store, id)).toEqual(['removed']);
});

test('where a key is damaged, no message gets the text of its neighbour', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const messages = Array.from({ length: 60 }, (_, i) => newMessage({ content: inline(bytesOf(`Subject: ${i}\r\n\r\n`)) }));
  for (const message of messages) await put(store, message);
  await store.close();
  const file = join(path, 'smarthost.db');
  const ids = messages.map(({ id }) => id);
  const next = misleadKey(file, ids);
  const db = new DatabaseSync(file, { readOnly: true });
  const get = (sql: string, ...values: string[]) => db.prepare(sql).get(...values);
  const context = { db: { get }, spoolDir: path } as unknown as Parameters<typeof readContent>[0];
  expect(() => readContent(context, ids[next]!)).toThrow('its content is not in the database');
  db.close();
});

/** Which bit misleads SQLite depends on where the keys lie in their page. */
const FLIPS = [1, 0, 3, 4, 5, 6, 7].flatMap((offset) => [2, 1, 4, 8, 16].map((bit) => ({ offset, bit })));

/** Undefined also where SQLite says that the file is damaged. */
function rowOf(db: DatabaseSync, id: string) {
  try {
    return db.prepare('SELECT id, length FROM open WHERE id = ?').get(id);
  } catch {
    return undefined;
  }
}

/** Changes one bit of a key in the table `open`, so that SQLite answers a question for the next key, whose index is returned, with that row. */
function misleadKey(file: string, ids: readonly string[]): number {
  const sound = readFileSync(file);
  for (const { offset, bit } of FLIPS) {
    for (const [i, id] of ids.slice(0, -1).entries()) {
      for (let at = sound.indexOf(id); at >= 0; at = sound.indexOf(id, at + 1)) {
        const bytes = Buffer.from(sound);
        bytes[at + offset]! ^= bit;
        writeFileSync(file, bytes);
        const db = new DatabaseSync(file, { readOnly: true });
        const found = rowOf(db, ids[i + 1]!);
        db.close();
        if (found !== undefined && found['id'] !== ids[i + 1]) return i + 1;
      }
    }
  }
  throw new Error('SQLite finds every row');
}

test('wrong counters are counted again at the start', async () => {
  const { store } = await damagedStore(() => "UPDATE counters SET value = 1000; DELETE FROM counters WHERE name = 's0'");
  expect((await store.messages.counts()).states).toEqual({ queued: 3 });
});

/** Deterministic, so that a failure can be seen again. */
function* numbers(seed: number): Generator<number, never> {
  for (let x = seed; ; ) yield (x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0);
}

test('whatever bit flips: no crash, no hang, and each byte that leaves is as it was accepted', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const bodies = new Map<string, string>();
  for (let i = 0; i < 60; i++) {
    const text = `Subject: ${i}\r\n\r\n${`line ${i} `.repeat(150 * (i % 7))}\r\n`;
    const message = newMessage({ to: [`user${i}@d${i % 3}.example`], content: inline(bytesOf(text)) });
    await put(store, message);
    bodies.set(message.id, `user${i}@d${i % 3}.example ${text}`);
  }
  await store.close();
  const pristine = join(path, 'smarthost.db');
  const copy = join(dataDir(), 'copy');
  const random = numbers(7);
  let served = 0;
  const rounds = sized(15, 5);
  for (let round = 0; round < rounds; round++) {
    const folder = `${copy}-${round}`;
    mkdirSync(folder, { mode: 0o700 });
    copyFileSync(pristine, join(folder, 'smarthost.db'));
    chmodSync(join(folder, 'smarthost.db'), 0o600);
    flipBits(join(folder, 'smarthost.db'), random);
    served += await serveAll(folder, bodies);
  }
  expect(served).toBeGreaterThan(60 * rounds * 0.5);
}, 60_000);

function flipBits(file: string, random: Iterator<number, never>): void {
  const bytes = readFileSync(file);
  const fd = openSync(file, 'r+');
  for (let i = 0; i < 8; i++) {
    const at = random.next().value % statSync(file).size;
    writeSync(fd, Buffer.from([(bytes[at] ?? 0) ^ (1 << (random.next().value % 8))]), 0, 1, at);
  }
  closeSync(fd);
}

async function serveAll(path: string, bodies: ReadonlyMap<string, string>): Promise<number> {
  let store: Store;
  try {
    store = await storeFiles(path).open({ sweep: true });
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return 0;
  }
  let served = 0;
  for (const destination of ['d0.example', 'd1.example', 'd2.example']) {
    for (const { message, recipients, content } of await claim(store, destination).catch(() => [])) {
      const text = content.kind === 'inline' ? Buffer.from(content.bytes).toString() : '';
      for (const { address } of recipients) expect(`${address} ${text}`).toBe(bodies.get(message.id));
      served++;
    }
  }
  await store.messages.list({ limit: 1000 }).catch(() => []);
  await store.close();
  return served;
}
