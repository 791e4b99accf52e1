/** Mail that was given back because its sender or its destination rests. */
import { expect, test } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { createSettler } from '../../../src/queue/settle.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { Claim, Settlement } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';
import { delayed, message, recipient, relayed, returned, SCHEDULE } from '../../support/queue-rig.ts';

const T = 1_700_000_000_000;

function startSettler() {
  let now = T;
  const settlements: Settlement[] = [];
  const settler = createSettler({
    store: {
      settle: async (settlement) => {
        settlements.push(settlement);
        return { unchanged: [], lost: [], reportDue: false };
      },
    },
    log: createEventLog(createLog({ level: 'silent', format: 'json', write: () => {} }), () => {}),
    schedule: () => SCHEDULE,
    now: () => now,
    monotonic: () => now - T,
    random: () => 0.5,
    onRetry: () => {},
    onReturned: () => {},
    onUntold: () => {},
  });
  return {
    /** Settles one message that was accepted at T, `age` ms later. */
    async settle(age: number, reversePath: string, outcome: Outcome, attempts = 0): Promise<Settlement> {
      now = T + age;
      const stored = { ...recipient('b@busy.example'), n: 0, state: 'active', nextAttemptAt: null, lastReply: null } as const;
      const facts = message([], { acceptedAt: T, reversePath });
      const claim = { message: facts, recipients: [{ ...stored, attempts, delayReported: false }] } as unknown as Claim;
      await settler.settle(claim, [outcome]);
      return settlements.at(-1)!;
    },
  };
}

const resting = (until: number) => ({ ...returned, notBefore: T + until }) as Outcome;

test('the sender is told about mail that waits for hours because its hosts refuse that sender', async () => {
  const { settle } = startSettler();
  await settle(0, 'a@s.example', delayed);
  const early = await settle(MINUTE, 'a@s.example', resting(2 * MINUTE));
  expect(early).toMatchObject({ changes: [{ state: 'queued', nextAttemptAt: T + 2 * MINUTE }] });
  expect(early).not.toHaveProperty('untold');
  const late = await settle(5 * HOUR, 'a@s.example', resting(6 * HOUR));
  expect(late).toMatchObject({
    changes: [{ state: 'queued', nextAttemptAt: T + 6 * HOUR, delayReported: true }],
    untold: [{ action: 'delayed' }],
  });
});

test('mail that is not tried because its sender rests ends together with tried mail of that sender', async () => {
  const { settle } = startSettler();
  await settle(4 * DAY, 'a@s.example', delayed);
  await settle(5 * DAY + HOUR, 'a@s.example', delayed);
  await settle(5 * DAY + HOUR, 'other@s.example', relayed);
  expect(await settle(5 * DAY + 2 * HOUR, 'a@s.example', resting(5 * DAY + 3 * HOUR))).toMatchObject({
    changes: [{ state: 'expired', lastReply: '450 4.2.0 Greylisted' }],
    untold: [{ action: 'expired' }],
  });
  expect(await settle(5 * DAY + 2 * HOUR, 'other@s.example', resting(5 * DAY + 3 * HOUR))).toMatchObject({
    changes: [{ state: 'queued' }],
  });
});

test('old mail that meets a new block of its provider is held, though an earlier block was seen long before', async () => {
  const { settle } = startSettler();
  const reply = { code: 550, status: '5.7.1', text: 'Your IP is blocked' };
  const held = { kind: 'returned', reply, seconds: 0, heldBy: { provider: 'yahoo', since: T } } as Outcome;
  await settle(0, 'a@s.example', held);
  await settle(HOUR, 'a@s.example', held);
  for (let hour = 0; hour < 12; hour++) {
    const { changes } = await settle(30 * DAY + (hour * HOUR) / 12, 'a@s.example', held);
    expect(changes).toMatchObject([{ state: 'queued', heldBy: 'yahoo' }]);
  }
  for (let hour = 0; hour < 20; hour++) await settle(30 * DAY + hour * HOUR, 'a@s.example', held);
  expect(await settle(31 * DAY, 'a@s.example', held)).toMatchObject({ changes: [{ state: 'expired' }] });
});

test('mail that is given back without a failure does not change', async () => {
  const { settle } = startSettler();
  const { changes } = await settle(40 * DAY, 'a@s.example', returned);
  expect(changes).toEqual([{ n: 0, state: 'queued', nextAttemptAt: T + 40 * DAY }]);
});
