/** Large bodies: files that arrive piece by piece, and go with their message. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Spool, Store } from '../../../src/store/store.ts';
import {
  bytesOf,
  dataDir,
  LEASE,
  NOW,
  newMessage,
  put,
  relay,
  statesOf,
  testStore,
  until,
  wholeContent,
} from '../../support/store-rig.ts';

const PREFIX = 'Received: by relay.example.org\r\n';
async function spooled(store: Store, body: Buffer, chunk = 10_000): Promise<Spool> {
  const writer = await store.messages.createSpool();
  const reused = Buffer.alloc(chunk);
  for (let at = 0; at < body.length; at += chunk) {
    const length = body.copy(reused, 0, at);
    await writer.write(reused.subarray(0, length)); // the writer must not keep it
  }
  return writer.finish();
}
const message = (spool: Spool) => newMessage({ content: { kind: 'spooled', prefix: bytesOf(PREFIX), spool } });
const claim = (store: Store) => store.messages.claim({ destination: 'example.net', now: NOW, limit: 5, lease: LEASE });

test.each([1, 1000, 65_536, 131_072, 300_001])('a body written in pieces of %d bytes is read as it was', async (chunk) => {
  const store = await testStore();
  const body = randomBytes(1_000_003 % (chunk * 5000));
  const spool = await spooled(store, body, chunk);
  expect(spool.size).toBe(body.length);
  const { id } = await put(store, message(spool));
  const whole = Buffer.concat([Buffer.from(PREFIX), body]);
  expect(await wholeContent(await store.messages.content(id))).toEqual(whole);
  const [claimed] = await claim(store);
  expect(await wholeContent(claimed?.content)).toEqual(whole);
  expect(await wholeContent(claimed?.content)).toEqual(whole);
});

test('a file is for its owner alone, and goes with its message', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const spool = await spooled(store, randomBytes(5000));
  const file = join(path, 'spool', spool.name);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { id } = await put(store, message(spool), { claim: [0] });
  await relay(store, id);
  await until(() => !existsSync(file));
});

test('a discarded body leaves no file, before and after it is finished', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const begun = await store.messages.createSpool();
  await begun.write(randomBytes(500_000));
  await begun.abort();
  const finished = await store.messages.createSpool();
  await finished.write(randomBytes(500_000));
  await finished.finish();
  await finished.abort();
  expect(readdirSync(join(path, 'spool'))).toEqual([]);
  await expect(begun.finish()).rejects.toThrow('given up');
});

test('a start removes files that no message names, and keeps those that one does', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const kept = await spooled(store, randomBytes(5000));
  await put(store, message(kept));
  await spooled(store, randomBytes(5000)); // a crash before its commit
  writeFileSync(join(path, 'spool', 'f'.repeat(32)), 'xx');
  writeFileSync(join(path, 'spool', 'notes.txt'), 'not ours');
  await store.close();
  const beside = await testStore({ dataDir: path });
  expect(readdirSync(join(path, 'spool'))).toHaveLength(4);
  await beside.close();
  await testStore({ dataDir: path, sweep: true });
  expect(readdirSync(join(path, 'spool')).sort()).toEqual([kept.name, 'notes.txt'].sort());
});

test('a body that a start beside it has swept is refused, never accepted without it', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const spool = await spooled(store, randomBytes(5000));
  await testStore({ dataDir: path, sweep: true });
  await expect(put(store, message(spool))).rejects.toThrow('is missing');
  expect((await store.messages.counts()).states).toEqual({});
});

test('many that finish together get their promise, and memory stays flat', async () => {
  const store = await testStore();
  const chunk = randomBytes(64 * 1024);
  const before = process.memoryUsage.rss();
  let peak = before;
  const one = async () => {
    const writer = await store.messages.createSpool();
    for (let i = 0; i < 160; i++) {
      await writer.write(chunk);
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    return writer.finish();
  };
  const spools = await Promise.all(Array.from({ length: 40 }, one));
  expect(spools.every(({ size }) => size === 160 * 64 * 1024)).toBe(true);
  expect((peak - before) / 2 ** 20).toBeLessThan(150);
  const hash = createHash('sha256');
  for await (const part of (spools[17] as Spool).read()) hash.update(part);
  const wanted = createHash('sha256');
  for (let i = 0; i < 160; i++) wanted.update(chunk);
  expect(hash.digest('hex')).toBe(wanted.digest('hex'));
});

test('a body can be read into memory that is used again for each chunk', async () => {
  const body = randomBytes(300_001);
  const spool = await spooled(await testStore(), body);
  const memory = Buffer.alloc(64 * 1024);
  const hash = createHash('sha256');
  for await (const chunk of spool.read(memory)) {
    expect(chunk.buffer).toBe(memory.buffer);
    hash.update(chunk);
  }
  expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
});

test('a body that was cut short is set aside at start, and by a claim; the others are served', async () => {
  const path = dataDir();
  const damaged: string[] = [];
  const onDamaged = ({ id, reason }: { id: string; reason: string }) => void damaged.push(`${id} ${reason}`);
  const store = await testStore({ dataDir: path, onDamaged });
  const spools = [
    await spooled(store, randomBytes(5000)),
    await spooled(store, randomBytes(5000)),
    await spooled(store, randomBytes(5000)),
  ];
  const ids: string[] = [];
  for (const spool of spools) ids.push((await put(store, message(spool))).id);
  truncateSync(join(path, 'spool', spools[0]?.name ?? ''), 4999);
  expect((await claim(store)).map(({ message }) => message.id)).toEqual(ids.slice(1));
  expect(damaged).toEqual([`${ids[0]} its body spool/${spools[0]?.name} has 4999 bytes instead of 5000`]);
  await store.messages.giveBack(LEASE, NOW);
  truncateSync(join(path, 'spool', spools[1]?.name ?? ''), 0);
  await store.close();
  const again = await testStore({ dataDir: path, sweep: true, onDamaged });
  expect(damaged.at(-1)).toContain(`${ids[1]} its body`);
  expect((await claim(again)).map(({ message }) => message.id)).toEqual(ids.slice(2));
  expect(await statesOf(again, ids[0] ?? '')).toEqual(['held']);
});

test('a body whose bits changed is never read to its end', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const spool = await spooled(store, randomBytes(300_000));
  const { id } = await put(store, message(spool));
  writeFileSync(join(path, 'spool', spool.name), randomBytes(300_000));
  await expect(wholeContent(await store.messages.content(id))).rejects.toThrow('not what was stored');
});
