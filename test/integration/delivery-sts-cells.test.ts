/**
 * Every cell of what DANE and MTA-STS demand together, at the wire: what was said to the host, or that nothing was. RFC 7672 §2.2,
 * RFC 8461 §2, §5.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CELLS, type CellWorld, DNS, nameOf, POLICIES, SHOWN, startCells, wanted } from '../support/tls-cells.ts';

let world: CellWorld;
beforeAll(async () => {
  world = await startCells();
});
afterAll(() => world.close());

describe.each(DNS)('DNS: %s', (proven) => {
  describe.each(POLICIES)('policy: %s', (policy) => {
    test.each(SHOWN)('the host shows: %s', async (shown) => {
      const cell = { proven, policy, shown };
      const { wire, outcome } = await world.met(cell);
      expect(wire).toBe(wanted(cell));
      if (wire === 'tls' || wire === 'clear') return;
      expect(outcome.reply.status).toMatch(/^4\.7\.[45]$/);
      expect(outcome.reply.text).toContain(`${nameOf(cell)}.hosts.test`);
    });
  });
});

test('no failure of a cell has put a host at rest, or made it one whose TLS is broken', () => {
  expect(CELLS).toHaveLength(DNS.length * POLICIES.length * SHOWN.length);
  expect(world.relay.resting()).toBe(0);
  const rested = world.relay.events.filter(({ event }) => event === 'resting' || event === 'tlsFailed');
  expect(rested.map(({ fields }) => fields)).toEqual([]);
});
