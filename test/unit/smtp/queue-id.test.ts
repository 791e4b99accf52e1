import { beforeEach, expect, test, vi } from 'vitest';
import { sized } from '../../support/size.ts';

const NOW = Date.UTC(2027, 0, 31, 12);
/** As a process that starts has it. */
type Ids = typeof import('../../../src/smtp/queue-id.ts');
let ids: Ids;
beforeEach(async () => {
  ids = await started();
});

async function started(): Promise<Ids> {
  vi.resetModules();
  return import('../../../src/smtp/queue-id.ts');
}

test('an id is 17 digits and small letters, the time first, then the node', () => {
  ids.continueQueueIds({ node: 33, newest: null });
  const id = ids.newQueueId(NOW);
  expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{17}$/);
  expect(id.slice(9, 11)).toBe('11');
  expect(ids.newQueueId(NOW + 1).slice(0, 9) > id.slice(0, 9)).toBe(true);
});

test('ids of release 0.1 are known, and sort by time among those of today', () => {
  const old = '01kg5x5v01zzz'; // 4 of a counter
  ids.continueQueueIds({ node: 0, newest: old });
  const next = ids.newQueueId(0);
  expect([next, old].sort()).toEqual([old, next]);
});

test('ids grow, in one millisecond and where the clock goes back', () => {
  const made = [NOW, NOW, NOW, NOW - 60_000, NOW - 60_000, NOW + 1].map(ids.newQueueId);
  expect([...made].sort()).toEqual(made);
  expect(new Set(made).size).toBe(made.length);
});

test('after a restart with the clock set back, ids stand behind the newest of the store', async () => {
  const newest = ids.newQueueId(NOW);
  ids = await started();
  ids.continueQueueIds({ node: 5, newest });
  expect(ids.newQueueId(NOW - 3_600_000) > newest).toBe(true);
});

test('a newest id that no relay wrote changes nothing', () => {
  for (const newest of ['m1', '', 'zzzzzzzzzzzzz', '../../etc/passwd0']) ids.continueQueueIds({ node: 1, newest });
  expect(ids.newQueueId(NOW).slice(0, 9)).toBe(ids.newQueueId(NOW).slice(0, 9));
  expect(ids.newQueueId(NOW)).toMatch(/^[0-9a-hjkmnp-tv-z]{17}$/);
});

test('two makers with the same node in the same milliseconds make half a million different ids', async () => {
  const other = await started();
  for (const maker of [ids, other]) maker.continueQueueIds({ node: 7, newest: null });
  const made = new Set<string>();
  for (let i = 0; i < 250_000; i++) {
    made.add(ids.newQueueId(NOW + Math.floor(i / 2)));
    made.add(other.newQueueId(NOW + Math.floor(i / 2)));
  }
  expect(made.size).toBeGreaterThanOrEqual(499_996);
});

test('an id drawn for one that was taken is far from the next ones', () => {
  const taken = ids.newQueueId(NOW);
  const drawn = ids.anotherQueueId(NOW);
  expect(drawn > taken).toBe(true);
  expect(drawn.slice(0, 9)).not.toBe(taken.slice(0, 9));
});

test('ten million ids of four threads of one process are different, whatever their counters begin with', async () => {
  const shared = ids.shareQueueIds(NOW, 4);
  const threads = [ids];
  for (let part = 1; part < 4; part++) {
    const thread = await started();
    thread.joinQueueIds({ ...shared, part, parts: 4 });
    threads.push(thread);
  }
  // Only ids of the same millisecond can be equal, so that no more than those are compared.
  let equal = 0;
  const most = sized(10_000_000, 400_000);
  for (let made = 0, at = NOW; made < most; at++) {
    const here = new Set<string>();
    for (const thread of threads) for (let i = 0; i < 5000; i++) here.add(thread.newQueueId(at));
    equal += 20_000 - here.size;
    made += 20_000;
  }
  expect(equal).toBe(0);
});

test('a thread that takes the place of one that ended goes on behind the ids of the process', async () => {
  ids.shareQueueIds(NOW, 3);
  const before = ids.newQueueId(NOW);
  const thread = await started();
  thread.joinQueueIds({ ...ids.shareQueueIds(NOW, 3), part: 2, parts: 3 });
  const after = thread.newQueueId(NOW - 1000);
  expect(after > before).toBe(true);
  expect(after.slice(9, 11)).toBe(before.slice(9, 11));
});
