/** What makes IPv6 no good at a provider, and for how long. */
import { expect, test } from 'vitest';
import { Ipv6Evidence } from '../../../../src/delivery/shaping/ipv6-evidence.ts';
import { DAY } from '../../../../src/system/clock.ts';

const NOW = 1_800_000_000_000;

test('two refusals make it no good for a day, then for a week and a month, and a delivery between them forgets the first', () => {
  const evidence = new Ipv6Evidence();
  expect(evidence.hear('refused', NOW)).toBe(false);
  expect(evidence.hear('fine', NOW)).toBe(false);
  expect(evidence.hear('refused', NOW)).toBe(false);
  let now = NOW;
  for (const days of [1, 7, 30, 30]) {
    while (!evidence.hear('refused', now));
    expect(evidence.isBad(now + days * DAY - 1)).toBe(true);
    expect(evidence.isBad(now + days * DAY)).toBe(false);
    now += days * DAY;
  }
});

test('three failed connections of the last ten make it no good', () => {
  const evidence = new Ipv6Evidence();
  for (let i = 0; i < 20; i++) expect(evidence.hear(i % 5 === 0 ? 'failed' : 'fine', NOW)).toBe(false);
  expect([evidence.hear('failed', NOW), evidence.hear('failed', NOW)]).toContain(true);
  expect(evidence.isBad(NOW)).toBe(true);
});

test('a restart keeps it, an operator ends it, and a clock that was wrong does not prolong it', () => {
  const evidence = new Ipv6Evidence();
  evidence.hear('refused', NOW);
  evidence.hear('refused', NOW);
  const later = new Ipv6Evidence();
  later.restore(evidence.stored);
  expect(later.isBad(NOW + 1)).toBe(true);
  expect(later.isBad(NOW - 60 * DAY)).toBe(false);
  later.forget();
  expect(later.isBad(NOW + 1)).toBe(false);
});
