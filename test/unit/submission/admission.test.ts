import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { type Admitted, createAdmission, createKnownClients } from '../../../src/submission/admission.ts';
import { createBruteForce } from '../../../src/submission/brute-force.ts';
import { createGuard } from '../../../src/submission/guard.ts';
import { failureDelay } from '../../../src/submission/login.ts';
import { createLog } from '../../../src/system/log.ts';
import { fakeFailures, LIMITS } from '../../support/submission-rig.ts';

const socket = () => new EventEmitter();

const limitsOf = (maxSessions: number, maxSessionsPerAddress: number) => ({ maxSessions, maxSessionsPerAddress });
const placed = (result: unknown) => result as Admitted;

describe('admission', () => {
  test('who finds no room waits in order for a place, and is refused in the end', async () => {
    const admission = createAdmission(limitsOf(10, 1), 50);
    const first = placed(admission.enter('a', socket()));
    expect(admission.enter('b', socket())).toBeTypeOf('object');
    const second = admission.enter('a', socket());
    first.leave();
    expect(await second).toBeTypeOf('object');
    expect(await admission.enter('a', socket())).toBe(false);
  });

  test('as many wait as may come in, for each client and in all', async () => {
    const admission = createAdmission(limitsOf(3, 2), 50);
    const entered = Array.from({ length: 6 }, () => admission.enter('a', socket()));
    expect(entered.slice(0, 2).map((one) => typeof one)).toEqual(['object', 'object']);
    expect(entered.slice(4)).toEqual([false, false]);
    const b = placed(admission.enter('b', socket()));
    const third = admission.enter('c', socket());
    expect(admission.enter('d', socket())).toBe(false);
    b.leave();
    expect(await third).toBeTypeOf('object'); // the two of `a` have no place of their own
    expect(await Promise.all(entered.slice(2, 4))).toEqual([false, false]);
  });

  test('who leaves while waiting takes no place', async () => {
    const admission = createAdmission(limitsOf(1, 1), 10_000);
    const inside = placed(admission.enter('a', socket()));
    const gone = socket();
    const waiting = admission.enter('a', gone);
    gone.emit('close');
    expect(await waiting).toBe(false);
    inside.leave();
    expect(admission.enter('a', socket())).toBeTypeOf('object');
  });

  test('a raised limit lets in who waits', async () => {
    const admission = createAdmission(limitsOf(1, 1), 10_000);
    admission.enter('a', socket());
    const waiting = admission.enter('b', socket());
    admission.reload(limitsOf(2, 1));
    expect(await waiting).toBeTypeOf('object');
  });

  test('strangers take four fifths of the places, the rest is for clients that have logged in', async () => {
    const admission = createAdmission(limitsOf(100, 100), 50);
    const friend = placed(admission.enter('friend', socket()));
    friend.loggedIn();
    for (let i = 0; i < 80; i++) expect(admission.enter(`stranger ${i}`, socket())).toBeTypeOf('object');
    expect(admission.crowded).toBe(true);
    expect(await admission.enter('stranger 80', socket())).toBe(false);
    for (let i = 0; i < 19; i++) expect(admission.enter('friend', socket())).toBeTypeOf('object');
    expect(await admission.enter('friend', socket())).toBe(false); // a hundred are in
  });

  test('a login makes room for the next stranger', async () => {
    const admission = createAdmission(limitsOf(100, 100), 10_000);
    const places = Array.from({ length: 80 }, (_, i) => placed(admission.enter(`c${i}`, socket())));
    const waiting = admission.enter('d', socket());
    places[0]!.loggedIn();
    const last = await waiting;
    expect(last).toBeTypeOf('object');
    for (const place of [...places, placed(last)]) place.leave();
    expect(admission.crowded).toBe(false);
    for (let i = 0; i < 80; i++) expect(admission.enter(`e${i}`, socket())).toBeTypeOf('object');
  });

  test('where places are few none is kept back', () => {
    const admission = createAdmission(limitsOf(10, 10), 50);
    for (let i = 0; i < 10; i++) expect(admission.enter('a', socket())).toBeTypeOf('object');
  });
});

describe('failed logins', () => {
  test('are answered later and later, and ten in a row fit into a minute', () => {
    const delays = Array.from({ length: 12 }, (_, i) => failureDelay(1000, i + 1));
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
    expect([delays[0], delays[3], delays[11]]).toEqual([1000, 2000, 3000]);
    expect(delays.slice(0, 10).reduce((sum, ms) => sum + ms)).toBeLessThan(30_000);
    expect(failureDelay(1000, 0)).toBe(1000); // not counted: an allowed network
  });

  const limits = { allow: ['10.0.0.0/8'], failuresPerMinute: 3, failuresPerDay: 5, failureDelay: 0 };
  const known = createKnownClients();
  const create = (failures = fakeFailures(), now = () => 1_000_000, auth = limits) =>
    createBruteForce({ auth, failures, now, known });

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

  test('at the console never block mail, and those by mail block the console; this machine is only slowed there', async () => {
    const failures = fakeFailures();
    const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
    const guard = await createGuard({
      ...{ auth: { ...limits, failureDelay: 1000 }, limits: LIMITS, failures, log },
      credentials: { verify: async () => ({ result: 'wrong' }), current: () => undefined, renewed: async () => undefined },
      now: () => 1_000_000,
      monotonic: () => 0,
    });
    const caller = { ip: '192.0.2.1', client: '192.0.2.1' };
    const waits = [];
    for (let i = 0; i < 4; i++) waits.push(await guard.console.recordFailure(caller.ip, `guess ${i}`));
    expect(waits).toEqual([1000, 1000, 1000, 2000]);
    expect(guard.console.isBlocked(caller.ip)).toBe(true);
    expect(await guard.verify({ name: 'shop', password: 'x' }, caller)).toEqual({ result: 'wrong' });
    expect(guard.admit(caller, new EventEmitter())).not.toBe('blocked');
    for (let i = 0; i < 3; i++) await guard.recordFailure('192.0.2.9', 'shop');
    expect(guard.console.isBlocked('192.0.2.9')).toBe(true);
    for (let i = 0; i < 9; i++) await guard.console.recordFailure('127.0.0.1', 'anna');
    expect(guard.console.isBlocked('127.0.0.1', 'anna')).toBe(false);
    const restarted = await createBruteForce({ auth: limits, failures, now: () => 1_000_000, known });
    expect([restarted.isBlocked(caller.ip, undefined, 'web'), restarted.isBlocked(caller.ip)]).toEqual([true, false]);
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
    expect([...failures.counts.keys()].join(' ')).not.toContain('anna'); // people type their password there
  });

  test('count at once and over a failing store, which gets the whole count when it works again', async () => {
    const failures = fakeFailures();
    const keep = failures.putFailures;
    failures.putFailures = () => Promise.reject(new Error('disk'));
    const force = await create(failures);
    const fail = () => force.recordFailure('192.0.2.1', 'anna');
    const counted = [fail(), fail(), fail()];
    expect(force.isBlocked('192.0.2.1')).toBe(true);
    expect(counted.map(({ inMinute }) => inMinute)).toEqual([1, 2, 3]);
    await Promise.all(counted.map(({ kept }) => expect(kept).rejects.toThrow('disk')));
    failures.putFailures = keep;
    await fail().kept;
    expect(failures.counts.get('192.0.2.1')).toMatchObject({ inMinute: 4, inDay: 4 });
  });

  test('a window begins with its first failure, and a clock that is set back does not keep it', async () => {
    let now = 1_000_000;
    const failures = fakeFailures();
    const force = await create(failures, () => now);
    const counts = () => {
      force.recordFailure('192.0.2.1', 'anna');
      const { inMinute, inDay } = failures.counts.get('192.0.2.1')!;
      return [inMinute, inDay];
    };
    expect(counts()).toEqual([1, 1]);
    now += 59_999;
    expect(counts()).toEqual([2, 2]);
    now += 1;
    expect(counts()).toEqual([1, 3]);
    now -= 10 * 86_400_000;
    expect(counts()).toEqual([1, 1]);
  });

  test('of ever new addresses block the /56 and the /48 around them, but no client in it that has logged in', async () => {
    const auth = { ...limits, failuresPerDay: 1000 };
    const force = await create(fakeFailures(), undefined, auth);
    const friend = '2001:db8:0:1ff::1';
    known.add('2001:db8:0:1ff::/64');
    for (let i = 0; i < 12; i++) {
      expect(force.isBlocked('2001:db8:0:1fe::1')).toBe(false);
      force.recordFailure(`2001:db8:0:1${i.toString(16).padStart(2, '0')}::1`, 'anna');
    }
    expect([force.isBlocked('2001:db8:0:1fe::1'), force.isBlocked('2001:db8:0:2fe::1')]).toEqual([true, false]);
    for (let i = 0; i < 36; i++) force.recordFailure(`2001:db8:0:${(i + 3).toString(16)}00::1`, 'anna');
    expect([force.isBlocked('2001:db8:0:2fe::1'), force.isBlocked('2001:db8:1::1')]).toEqual([true, false]);
    expect(force.isBlocked(friend)).toBe(false);
    for (let i = 0; i < 3; i++) force.recordFailure(friend, 'anna');
    expect(force.isBlocked(friend)).toBe(true);
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
