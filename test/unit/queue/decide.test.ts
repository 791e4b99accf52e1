import { describe, expect, test } from 'vitest';
import { type DecisionFacts, decide } from '../../../src/queue/decide.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { StoredRecipient } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';
import { delayed, failed, message, recipient, relayed, returned, SCHEDULE, uncertain } from '../../support/queue-rig.ts';

const T = 1_700_000_000_000;
const stored: StoredRecipient = {
  ...{ ...recipient('b@example.org'), n: 3, state: 'active', attempts: 0 },
  ...{ nextAttemptAt: null, lastReply: null, delayReported: false },
};

function facts(outcome: Outcome, rest: Partial<StoredRecipient> = {}, now = T): DecisionFacts {
  const about = message([], { acceptedAt: T });
  return { message: about, recipient: { ...stored, ...rest }, outcome, schedule: SCHEDULE, now, random: 0.5, failingFor: 0 };
}

describe('decide', () => {
  test('relayed ends the recipient without a report', () => {
    const { change, event, report } = decide(facts(relayed));
    expect(change).toMatchObject({ n: 3, state: 'relayed', lastReply: '250 2.0.0 Ok' });
    expect(change.attempt).toEqual({
      ...{ at: T, mx: 'mx.example.org', ip: '127.0.0.2', tls: null, outcome: 'relayed' },
      ...{ code: 250, status: '2.0.0', reply: '250 2.0.0 Ok', seconds: 0.01 },
    });
    expect([event, report]).toEqual(['relayed', undefined]);
  });

  test('relayed is reported if NOTIFY asks for it and the next server does not report (RFC 3461 §5.2.2)', () => {
    expect(decide(facts(relayed, { notify: ['SUCCESS'] })).report?.action).toBe('relayed');
    expect(decide(facts({ ...relayed, dsnPassedOn: true } as Outcome, { notify: ['SUCCESS'] })).report).toBeUndefined();
    expect(decide(facts(relayed, { notify: ['FAILURE'] })).report).toBeUndefined();
  });

  test('failed ends the recipient with a report', () => {
    const { change, report } = decide(facts(failed));
    expect(change).toMatchObject({ state: 'failed', lastReply: '550 5.1.1 No such user' });
    expect(report).toMatchObject({ action: 'failed', outcome: failed });
  });

  test('delayed waits as the schedule says and counts the attempt', () => {
    const { change, report } = decide(facts(delayed, { attempts: 1 }));
    expect(change).toMatchObject({
      state: 'delayed',
      nextAttemptAt: T + 15 * MINUTE,
      attempt: { outcome: 'delayed', code: 450 },
    });
    expect(report).toBeUndefined();
  });

  test('a destination in back-off is not tried before its end, nor later than the schedule ever waits', () => {
    const at = (notBefore: number) => decide(facts({ ...delayed, notBefore } as Outcome)).change.nextAttemptAt;
    expect(at(T + HOUR)).toBe(T + HOUR);
    expect(at(T + 9 * DAY)).toBeLessThan(T + 4.5 * HOUR);
  });

  test.each([
    [3.9 * HOUR, false, false],
    [4 * HOUR, false, true],
    [8 * HOUR, true, false],
  ])('at the age of %i ms, delay reported already %s: delay report %s', (age, delayReported, told) => {
    const { change, report } = decide(facts(delayed, { attempts: 5, delayReported }, T + age));
    expect(report?.action === 'delayed').toBe(told);
    expect(change.delayReported === true).toBe(told);
  });

  test('expires when the next attempt would come after the lifetime, and only after an attempt', () => {
    expect(decide(facts(delayed, { attempts: 30 }, T + 5 * DAY - 3 * HOUR))).toMatchObject({
      event: 'expired',
      change: { state: 'expired', attempt: { outcome: 'delayed' } },
      report: { action: 'expired' },
    });
    expect(decide(facts(delayed, { attempts: 30 }, T + 5 * DAY - 5 * HOUR)).event).toBe('delayed');
    expect(decide(facts(uncertain, {}, T + 40 * DAY)).event).toBe('expired');
    expect(decide(facts(returned, {}, T + 40 * DAY))).toMatchObject({ event: 'returned', change: { state: 'queued' } });
  });

  test('a relay that was stopped for days tries several times before mail expires', () => {
    for (let attempts = 0; attempts < 4; attempts++) {
      expect(decide(facts(delayed, { attempts }, T + 9 * DAY)).event).toBe('delayed');
    }
    expect(decide(facts(delayed, { attempts: 4 }, T + 9 * DAY)).event).toBe('expired');
    expect(decide({ ...facts(delayed, {}, T + 9 * DAY), failingFor: 3 * HOUR }).event).toBe('expired');
  });

  test('a lifetime that has no room for several attempts ends after those it has room for', () => {
    const short = {
      ...facts(delayed, { attempts: 1 }, T + HOUR),
      message: message([], { acceptedAt: T, expiresAt: T + 6 * MINUTE }),
    };
    expect(decide(short).event).toBe('expired');
  });

  test('mail that waits for the operator does not expire, and its sender is told that it waits', () => {
    const outcome = { ...delayed, waitsForUs: true } as Outcome;
    expect(decide(facts(outcome, { attempts: 50 }, T + 9 * DAY))).toMatchObject({
      event: 'delayed',
      change: { state: 'delayed' },
      report: { action: 'delayed' },
    });
  });

  test('attempts that failed because of us do not count', () => {
    const login = { ...delayed, waitsForUs: true } as Outcome;
    expect(decide(facts(login)).change).toMatchObject({ excused: true });
    expect(decide(facts(delayed)).change).not.toHaveProperty('excused');
    // The login is mended after nine days, and the destination greylists what comes.
    expect(decide(facts(delayed, { attempts: 50, excused: 50 }, T + 9 * DAY)).event).toBe('delayed');
    expect(decide(facts(delayed, { attempts: 54, excused: 50 }, T + 9 * DAY)).event).toBe('expired');
  });

  test('a lost final reply waits like a delay and keeps its name', () => {
    expect(decide(facts(uncertain)).change).toMatchObject({ state: 'uncertain', nextAttemptAt: T + 5 * MINUTE });
  });

  test('given back: the state stays, due at once or at the given time, no attempt counted', () => {
    expect(decide(facts(returned)).change).toEqual({ n: 3, state: 'queued', nextAttemptAt: T });
    const later = { ...returned, notBefore: T + MINUTE } as Outcome;
    expect(decide(facts(later, { attempts: 2 })).change).toEqual({ n: 3, state: 'delayed', nextAttemptAt: T + MINUTE });
  });

  test('a clock before the acceptance makes no negative pause', () => {
    const { change } = decide(facts(delayed, {}, T - 365 * DAY));
    expect(change.nextAttemptAt).toBe(T - 365 * DAY + 5 * MINUTE);
  });

  test('very long replies are cut', () => {
    const long = { ...failed, reply: { code: 550, status: '5.1.1', text: 'x'.repeat(100_000) } } as Outcome;
    expect(decide(facts(long)).change.lastReply!.length).toBeLessThan(1100);
  });
});

describe('mail for a provider that refuses our address', () => {
  const heldBy = { provider: 'yahoo', since: T };
  const reply = { code: 451, status: '4.7.1', text: 'Messages from 192.0.2.1 deferred' };
  const untried = (notBefore: number): Outcome => ({ kind: 'returned', reply, seconds: 0, heldBy, notBefore });

  test('is held for it, keeps its attempts, and comes again when the provider is asked again', () => {
    expect(decide(facts(untried(T + 3 * HOUR))).change).toEqual({
      ...{ n: 3, state: 'queued', nextAttemptAt: T + 3 * HOUR, lastReply: '451 4.7.1 Messages from 192.0.2.1 deferred' },
      heldBy: 'yahoo',
    });
    const refused = decide(facts({ kind: 'delayed', reply, seconds: 1, heldBy }));
    expect(refused.change).toMatchObject({
      state: 'delayed',
      heldBy: 'yahoo',
      excused: true,
      attempt: { reply: '451 4.7.1 Messages from 192.0.2.1 deferred' },
    });
  });

  test('is looked at when its sender must be warned, and is warned once, in the words of the provider', () => {
    expect(decide(facts(untried(T + 12 * HOUR))).change.nextAttemptAt).toBe(T + 4 * HOUR);
    const { report, change } = decide(facts(untried(T + 12 * HOUR), {}, T + 4 * HOUR));
    expect(change).toMatchObject({ delayReported: true, heldBy: 'yahoo' });
    expect(report?.outcome.reply.text).toBe(
      'Messages from 192.0.2.1 deferred (yahoo refuses the address of this relay. The cause is not this message.)',
    );
    expect(decide(facts(untried(T + 12 * HOUR), { delayReported: true }, T + 5 * HOUR)).report).toBeUndefined();
  });

  test('ends with its lifetime, unless this process knows of the block for a short time only', () => {
    const late = facts(untried(T + 6 * DAY), { delayReported: true }, T + 5 * DAY + MINUTE);
    expect(decide({ ...late, failingFor: 0 }).event).toBe('returned');
    const { event, report } = decide({ ...late, failingFor: DAY });
    expect(event).toBe('expired');
    expect(report?.outcome.reply.text).toContain('The cause is not this message');
  });
});
