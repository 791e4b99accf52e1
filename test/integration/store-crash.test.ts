/** Kill -9 at any moment: acknowledged mail is stored completely, and the next start works. Behaviour rule 11, attacks C01 and C06. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { sized } from '../support/size.ts';
import { startStoreProcess } from '../support/store-process.ts';
import { dataDir, until, wholeContent } from '../support/store-rig.ts';

function isBodyOf(id: string, bytes: Buffer): boolean {
  const seed = createHash('sha256').update(id).digest();
  return bytes.equals(Buffer.alloc(bytes.length, seed));
}

const ROUNDS = sized(20, 5, 8);

test(`${ROUNDS} times SIGKILL while mail is accepted: each acknowledged message is there with its bytes`, async () => {
  const path = dataDir();
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const child = startStoreProcess(path, 'accept');
    await until(() => child.lines.length > 5 + 13 * round, 20_000); // the moment differs from round to round
    await child.kill();
    for (const line of child.lines.slice(1)) {
      const [id = '', length] = line.split(' ');
      acknowledged.set(id, Number(length));
    }
    const damaged: string[] = [];
    const store = await storeFiles(path).open({ sweep: true, onDamaged: ({ reason }) => void damaged.push(reason) });
    expect(damaged).toEqual([]);
    for (const [id, length] of [...acknowledged].slice(-200)) {
      const bytes = (await wholeContent(await store.messages.content(id))) as Buffer;
      expect([id, bytes?.length, isBodyOf(id, bytes)]).toEqual([id, length, true]);
    }
    const stored = (await store.messages.counts()).states.queued ?? 0;
    expect(stored).toBeGreaterThanOrEqual(acknowledged.size);
    expect(await store.messages.claim({ destination: 'example.net', now: Date.now(), limit: 1, lease: 'x#1' })).toHaveLength(1);
    await store.messages.giveBack('x#1', Date.now());
    await store.close();
  }
  expect(acknowledged.size).toBeGreaterThan(sized(1000, 100));
  const spooled = [...acknowledged.values()].filter((length) => length > 3000).length;
  expect(readdirSync(join(path, 'spool')).length).toBeGreaterThanOrEqual(spooled);
}, 600_000);

test('the instance lock ends with its process, however it ends', async () => {
  const path = dataDir();
  const child = startStoreProcess(path, 'lock');
  await child.seen('locked');
  await expect(storeFiles(path).lock()).rejects.toThrow(`Another smarthost serve (process ${child.child.pid}) runs on ${path}`);
  await child.kill();
  await (await storeFiles(path).lock()).release();
});
