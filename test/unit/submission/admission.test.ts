import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createAdmission } from '../../../src/submission/admission.ts';
import { createBruteForce } from '../../../src/submission/brute-force.ts';
import { fakeFailures } from '../../support/submission-rig.ts';

const socket = () => new EventEmitter();

describe('admission', () => {
  test('who finds no room waits in order for a place, and is refused in the end', async () => {
    const admission = createAdmission({ maxSessions: 10, maxSessionsPerAddress: 1 }, 50);
    expect(admission.enter('a', socket())).toBe(true);
    expect(admission.enter('b', socket())).toBe(true);
    const second = admission.enter('a', socket());
    admission.leave('a');
    expect(await second).toBe(true);
    expect(await admission.enter('a', socket())).toBe(false);
  });

  test('as many wait as may come in, for each client and in all', async () => {
    const admission = createAdmission({ maxSessions: 3, maxSessionsPerAddress: 2 }, 50);
    const entered = Array.from({ length: 6 }, () => admission.enter('a', socket()));
    expect(entered.slice(0, 2)).toEqual([true, true]);
    expect(entered.slice(4)).toEqual([false, false]);
    expect(admission.enter('b', socket())).toBe(true);
    const third = admission.enter('c', socket());
    expect(admission.enter('d', socket())).toBe(false);
    admission.leave('b');
    expect(await third).toBe(true); // the two of `a` have no place of their own
    expect(await Promise.all(entered.slice(2, 4))).toEqual([false, false]);
  });

  test('who leaves while waiting takes no place', async () => {
    const admission = createAdmission({ maxSessions: 1, maxSessionsPerAddress: 1 }, 10_000);
    admission.enter('a', socket());
    const gone = socket();
    const waiting = admission.enter('a', gone);
    gone.emit('close');
    expect(await waiting).toBe(false);
    admission.leave('a');
    expect(admission.enter('a', socket())).toBe(true);
  });

  test('a raised limit lets in who waits', async () => {
    const admission = createAdmission({ maxSessions: 1, maxSessionsPerAddress: 1 }, 10_000);
    admission.enter('a', socket());
    const waiting = admission.enter('b', socket());
    admission.reload({ maxSessions: 2, maxSessionsPerAddress: 1 });
    expect(await waiting).toBe(true);
  });
});

describe('failed logins', () => {
  const limits = { allow: ['10.0.0.0/8'], failuresPerMinute: 3, failuresPerDay: 5 };
  const create = (failures = fakeFailures(), now = () => 1_000_000) => createBruteForce({ auth: limits, failures, now });

  test('block the address, and an IPv6 /64 as one', async () => {
    const force = await create();
    for (let i = 0; i < 3; i++) {
      expect(force.isBlocked('192.0.2.1')).toBe(false);
      await force.recordFailure('192.0.2.1', `user ${i}`);
      await force.recordFailure(`2001:db8::${i}`, 'anna');
    }
    expect(force.isBlocked('192.0.2.1')).toBe(true);
    expect(force.isBlocked('2001:db8::ffff')).toBe(true);
    expect(force.isBlocked('192.0.2.2', 'user 0')).toBe(false); // never the user alone
  });

  test('are remembered over a restart, and end with their window', async () => {
    const failures = fakeFailures();
    let now = 1_000_000;
    const force = await create(failures, () => now);
    for (let i = 0; i < 3; i++) await force.recordFailure('192.0.2.1', 'anna');
    const restarted = await create(failures, () => now);
    expect(restarted.isBlocked('192.0.2.1')).toBe(true);
    now += 60_000;
    expect(restarted.isBlocked('192.0.2.1')).toBe(false);
    for (let i = 0; i < 2; i++) await restarted.recordFailure('192.0.2.1', 'anna');
    now += 60_000;
    expect(restarted.isBlocked('192.0.2.1')).toBe(true); // five in a day
  });

  test('of an allowed network do not count', async () => {
    const failures = fakeFailures();
    const force = await create(failures);
    for (let i = 0; i < 10; i++) await force.recordFailure('10.1.2.3', 'anna');
    expect(force.isBlocked('10.1.2.3', 'anna')).toBe(false);
    expect(failures.counts.size).toBe(0);
    force.reload({ ...limits, allow: [] });
    for (let i = 0; i < 3; i++) await force.recordFailure('10.1.2.3', 'anna');
    expect(force.isBlocked('10.1.2.3')).toBe(true);
  });
});
