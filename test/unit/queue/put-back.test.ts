/** What a restored database has forgotten is stored again from the memory of the process, and nothing that has left. */
import { expect, test } from 'vitest';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { Claim } from '../../../src/store/store.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { delayed, message, recipient, relayed, startRig } from '../../support/queue-rig.ts';

type PutBack = { readonly id: string; readonly to: readonly (readonly [number, string])[] };

/** A queue whose attempts end when the test says so, by the first part of an address. */
function startForgetful({ fails = 0, kept = [] as readonly string[] } = {}) {
  let wentBack = () => {};
  let failures = fails;
  const stored: PutBack[] = [];
  const answers = new Map<string, (outcome: Outcome) => void>();
  let settled = 0;
  let mayPutBack = () => {};
  const gate = new Promise<void>((resolve) => (mayPutBack = resolve));
  const memory = createMemoryStore();
  const rig = startRig({
    store: {
      ...memory,
      async settle(settlement) {
        settled++;
        return memory.settle(settlement);
      },
    },
    deliver: ({ recipients }: Claim) =>
      Promise.all(recipients.map(({ address }) => new Promise<Outcome>((resolve) => answers.set(address, resolve)))),
    restored: {
      onWentBack: (listener) => (wentBack = listener),
      async putBack({ message: { id }, recipients }) {
        if (failures-- > 0) throw new Error('no primary');
        await gate;
        stored.push({ id, to: recipients.map(({ n, address }) => [n, address]) });
        return true;
      },
      async lacks(id) {
        if (failures-- > 0) throw new Error('no primary');
        return !kept.includes(id);
      },
    },
  });
  const tell = () => wentBack();
  return { ...rig, stored, answers, tell, release: () => mayPutBack(), settled: () => settled };
}

test('all claims of a message come back as one, and an attempt is settled only after that', async () => {
  const { queue, answers, tell, stored, release, settled, logged } = startForgetful({ fails: 1 });
  const one = message([recipient('a@a.test'), recipient('b@b.test')]);
  await queue.add({ message: one });
  await expect.poll(() => answers.size).toBe(2);
  tell();
  answers.get('a@a.test')!(relayed);
  await logged('storeFailed');
  expect(settled()).toBe(0);
  release();
  await logged('putBack');
  await logged('relayed');
  expect(stored).toEqual([
    {
      id: one.id,
      to: [
        [0, 'a@a.test'],
        [1, 'b@b.test'],
      ],
    },
  ]);
  answers.get('b@b.test')!(delayed);
  await queue.close(1000);
});

test('a body that only the database had is named if it has forgotten it, and nothing is put back for it', async () => {
  const spool = { name: 'gone', size: 9, read: async function* () {} };
  const content = { kind: 'spooled', prefix: new Uint8Array(), spool } as never;
  const [large, other] = [message([recipient('a@a.test')], { content }), message([recipient('b@b.test')], { content })];
  const { queue, answers, tell, stored, of, logged } = startForgetful({ kept: [other.id] });
  await queue.add({ message: other });
  await queue.add({ message: large });
  await expect.poll(() => answers.size).toBe(2);
  tell();
  await logged('notPutBack');
  await expect.poll(() => of('notPutBack').length).toBe(1);
  expect(of('notPutBack')[0]!.fields).toMatchObject({ queueId: large.id, recipients: ['a@a.test'] });
  expect(stored).toEqual([]);
  for (const answer of answers.values()) answer(relayed);
  await queue.close(1000);
});
