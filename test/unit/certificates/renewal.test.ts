import { describe, expect, test } from 'vitest';
import {
  decideRenewal,
  endsSoon,
  nextRenewalAttempt,
  PAUSES,
  type RenewalFacts,
  recheckAfter,
} from '../../../src/certificates/renewal.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';

const ISSUED = Date.UTC(2026, 0, 1);
const facts = (lifetime: number, more: Partial<RenewalFacts> = {}): RenewalFacts => ({
  certificate: { notBefore: ISSUED, notAfter: ISSUED + lifetime, issuedAt: ISSUED },
  coversNames: true,
  sameDirectory: true,
  requested: false,
  spread: 0,
  ...more,
});

describe('without a suggestion of the authority', () => {
  test.each([6, 45, 64, 90, 160 / 24, 398])(
    'a certificate of %d days is renewed at two thirds of its lifetime, never later',
    (days) => {
      const [latest, earliest] = [0, 0.999_999].map((spread) => decideRenewal(facts(days * DAY, { spread }), ISSUED).at - ISSUED);
      expect(latest).toBeCloseTo((days * DAY * 2) / 3, -2);
      expect(earliest).toBeGreaterThan(days * DAY * 0.63);
      expect(earliest).toBeLessThan(latest!);
    },
  );

  test.each([
    ['none', { certificate: undefined }, /no authority has signed/],
    ['one without a wanted name', { coversNames: false }, /names have changed/],
    ['one of another directory', { sameDirectory: false }, /authority has changed/],
    ['one that the operator wants renewed', { requested: true }, /asked for/],
  ] as const)('%s is ordered now', (_, more, reason) => {
    expect(decideRenewal(facts(90 * DAY, more), ISSUED + DAY)).toEqual({
      at: ISSUED + DAY,
      reason: expect.stringMatching(reason),
    });
  });
});

describe('with a window that the authority suggests (RFC 9773 §4.2)', () => {
  const window = { start: ISSUED + 50 * DAY, end: ISSUED + 52 * DAY };

  test('the time lies in the window, spread over it', () => {
    for (const spread of [0, 0.25, 0.999])
      expect(decideRenewal(facts(90 * DAY, { window, spread }), ISSUED).at).toBe(Math.round(window.start + spread * 2 * DAY));
  });

  test('a window in the past means now, also long before two thirds, because authorities announce revocations in this way', () => {
    const past = { start: ISSUED - 2 * DAY, end: ISSUED - DAY };
    const decision = decideRenewal(facts(90 * DAY, { window: past }), ISSUED + 10 * DAY);
    expect(decision.at).toBeLessThanOrEqual(ISSUED + 10 * DAY);
  });

  test('a window that is always in the past does not cause endless orders', () => {
    const past = { start: ISSUED - 2 * DAY, end: ISSUED - DAY };
    expect(decideRenewal(facts(90 * DAY, { window: past }), ISSUED).at).toBe(ISSUED + 6 * HOUR);
  });

  test('a window after the end of the certificate is ignored', () => {
    const late = { start: ISSUED + 100 * DAY, end: ISSUED + 101 * DAY };
    expect(decideRenewal(facts(90 * DAY, { window: late }), ISSUED).at).toBe(ISSUED + 81 * DAY);
  });

  test('a window that ends before it starts is ignored', () => {
    const bad = { start: window.end, end: window.start };
    expect(decideRenewal(facts(90 * DAY, { window: bad }), ISSUED)).toMatchObject({ at: ISSUED + 60 * DAY });
  });

  test.each([
    [undefined, 6 * HOUR],
    [0, MINUTE],
    [HOUR, HOUR],
    [30 * DAY, DAY],
  ])('Retry-After %s asks again after %d ms', (given, expected) => {
    expect(recheckAfter(given)).toBe(expected);
  });
});

describe('after failures', () => {
  const now = ISSUED;
  test('the pauses grow and stay at half a day', () => {
    const waits = Array.from({ length: 12 }, (_, i) => nextRenewalAttempt({ failures: i + 1, random: 0 }, now) - now);
    expect(waits.slice(0, PAUSES.length)).toEqual(PAUSES);
    expect(waits.at(-1)).toBe(12 * HOUR);
  });

  test('the first hour has at most five attempts, which public authorities allow', () => {
    let at = now;
    let attempts = 1;
    for (let failures = 1; (at = nextRenewalAttempt({ failures, random: 0 }, at)) < now + HOUR; failures++) attempts++;
    expect(attempts).toBeLessThanOrEqual(5);
  });

  test('relays that failed together do not try again together', () => {
    expect(nextRenewalAttempt({ failures: 5, random: 0.999 }, now) - now).toBeGreaterThan(HOUR * 1.2);
  });

  test('a Retry-After of the authority is respected, but not for years', () => {
    expect(nextRenewalAttempt({ failures: 1, random: 0, retryAfter: now + 3 * DAY }, now)).toBe(now + 3 * DAY);
    expect(nextRenewalAttempt({ failures: 1, random: 0, retryAfter: now - DAY }, now)).toBe(now + MINUTE);
    expect(nextRenewalAttempt({ failures: 1, random: 0, retryAfter: now + 3650 * DAY }, now)).toBe(now + 7 * DAY);
  });
});

test.each([
  [90 * DAY, 15 * DAY, false],
  [90 * DAY, 13 * DAY, true],
  [6 * DAY, 2 * DAY, false],
  [6 * DAY, DAY, true],
  [6 * DAY, -DAY, true],
])('of %d ms with %d ms left: an alarm is %s', (lifetime, left, expected) => {
  expect(endsSoon({ notBefore: ISSUED, notAfter: ISSUED + lifetime }, ISSUED + lifetime - left)).toBe(expected);
});
