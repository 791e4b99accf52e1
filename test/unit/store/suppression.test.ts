/** The states of an address that seems not to exist. */
import { describe, expect, test } from 'vitest';
import {
  type Suppression,
  type SuppressionEvidence,
  suppressionState,
  withHit,
  withoutUnsure,
} from '../../../src/store/suppression.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';

const AT = 1_800_000_000_000;
const hit = (after: number, change: Partial<SuppressionEvidence> = {}): SuppressionEvidence => ({
  ...{ at: AT + after, sure: false, own: false, address: 'a@x.example', provider: 'gmx', class: 'no-such-user', reply: '550 No' },
  ...change,
});
const knownAfter = (...hits: readonly SuppressionEvidence[]): Suppression =>
  hits.reduce<Suppression | undefined>((known, one) => withHit(known, one, 0), undefined)!;
const states = (...hits: readonly SuppressionEvidence[]) =>
  hits.map((one, i) => suppressionState(knownAfter(...hits.slice(0, i + 1)), one.at));

describe('two hits suppress', () => {
  test.each<[string, readonly SuppressionEvidence[], readonly string[]]>([
    ['not one', [hit(0)], ['suspected']],
    ['not two within twelve hours', [hit(0), hit(12 * HOUR - 1)], ['suspected', 'suspected']],
    ['two that are twelve hours apart', [hit(0), hit(12 * HOUR)], ['suspected', 'suppressed']],
    [
      'many in a day, when the last is far enough from the first',
      [hit(0), hit(HOUR), hit(13 * HOUR)],
      ['suspected', 'suspected', 'suppressed'],
    ],
    [
      'large providers in their own words, an hour apart',
      [hit(0, { own: true }), hit(HOUR, { own: true })],
      ['suspected', 'suppressed'],
    ],
    ['not less', [hit(0, { own: true }), hit(HOUR - 1, { own: true })], ['suspected', 'suspected']],
    ['not if only one of them is in own words', [hit(0), hit(HOUR, { own: true })], ['suspected', 'suspected']],
    ['not if the first one counts no more', [hit(0), hit(91 * DAY)], ['suspected', 'suspected']],
    ['not if the clock was set back', [hit(0), hit(-DAY)], ['suspected', 'suspected']],
  ])('%s', (_, hits, expected) => {
    expect(states(...hits)).toEqual(expected);
  });
});

test('it lasts 90 days; then one try is free, and one more hit suppresses again', () => {
  const known = knownAfter(hit(0), hit(12 * HOUR));
  const end = AT + 12 * HOUR + 90 * DAY;
  expect(suppressionState(known, end - 1)).toBe('suppressed');
  expect(suppressionState(known, end)).toBe('expired');
  const again = withHit(known, hit(12 * HOUR + 90 * DAY), 0);
  expect(suppressionState(again, end)).toBe('suppressed');
  expect(again.suppressedAt).toBe(end);
});

test('above 20 new ones of a provider in an hour it stays suspected, and the operator can see why', () => {
  const known = withHit(knownAfter(hit(0)), hit(13 * HOUR), 20);
  expect([suppressionState(known, AT + 13 * HOUR), known.isOverBound]).toEqual(['suspected', true]);
  const later = withHit(known, hit(14 * HOUR), 0);
  expect([suppressionState(later, AT + 14 * HOUR), later.isOverBound]).toEqual(['suppressed', false]);
});

test('mail that was on its way when it was suppressed changes the reply only', () => {
  const known = withHit(knownAfter(hit(0), hit(12 * HOUR)), hit(12 * HOUR + MINUTE, { reply: '550 Still not' }), 0);
  expect(known).toMatchObject({ suppressedAt: AT + 12 * HOUR, reply: '550 Still not' });
});

describe('when the provider turns out to refuse us', () => {
  test('hits of the last day that are not sure go, and the address is suspected or free again', () => {
    expect(withoutUnsure(knownAfter(hit(0)), AT - DAY)).toBeUndefined();
    const known = withoutUnsure(knownAfter(hit(-2 * DAY), hit(0)), AT - DAY)!;
    expect([suppressionState(known, AT), known.hits.length]).toEqual(['suspected', 1]);
    const sure = knownAfter(hit(-2 * DAY, { sure: true }), hit(0, { sure: true }));
    expect(withoutUnsure(sure, AT - DAY)).toBe(sure);
  });
});
