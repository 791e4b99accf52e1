/** The decision about a login: what stops it, what never does, and that a restart changes nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Baseline } from '../../../../src/policy/behaviour/baseline.ts';
import { KnownSet } from '../../../../src/policy/behaviour/known.ts';
import { type Facts, type Signal, type SignalName, signalsOf, verdictOf } from '../../../../src/policy/behaviour/signals.ts';
import { type BehaviourEvent, Subject } from '../../../../src/policy/behaviour/subject.ts';
import { DAY, HOUR, MINUTE } from '../../../../src/system/clock.ts';
import { DEFAULT_POINTS, DEFAULT_THRESHOLDS } from './defaults.ts';
import { Simulation, START } from './simulation.ts';

const TRAITS = { profile: 'app', bulk: false, trusted: false } as const;
const NORMAL = { traits: TRAITS, thresholds: DEFAULT_THRESHOLDS.app, points: DEFAULT_POINTS, share: 0 } as const;

describe('a stolen login', () => {
  test.each([
    ['with four weeks of use', () => new Simulation('app').office()],
    ['that was never used', () => new Simulation('app')],
  ])('%s, 2000 messages an hour to strangers, 30 %% unknown: is held before 300 messages have left', (_, begin) => {
    const s = begin();
    s.at += 10 * HOUR;
    s.sentBeforeHold = 0;
    s.burst(2000, 60, (n) => {
      const ends = n % 100 === 50 ? 'spam' : n % 10 < 3 ? 'unknown' : 'relayed';
      s.send({ to: [s.stranger(`d${n % 400}.example`)], ends });
    });
    expect(s.worst).toBe('hold');
    expect(s.sentBeforeHold).toBeLessThan(300);
  });

  test('at many sources at the same time, and refused as spam: its password is in wrong hands', () => {
    const s = new Simulation('app').office();
    s.burst(30, 5, (n) =>
      s.send({ source: `198.51.${n}.1`, to: [s.stranger(`d${n}.example`)], ends: n % 8 === 0 ? 'spam' : 'relayed' }),
    );
    expect(s.last).toMatchObject({ stage: 'hold', stolen: true });
  });
});

describe('one sender of a mail server', () => {
  test('with 18 % unknown recipients of 5000 is held', () => {
    const s = new Simulation('server').office();
    s.burst(5000, 60, (n) => s.send({ to: [s.stranger()], ends: n % 50 < 9 ? 'unknown' : 'relayed' }));
    expect(s.worst).toBe('hold');
  });

  test('is not held for signals of the login alone', () => {
    const s = new Simulation('server').office();
    s.ofLogin = [signal('parallelSources', 3), signal('newAuthors', 2), signal('newNetworks', 2)];
    s.burst(20, 60, () => s.send());
    expect(s.worst).toBe('none');
    for (let n = 0; n < 3; n++) s.note({ kind: 'ended', as: 'spam', receiver: `d${n}.example` });
    expect(s.last).toMatchObject({ stage: 'hold', score: 10 });
  });
});

test('Ten thousand ends that are temporary, about full boxes or about our address have no points', () => {
  const s = new Simulation('app').program();
  s.burst(10_000, 600, (n) => s.send({ ends: n % 2 === 0 ? 'none' : 'other' }));
  expect(s.worst).toBe('none');
});

test('Before seven days of use nothing is unusual, and then it is', () => {
  const run = (days: number) => {
    const s = new Simulation('app');
    s.days(days, [9, 10], 5, () => s.send(), true);
    s.at += 9 * HOUR;
    s.burst(500, 60, () => s.send({ to: [s.stranger()] }));
    return s;
  };
  expect(run(6).last?.signals).toEqual([]);
  expect(run(7).last?.signals.map(({ name }) => name)).toEqual(['newRecipients', 'messages']);
  expect(run(7).worst).toBe('slow');
});

test('The usual of weekdays and weekends are apart', () => {
  const s = new Simulation('app');
  s.days(28, [9, 10, 11], 100, () => s.send());
  const monday = s.subject.baseline(s.at + 9 * HOUR);
  expect(monday?.messages).toEqual({ median: 100, n95: 100 });
  expect(monday?.knowsHour).toBe(true);
  expect(s.subject.baseline(s.at + 3 * HOUR)?.knowsHour).toBe(false);
  s.at = START;
  const both = new Simulation('app');
  both.days(28, [9, 10, 11], 100, () => both.send());
  both.at -= 28 * DAY;
  both.days(28, [8, 9], 3, () => weekendOnly(both), true);
  expect(both.subject.baseline(both.at - DAY + 9 * HOUR)?.messages.n95).toBe(3);
});

function weekendOnly(s: Simulation): void {
  const day = (Math.floor(s.at / DAY) + 4) % 7;
  if (day === 0 || day === 6) s.send();
}

test('A declared bulk sender is not held for an hour that would hold another program', () => {
  const run = (bulk: boolean) => {
    const s = new Simulation('app', { bulk }).program();
    s.burst(3000, 60, (n) => s.send({ to: [s.stranger()], ends: n % 25 === 0 ? 'unknown' : 'relayed' }));
    return s.worst;
  };
  expect(run(true)).toBe('none');
  expect(run(false)).toBe('hold');
});

describe('of any signals', () => {
  const names = Object.keys(DEFAULT_THRESHOLDS.app).filter((name) =>
    ['attempts', 'unknownShareDouble', 'unknownCountShare', 'spamShare', 'blockedShare'].every((other) => other !== name),
  ) as SignalName[];
  const points: Partial<Record<SignalName, number>> = { unknownCount: 3, spamRefusals: 3, countries: 3, parallelSources: 3 };
  const some = fc
    .uniqueArray(fc.constantFrom(...names), { maxLength: names.length })
    .map((chosen) => chosen.map((name) => signal(name, points[name] ?? 2)));

  test('the score is their sum, and a higher stage needs more points', () => {
    fc.assert(
      fc.property(some, (signals) => {
        const { score, stage } = verdictOf(signals, DEFAULT_POINTS);
        expect(score).toBe(signals.reduce((sum, one) => sum + one.points, 0));
        if (stage !== 'none') expect(score).toBeGreaterThanOrEqual(DEFAULT_POINTS[stage]);
        if (score < DEFAULT_POINTS.notice) expect(stage).toBe('none');
      }),
    );
  });

  test('one alone never slows or holds, unless it counts twice', () => {
    for (const name of names) expect(['none', 'notice']).toContain(verdictOf([signal(name, 3)], DEFAULT_POINTS).stage);
    expect(verdictOf([signal('unknownShare', 4)], DEFAULT_POINTS).stage).toBe('slow');
  });

  test('unusual hours, networks and countries never slow or hold, whatever their points', () => {
    const weak = [signal('unusualHour', 100), signal('newNetworks', 100), signal('countries', 100)];
    expect(verdictOf(weak, DEFAULT_POINTS).stage).toBe('notice');
  });
});

describe('of any hour', () => {
  const number = fc.integer({ min: 0, max: 5000 });
  const sums = fc
    .record({
      ...{ attempts: number, unknown: number, spam: number, messages: number, newRecipients: number, newAuthors: number },
      ...{ complaints: number, spamReceivers: number, sources: number, newNetworks: number, blocks: number, recipients: number },
      ...{ countries: number, share: fc.integer({ min: 0, max: 100 }) },
    })
    .map((all) => ({ ...all, unknown: Math.min(all.unknown, all.attempts) }));
  const usual = fc.record({ median: number, n95: number });
  const baseline: fc.Arbitrary<Baseline | undefined> = fc.option(
    fc.record({ messages: usual, newRecipients: usual, sources: usual, knowsHour: fc.boolean() }),
    { nil: undefined },
  );
  const profile = fc.constantFrom('app', 'person', 'server');
  const score = (facts: Facts) => verdictOf(signalsOf(facts), DEFAULT_POINTS).score;

  test('trust never adds points, and each signal has a value that reached its limit', () => {
    fc.assert(
      fc.property(sums, baseline, profile, fc.boolean(), (hour, habit, kind, bulk) => {
        const thresholds = DEFAULT_THRESHOLDS[kind];
        const facts = (trusted: boolean): Facts => ({
          ...{ sums: hour, baseline: habit, thresholds, traits: { profile: kind, bulk, trusted } },
        });
        expect(score(facts(true))).toBeLessThanOrEqual(score(facts(false)));
        const signals = signalsOf(facts(false));
        for (const { value, limit } of signals) expect(value).toBeGreaterThanOrEqual(limit);
        expect(new Set(signals.map(({ name }) => name)).size).toBe(signals.length);
      }),
    );
  });

  test('a threshold of 0 turns its signal off', () => {
    fc.assert(
      fc.property(sums, baseline, profile, (hour, habit, kind) => {
        const off = Object.fromEntries(Object.keys(DEFAULT_THRESHOLDS.app).map((name) => [name, 0])) as Facts['thresholds'];
        expect(signalsOf({ sums: hour, baseline: habit, thresholds: off, traits: { ...TRAITS, profile: kind } })).toEqual([]);
      }),
    );
  });
});

describe('any history', () => {
  const source = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((ip) => !ip.includes('%')),
  );
  const event: fc.Arbitrary<BehaviourEvent> = fc.oneof(
    fc.record({
      kind: fc.constant('accepted' as const),
      source,
      authors: fc.array(fc.emailAddress(), { maxLength: 2 }),
      recipients: fc.array(fc.string(), { maxLength: 20 }),
      automatic: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('login' as const), source, country: fc.constantFrom('DE', 'FR', 'US', 'BR') }),
    fc.record({
      kind: fc.constant('ended' as const),
      as: fc.constantFrom('relayed', 'unknown', 'spam', 'other'),
      receiver: fc.domain(),
      automatic: fc.boolean(),
    }),
    fc.constant({ kind: 'complaint' as const }),
    fc.record({ kind: fc.constant('blocked' as const), provider: fc.string() }),
  );
  const steps = fc.array(fc.tuple(event, fc.integer({ min: -2 * DAY, max: 2 * DAY })), { maxLength: 200 });

  test('is the same after a restart, with clocks that jump', () => {
    fc.assert(
      fc.property(steps, (history) => {
        let at = START;
        const before = new Subject();
        for (const [one, pause] of history) before.note(one, (at += Math.trunc(pause / 10)));
        const after = new Subject();
        after.merge(before.toJson(), at);
        expect(after.judge(at, NORMAL)).toEqual(before.judge(at, NORMAL));
        expect(after.baseline(at)).toEqual(before.baseline(at));
      }),
      { numRuns: 60 },
    );
  });

  test('takes bounded memory', () => {
    const subject = new Subject();
    let at = START;
    for (let n = 0; n < 60_000; n++) {
      at += MINUTE;
      const recipients = [`r${n}@example.net`, `s${n}@example.net`];
      subject.note(
        { kind: 'accepted', source: `${n % 250}.${n % 199}.1.${n % 251}`, authors: [`a${n}@example.org`], recipients },
        at,
      );
      subject.note({ kind: 'ended', as: 'spam', receiver: `d${n}.example` }, at);
      subject.note({ kind: 'blocked', provider: `p${n}` }, at);
    }
    expect(subject.toJson().length).toBeLessThan(250_000);
  });

  test('that cannot be read is ignored', () => {
    for (const text of ['', '{', 'null', '{"version":2}', '[]']) {
      const subject = new Subject();
      subject.merge(text, START);
      expect(subject.judge(START, NORMAL).stage).toBe('none');
    }
  });
});

test('Of the addresses that were seen none counts as new, and of others few count as seen', () => {
  const known = new KnownSet();
  const again = new KnownSet();
  for (let n = 0; n < 20_000; n++) known.add(`seen${n}@example.net`);
  again.merge(known.toJson());
  let wrong = 0;
  for (let n = 0; n < 20_000; n++) if (again.add(`seen${n}@example.net`)) wrong++;
  expect(wrong).toBe(0);
  let missed = 0;
  for (let n = 0; n < 10_000; n++) if (!known.add(`other${n}@example.net`)) missed++;
  expect(missed).toBeLessThan(1000);
});

function signal(name: SignalName, points: number): Signal {
  return { name, points, value: 1, limit: 1 };
}
