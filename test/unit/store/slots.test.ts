/** Whose turn it is at an upstream with a limit that several relays use. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { turnsOf } from '../../../src/store/postgres/slots.ts';

const wanter = (held: number, waiting: number, since = 0) => ({ held, waiting, since });

test.each([
  ['alone', 3, wanter(0, 2), [], 2],
  ['with enough for all', 3, wanter(0, 1, 2), [wanter(0, 2, 1)], 1],
  ['behind one that has waited longer', 1, wanter(0, 1, 2), [wanter(0, 1, 1)], 0],
  ['before one that has waited for less long', 1, wanter(0, 1, 1), [wanter(0, 1, 2)], 1],
  ['behind one that has fewer', 1, wanter(1, 1, 1), [wanter(0, 1, 2)], 0],
  ['where the other wants nothing', 1, wanter(2, 1), [wanter(0, 0)], 1],
  ['where nothing is free, or too many are in use', -1, wanter(2, 1), [], 0],
])('%s', (_, free, own, others, granted) => expect(turnsOf(free, own, others)).toBe(granted));

test('relays that ask one after the other never get more than are free, and all of it if they want it', () => {
  const relays = fc.array(fc.record({ held: fc.nat(4), waiting: fc.nat(4), since: fc.nat(3) }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(relays, fc.nat(8), (all, free) => {
      let left = free;
      // twice: what is left for another is taken by it in the first round
      for (const own of [...all, ...all]) {
        const granted = turnsOf(
          left,
          own,
          all.filter((one) => one !== own),
        );
        left -= granted;
        own.held += granted;
        own.waiting -= granted;
      }
      expect(left).toBeGreaterThanOrEqual(0);
      if (left > 0) expect(all.every(({ waiting }) => waiting === 0)).toBe(true);
    }),
  );
});
