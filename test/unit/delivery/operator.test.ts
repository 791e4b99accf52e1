/** Which entry of `destinations` holds for a host, what it makes of the defaults, and how an exception ends. */
import { describe, expect, test } from 'vitest';
import { createOperatorPolicies, exceptionsOf, type OperatorSettings } from '../../../src/delivery/operator.ts';
import type { DestinationRule } from '../../../src/smtp/route.ts';
import { inEnglish } from '../../../src/system/phrase.ts';

const END = Date.UTC(2026, 11, 31);
const holds = (destinations: readonly DestinationRule[], settings: Partial<OperatorSettings> = {}) =>
  createOperatorPolicies({ destinations, tls: 'opportunistic', dane: 'on', mtaSts: 'on', now: () => END - 1, ...settings });

describe('the first entry that matches holds', () => {
  const rules: readonly DestinationRule[] = [
    { domain: 'a.test', mx: '.big.test', tls: 'verify' },
    { domain: 'a.test', tls: 'encrypt' },
    { domain: '.b.test', tls: 'none' },
    { mx: 'mx.big.test', tls: 'dane' },
    { domain: 'b.test', tls: 'verify', names: ['*.big.test'] },
  ];
  test.each([
    ['a.test', 'mx.big.test', 'verify'],
    ['a.test', 'mx.small.test', 'encrypt'],
    ['sub.a.test', 'mx.small.test', 'opportunistic'],
    ['x.b.test', 'mx.small.test', 'none'],
    ['x.b.test', 'mx.big.test', 'none'],
    ['b.test', 'mx.big.test', 'dane'],
    ['b.test', 'mx2.big.test', 'verify'],
    ['c.test', 'mx.big.test', 'dane'],
    ['c.test', 'mx.small.test', 'opportunistic'],
  ])('%s at %s: %s', (domain, mx, level) => {
    expect(holds(rules)(domain).forHost(mx).level).toBe(level);
  });
  test('without any entry the defaults hold, and without a level of its own the default level', () => {
    expect(holds([])('a.test').forHost('mx.a.test')).toEqual({ level: 'opportunistic', modes: { dane: 'on', mtaSts: 'on' } });
    expect(holds([{ domain: '*', audit: true }], { tls: 'encrypt' })('a.test').forHost('mx.a.test').level).toBe('encrypt');
  });
});

describe('policies that an entry leaves out', () => {
  const modes = (rule: Partial<DestinationRule>, settings: Partial<OperatorSettings> = {}) =>
    holds([{ domain: 'a.test', ...rule }], settings)('a.test').forHost('mx.a.test').modes;
  test('are not asked for, or only evaluated, and never more than by default', () => {
    expect(modes({ ignore: ['dane'], until: END })).toEqual({ dane: 'off', mtaSts: 'on' });
    expect(modes({ ignore: ['dane', 'mtaSts'], until: END })).toEqual({ dane: 'off', mtaSts: 'off' });
    expect(modes({ audit: true })).toEqual({ dane: 'audit', mtaSts: 'audit' });
    expect(modes({ audit: true, ignore: ['mtaSts'], until: END })).toEqual({ dane: 'audit', mtaSts: 'off' });
    expect(modes({ audit: true }, { dane: 'off', mtaSts: 'audit' })).toEqual({ dane: 'off', mtaSts: 'audit' });
  });
  test('cost no look-up of a policy where no host of the domain could use it', () => {
    const wants = (rules: readonly DestinationRule[], domain = 'a.test') => holds(rules)(domain).wantsSts;
    expect(wants([])).toBe(true);
    expect(wants([{ mx: 'mx.a.test', ignore: ['mtaSts'], until: END }])).toBe(true);
    expect(wants([{ domain: '*', ignore: ['mtaSts'], until: END }])).toBe(false);
    expect(wants([{ domain: 'a.test', tls: 'none' }])).toBe(false);
    expect(wants([{ domain: 'a.test', tls: 'none' }], 'b.test')).toBe(true);
  });
});

describe('after its day', () => {
  const after = { now: () => END };
  const rule: DestinationRule = { domain: 'a.test', ignore: ['dane'], until: END };
  test('an exception ends by itself, and the next entry counts', () => {
    const rules: readonly DestinationRule[] = [rule, { domain: '*', tls: 'verify' }];
    expect(holds(rules)('a.test').forHost('mx.a.test')).toMatchObject({ level: 'opportunistic', modes: { dane: 'off' } });
    expect(holds(rules, after)('a.test').forHost('mx.a.test')).toMatchObject({ level: 'verify', modes: { dane: 'on' } });
  });
  test('what an entry demands stays', () => {
    const one: DestinationRule = { ...rule, tls: 'verify', names: ['x.test'] };
    expect(holds([one], after)('a.test').forHost('mx.a.test')).toMatchObject({
      ...{ level: 'verify', names: ['x.test'], modes: { dane: 'on' } },
    });
  });
  test('a lower level ends too', () => {
    expect(holds([{ domain: 'a.test', tls: 'none', until: END }], after)('a.test').forHost('mx').level).toBe('opportunistic');
  });
});

test('exceptions are named with what they take away, also those that are over or never end', () => {
  const rules: readonly DestinationRule[] = [
    { domain: 'a.test', ignore: ['dane', 'mtaSts'], until: END },
    { domain: '.b.test', mx: 'mx.test', audit: true, until: END + 1 },
    { mx: 'mx.test', tls: 'none' },
    { domain: 'd.test', requireTls: 'off' },
    { domain: 'e.test', requireTls: 'enforce' },
    { domain: 'c.test', tls: 'verify' },
  ];
  const told = exceptionsOf(rules, 'opportunistic', END).map((one) => ({ ...one, what: inEnglish(one.what) }));
  expect(told).toEqual([
    { subject: 'domain: a.test', what: 'DANE is ignored, MTA-STS is ignored', until: END, isOver: true },
    { subject: 'domain: .b.test, mx: mx.test', what: 'policies are only evaluated', until: END + 1, isOver: false },
    { subject: 'mx: mx.test', what: 'TLS is none instead of opportunistic', until: undefined, isOver: false },
    { subject: 'domain: d.test', what: 'REQUIRETLS is off', until: undefined, isOver: false },
  ]);
});
