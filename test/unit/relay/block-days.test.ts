/** A provider that refuses our address is named in the log once a day. */
import { expect, test } from 'vitest';
import type { BlockNews } from '../../../src/delivery/delivery.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { createBlockDays } from '../../../src/relay/block-days.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';

const BLOCK: BlockNews = {
  ...{ provider: 'yahoo', way: { family: 4, source: '192.0.2.1' }, state: 'blocked', since: 0 },
  cause: { class: 'address-blocked', reply: { code: 553, status: '5.7.1', text: 'Not you' } },
};

test('after each day that it lasts, with its reply and the mail that is held; a new block begins a new day', async () => {
  const lines: string[] = [];
  const output = createLog({ level: 'info', format: 'json', write: (text) => lines.push(...text.trimEnd().split('\n')) });
  const log = createEventLog(output);
  let [now, blocks]: [number, BlockNews[]] = [1_800_000_000_000, [BLOCK]];
  const look = createBlockDays({
    ...{ log, now: () => now, delivery: { blocks: () => blocks } },
    messages: { heldByProvider: async () => [{ provider: 'yahoo', recipients: 7, oldestAcceptedAt: 0 }] },
  });
  const after = async (pause: number) => {
    now += pause;
    await look();
    output.flush();
    return lines.length;
  };
  expect(await after(0)).toBe(0);
  expect(await after(23 * HOUR)).toBe(0);
  expect(await after(HOUR)).toBe(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    ...{ event: 'providerStillBlocked', provider: 'yahoo', address: '192.0.2.1', held: 7, reply: '553 5.7.1 Not you' },
  });
  expect(await after(HOUR)).toBe(1);
  expect(await after(23 * HOUR)).toBe(2);
  blocks = [];
  expect(await after(DAY)).toBe(2);
  blocks = [BLOCK];
  expect(await after(DAY)).toBe(2);
  expect(await after(DAY)).toBe(3);
});
