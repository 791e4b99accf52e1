import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AttemptPlace, allowed, capacity, HostSet, type PaceState, paced, START } from '../../../src/delivery/host-set.ts';
import type { PaceEffect } from '../../../src/delivery/verdict.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';

function after(effects: readonly PaceEffect[], { from = START, now = 0, max = 20 } = {}): PaceState {
  return effects.reduce((state, effect) => paced(state, effect, { now, max }), from);
}

test('a host set starts with two sessions and grows to the limit with clean deliveries', () => {
  expect(allowed(START, 0)).toBe(2);
  expect(allowed(after(['clean']), 0)).toBe(3);
  expect(allowed(after(Array(100).fill('clean')), 0)).toBe(20);
});

test('a failure halves the limit, rests the set for a minute, and then one attempt goes first', () => {
  const state = after(['block'], { from: { ...START, limit: 20 } });
  expect(state).toMatchObject({ limit: 10, failures: 1, blockedUntil: MINUTE });
  expect(allowed(state, MINUTE - 1)).toBe(0);
  expect(capacity(state, MINUTE - 1)).toBe(0);
  expect(allowed(state, MINUTE)).toBe(1);
  const again = after(['clean'], { from: state, now: MINUTE });
  expect(allowed(again, MINUTE)).toBe(11);
});

test('rests double to an hour', () => {
  let state = START;
  const rests: number[] = [];
  for (let i = 0; i < 9; i++) {
    const now = state.blockedUntil;
    state = paced(state, 'block', { now, max: 20 });
    rests.push((state.blockedUntil - now) / MINUTE);
  }
  expect(rests).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  expect(state.blockedUntil).toBeGreaterThan(HOUR);
});

test('sessions that fail together are one failure, and one that succeeds meanwhile does not end the rest', () => {
  const state = after(['block', 'block', 'block', 'clean'], { from: { ...START, limit: 20 } });
  expect(state).toMatchObject({ limit: 10, failures: 1, blockedUntil: MINUTE });
});

test('requests for less halve the limit, and five in a row cause a rest', () => {
  expect(after(['slow'], { from: { ...START, limit: 20 } })).toMatchObject({ limit: 10, blockedUntil: 0 });
  expect(after(['slow', 'slow', 'clean', 'slow', 'slow', 'slow', 'slow'])).toMatchObject({ blockedUntil: 0 });
  expect(after(['slow', 'slow', 'slow', 'slow', 'slow'])).toMatchObject({ blockedUntil: MINUTE, failures: 0 });
});

test('a host that answers the first attempt after a rest is used again, also if it refuses the recipient', () => {
  const state = after(['block']);
  expect(allowed(after(['alive'], { from: state, now: MINUTE }), MINUTE)).toBe(1);
  expect(after(['alive'], { from: state, now: MINUTE }).failures).toBe(0);
  expect(after(['none'], { from: state, now: MINUTE })).toBe(state);
});

test('the limit never leaves 1 to the configured concurrency', () => {
  expect(after(Array(50).fill('slow')).limit).toBe(1);
  expect(after(['clean', 'clean'], { max: 3 }).limit).toBe(3);
});

test('a rest ends if it is far in the future because the clock was set back', () => {
  const state = after(['block'], { from: { ...START, limit: 20 }, now: 365 * 24 * HOUR });
  expect(allowed(state, 0)).toBe(1);
  expect(capacity(state, 0)).toBeGreaterThan(0);
  expect(after(['clean'], { from: state })).toMatchObject({ failures: 0, blockedUntil: 0 });
  expect(after(['block'], { from: state })).toMatchObject({ failures: 2, blockedUntil: 2 * MINUTE });
});

function aSet({ max = 20 } = {}) {
  const clock = { now: 1_700_000_000_000 };
  const options = { max };
  const set = new HostSet('mx:a.test', START, { now: () => clock.now, max: () => options.max });
  const take = (sender = '') => set.take(sender) as AttemptPlace;
  return { set, clock, options, take };
}

describe('a session that began before a rest', () => {
  test('does not take the place of the first attempt after it', () => {
    const { set, clock, take } = aSet();
    const [hangs, hears421] = [take(), take()];
    set.leave(hears421, 'block');
    expect(set.take('')).toBeUndefined();
    clock.now += MINUTE;
    const first = take();
    expect(first).toBeDefined();
    set.leave(first, 'clean');
    expect(set.state).toMatchObject({ failures: 0 });
    set.leave(hangs, 'block');
    expect(set.resting).toBe(false);
    expect(set.take('')).toBeDefined();
  });

  test('does not rest the set again, end the rest, or count as a request for less, whenever it ends', () => {
    for (const effect of ['block', 'slow', 'clean', 'alive', 'none'] as const) {
      const { set, clock, take } = aSet();
      const [before, early, late] = [take(), take(), undefined];
      set.leave(early, 'block');
      const { state } = set;
      set.leave(before, effect);
      expect(set.state).toBe(state);
      clock.now += MINUTE;
      expect(set.take('') ?? late).toBeDefined();
    }
  });

  test('counts for the number that the operator has set', () => {
    const { set, clock, options, take } = aSet({ max: 5 });
    for (let i = 0; i < 10; i++) set.leave(take(), 'clean');
    const old = Array.from({ length: 5 }, () => take());
    expect(set.take('')).toBeUndefined();
    set.leave(old.pop()!, 'block');
    clock.now += MINUTE;
    set.leave(take(), 'clean');
    expect(set.take('')).toBeDefined();
    expect(set.take('')).toBeUndefined(); // four old ones and this
    options.max = 2;
    set.leave(old.pop()!, 'block');
    expect(set.take('')).toBeUndefined();
  });
});

describe('an attempt that the operator requests during a rest', () => {
  function resting() {
    const rig = aSet();
    rig.set.leave(rig.take(), 'block');
    rig.clock.now++;
    return rig;
  }

  test('is the only one, and ends the rest if the hosts answer', () => {
    for (const effect of ['clean', 'alive'] as const) {
      const { set, clock, take } = resting();
      expect(set.take('')).toBeUndefined();
      set.lift(clock.now);
      const asked = take();
      expect(set.take('')).toBeUndefined();
      set.leave(asked, effect);
      expect(set.resting).toBe(false);
      expect(set.state.failures).toBe(0);
    }
  });

  test('does not change the rest if the hosts do not answer, however often it is requested', () => {
    const { set, clock, take } = resting();
    const { state } = set;
    for (let i = 0; i < 20; i++) {
      set.lift(clock.now);
      set.leave(take(), i % 2 === 0 ? 'block' : 'none');
      expect(set.state).toBe(state);
      expect(set.take('')).toBeUndefined();
      clock.now++;
    }
    clock.now = state.blockedUntil;
    expect(set.take('')).toBeDefined();
  });

  test('is not repeated for a request that is older than it', () => {
    const { set, clock, take } = resting();
    const wishedAt = clock.now++;
    set.lift(wishedAt);
    set.leave(take(), 'block');
    set.lift(wishedAt);
    expect(set.take('')).toBeUndefined();
  });
});

describe('a sender that the hosts refuse', () => {
  test('rests alone, longer each time, until one of its deliveries succeeds', () => {
    const { set, clock, take } = aSet();
    const rests: number[] = [];
    for (let i = 0; i < 3; i++) {
      set.leave(take('bad@a.test'), 'sender');
      const until = set.senderBlockedUntil('bad@a.test')!;
      rests.push((until - clock.now) / MINUTE);
      expect(set.senderBlockedUntil('good@a.test')).toBeUndefined();
      expect(set.resting).toBe(false);
      clock.now = until;
    }
    expect(rests).toEqual([1, 2, 4]);
    set.leave(take('bad@a.test'), 'clean');
    set.leave(take('bad@a.test'), 'sender');
    expect(set.senderBlockedUntil('bad@a.test')).toBe(clock.now + MINUTE);
    expect(set.state.limit).toBe(3);
  });

  test('rests once for sessions that began together', () => {
    const { set, clock, take } = aSet();
    for (let i = 0; i < 5; i++) set.leave(take('other@a.test'), 'clean');
    const together = Array.from({ length: 6 }, () => take('bad@a.test'));
    for (const place of together) set.leave(place, 'sender');
    expect(set.senderBlockedUntil('bad@a.test')).toBe(clock.now + MINUTE);
    expect(set.resting).toBe(false);
  });

  test('waits in order with the others, and is given back alone', () => {
    const { set, take } = aSet();
    const [bad, good] = [take('bad@a.test'), take('good@a.test')];
    const told: string[] = [];
    for (const sender of ['bad@a.test', 'good@a.test', 'bad@a.test'])
      set.wait(sender, (place) => told.push(`${sender} ${place === undefined ? 'away' : 'goes'}`));
    set.leave(bad, 'sender');
    set.leave(good, 'none');
    set.advance();
    expect(told).toEqual(['bad@a.test away', 'good@a.test goes', 'bad@a.test away']);
  });

  test('is one of five refused senders that together rest the hosts', () => {
    const { set, take } = aSet();
    for (const name of ['a', 'b', 'c', 'd']) set.leave(take(name), 'sender');
    expect(set.resting).toBe(false);
    set.leave(take('e'), 'sender');
    expect(set.resting).toBe(true);
  });

  test('rests alone too if only this sender got five requests for less', () => {
    const { set, clock, take } = aSet();
    for (let i = 0; i < 5; i++) set.leave(take('bad@a.test'), 'slow');
    expect(set.resting).toBe(false);
    expect(set.senderBlockedUntil('bad@a.test')).toBe(clock.now + MINUTE);
    for (let i = 0; i < 5; i++) set.leave(take('another@a.test'), 'slow');
    expect(set.resting).toBe(true);
  });
});

/** Everything that happens to a host set, in any order, by a clock that is set back now and then. */
const happening = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: 'take' } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: 'wait' } as const) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('leave' as const),
      which: fc.nat(),
      effect: fc.constantFrom<PaceEffect>('clean', 'alive', 'slow', 'sender', 'block', 'none'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: -MINUTE, max: 2 * HOUR }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'settings' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'lift' } as const) },
);

test('in any order of events: never more than configured, none during a rest, and the first attempt after a rest is always possible', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 120 }), fc.integer({ min: 1, max: 8 }), (events, max) => {
      const { set, clock } = aSet({ max });
      const held: AttemptPlace[] = [];
      let era: AttemptPlace[] = [];
      const told: number[] = [];
      const got = (place: AttemptPlace) => {
        expect(set.resting).toBe(false);
        held.push(place);
        era.push(place);
      };
      for (const event of events) {
        if (event.kind === 'take') {
          const place = set.take('');
          if (place !== undefined) got(place);
        } else if (event.kind === 'wait') {
          const n = told.push(0) - 1;
          set.wait('', (place) => {
            told[n]!++;
            if (place !== undefined) got(place);
          });
        } else if (event.kind === 'leave' && held.length > 0) {
          const [place] = held.splice(event.which % held.length, 1);
          const known = era.includes(place!);
          era = era.filter((other) => other !== place);
          const before = set.state;
          set.leave(place!, event.effect);
          if (!known) expect(set.state).toBe(before);
          if (set.state.blockedUntil !== before.blockedUntil && set.resting) era = [];
        } else if (event.kind === 'lift') set.lift(clock.now);
        else if (event.kind === 'pass') clock.now += event.ms;
        else if (event.kind === 'settings') {
          set.beginEra();
          era = [];
        }
        set.advance();
        expect(held.length).toBeLessThanOrEqual(max);
        expect(set.room).toBeGreaterThanOrEqual(0);
        if (set.resting || era.length > 0 || held.length === max) continue;
        const first = set.take('');
        expect(first).toBeDefined();
        set.leave(first!, 'none');
      }
      set.sendAway();
      expect(told.every((times) => times === 1)).toBe(true);
      for (const place of held) set.leave(place, 'none');
      expect(set.idle).toBe(true);
    }),
    { numRuns: 500 },
  );
});
