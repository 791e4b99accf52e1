/**
 * Every cell of what the operator and the message ask for, over those of DANE and MTA-STS, at the wire. Each table is written here once more,
 * in other words than the code's. RFC 7672 §2.2, RFC 8461 §5, RFC 8689 §4.2, §5.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DestinationRule } from '../../src/smtp/route.ts';
import type { TestMessage } from '../support/delivery.ts';
import { sized } from '../support/size.ts';
import {
  CELLS,
  type Cell,
  type CellWorld,
  hasPkix,
  hasTlsa,
  type Met,
  nameOf,
  startCells,
  type Wire,
  wanted,
} from '../support/tls-cells.ts';

/** A failed look-up takes its time, and it does not matter what a host shows to nobody. */
const DIFFERENT = CELLS.filter(({ proven, shown }) => proven !== 'look-up fails' || shown === 'both' || shown === 'no STARTTLS');
/** A sample takes each seventh cell: no table has a side of seven. */
const LOOKED_AT = DIFFERENT.filter((_, i) => i % sized(1, 7) === 0);
const only = (fits: boolean): Wire => (fits ? 'tls' : 'refused');
const withoutDane = (cell: Cell): Cell => ({ ...cell, proven: 'nothing' });
const withoutSts = (cell: Cell): Cell => ({ ...cell, policy: 'no policy' });
const withoutBoth = (cell: Cell): Cell => withoutDane(withoutSts(cell));
const encrypted = (wire: Wire): Wire => (wire === 'clear' ? 'refused' : wire);
const arrives = (wire: Wire) => wire === 'tls' || wire === 'clear';
const END = Date.UTC(2099, 0, 1);

/** What the operator asks for rests the hosts that do not meet it, and each cell is asked in more than one test. */
function met(world: CellWorld, cell: Cell, message?: TestMessage): Promise<Met> {
  world.relay.tryNow(`${nameOf(cell)}.test`);
  return world.met(cell, message);
}

/** With a certificate for the name of the host, besides what the others demand. */
function verified(cell: Cell): Wire {
  const wire = wanted(cell);
  return wire === 'passed over' ? wire : only(arrives(wire) && hasPkix(cell.shown));
}

describe('what the operator asks of a destination', () => {
  let world: CellWorld;
  beforeAll(async () => {
    world = await startCells();
  });
  afterAll(() => world.close());

  test.each<readonly [string, Partial<DestinationRule>, (cell: Cell) => Wire]>([
    ['no TLS', { tls: 'none' }, () => 'clear'],
    ['nothing more', { tls: 'opportunistic' }, wanted],
    ['TLS', { tls: 'encrypt' }, (cell) => encrypted(wanted(cell))],
    ['a valid certificate', { tls: 'verify' }, verified],
    ['DANE', { tls: 'dane' }, ({ proven, shown }) => (proven === 'proven' ? only(hasTlsa(shown)) : 'passed over')],
    ['no DANE', { ignore: ['dane'], until: END }, (cell) => wanted(withoutDane(cell))],
    ['no MTA-STS', { ignore: ['mtaSts'], until: END }, (cell) => wanted(withoutSts(cell))],
    ['neither', { ignore: ['dane', 'mtaSts'], until: END }, (cell) => wanted(withoutBoth(cell))],
    [
      'a certificate, and neither',
      { tls: 'verify', ignore: ['dane', 'mtaSts'], until: END },
      (cell) => verified(withoutBoth(cell)),
    ],
    ['to be told only', { audit: true }, (cell) => wanted(withoutBoth(cell))],
  ])('%s', async (_, rule, expected) => {
    world.relay.reload({ destinations: [{ domain: '*', ...rule }] });
    for (const cell of LOOKED_AT) {
      const { wire, outcome } = await met(world, cell);
      expect(wire, JSON.stringify(cell)).toBe(expected(cell));
      expect(outcome.kind, JSON.stringify(cell)).toBe(arrives(wire) ? 'relayed' : 'delayed');
    }
  });

  test('to be told only: each cell that would have had no mail is told, and no other', async () => {
    world.relay.reload({ destinations: [{ domain: '*', audit: true }] });
    for (const cell of LOOKED_AT.filter(({ policy }) => !policy.startsWith('testing'))) {
      const before = world.relay.events.length;
      await met(world, cell);
      const told = world.relay.events
        .slice(before)
        .filter(({ event, fields }) => event === 'tlsPolicyFailed' && fields['would'] === 'audit');
      expect(told.length > 0, JSON.stringify(cell)).toBe(!arrives(wanted(cell)));
      for (const { fields } of told) expect(fields).toMatchObject({ mx: `${nameOf(cell)}.hosts.test` });
    }
  });
});

const REQUIRED = { requireTls: true } as const;
type Fate = Wire | 'waits';

/** Who gets mail with REQUIRETLS, if it offers to keep it. `passed over`, `refused`: it comes back. */
function required({ proven, policy, shown }: Cell): Fate {
  if (proven === 'look-up fails') return 'waits';
  if (proven === 'proven') return only(hasTlsa(shown));
  if (policy === 'enforce, other hosts') return 'passed over';
  if (policy === 'enforce') return only(hasPkix(shown) && (proven !== 'host proven, MX not' || hasTlsa(shown)));
  // Nothing proves whose host it is.
  if (proven === 'nothing' || proven === 'host proven, MX not') return 'passed over';
  return only(hasPkix(shown));
}

describe.each([
  ['keep', true],
  ['do not know', false],
])('what a message asks for, where hosts %s REQUIRETLS', (_, promises) => {
  let world: CellWorld;
  beforeAll(async () => {
    world = await startCells(promises);
  });
  afterAll(() => world.close());

  test.each([
    ['REQUIRETLS', REQUIRED],
    ['REQUIRETLS, and that TLS is optional', { ...REQUIRED, tlsOptional: true }],
  ])('%s', async (_, message) => {
    for (const cell of LOOKED_AT) {
      const { wire, outcome, isPromised } = await met(world, cell, message);
      const fate = required(cell);
      const about = JSON.stringify(cell);
      if (fate === 'waits') {
        expect([wire, outcome.kind], about).toEqual(['passed over', 'delayed']);
      } else if (fate === 'tls' && promises) {
        expect([wire, outcome.kind, isPromised, outcome.assurance], about).toEqual(['tls', 'relayed', true, 'required']);
      } else {
        expect([wire, outcome.kind], about).toEqual([fate === 'tls' ? 'refused' : fate, 'failed']);
        expect(outcome.reply.status, about).toBe(fate === 'tls' ? '5.7.30' : '5.7.10');
      }
    }
  });

  test('REQUIRETLS, of a report: it takes it along where it is kept, and goes as other mail elsewhere', async () => {
    for (const cell of LOOKED_AT) {
      const { wire, isPromised } = await met(world, cell, { ...REQUIRED, reversePath: '' });
      const about = JSON.stringify(cell);
      expect(wire, about).toBe(wanted(cell));
      expect(isPromised, about).toBe(promises && required(cell) === 'tls');
    }
  });

  test.each<readonly [string, DestinationRule['tls'], (cell: Cell) => Wire]>([
    ['nothing more', 'opportunistic', (cell) => wanted(withoutBoth(cell))],
    ['TLS', 'encrypt', (cell) => encrypted(wanted(withoutBoth(cell)))],
    ['a valid certificate', 'verify', (cell) => verified(withoutBoth(cell))],
    ['DANE', 'dane', ({ proven, shown }) => (proven === 'proven' ? only(hasTlsa(shown)) : 'passed over')],
  ])('that TLS is optional, where the operator asks for %s', async (_, tls, expected) => {
    world.relay.reload({ destinations: [{ domain: '*', ...(tls && { tls }) }] });
    for (const cell of LOOKED_AT) {
      const { wire, isPromised } = await met(world, cell, { tlsOptional: true });
      expect(wire, JSON.stringify(cell)).toBe(expected(cell));
      expect(isPromised, JSON.stringify(cell)).toBe(false);
    }
  });
});
