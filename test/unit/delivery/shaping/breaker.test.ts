/** The states of a provider, by a clock of the test. */
import { describe, expect, test } from 'vitest';
import {
  allowanceOf,
  type BreakerEvent,
  type BreakerState,
  blockedByOperator,
  breakerAfter,
  breakerAt,
  freshRecovery,
  openState,
  probing,
  type Recovery,
  storedProbe,
} from '../../../../src/delivery/shaping/breaker.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../../src/system/clock.ts';

const limits = { sessions: 5, perMinute: 60, firstRest: 10 * MINUTE };
const START = 1_800_000_000_000;

/** A provider, and the time. */
class Bench {
  now = START;
  state: BreakerState = openState(limits, START);
  recovery: Recovery = freshRecovery(START);

  /** @param began ms ago. */
  hear(event: BreakerEvent | BreakerEvent['kind'], { began = 0, probe = false } = {}): BreakerState {
    const told = typeof event === 'string' ? ({ kind: event } as BreakerEvent) : event;
    const facts = { now: this.now, limits, beganAt: this.now - began, probe };
    ({ state: this.state, recovery: this.recovery } = breakerAfter(this.state, this.recovery, told, facts));
    return this.state;
  }

  wait(time: number): this {
    this.now += time;
    this.state = breakerAt(this.state, this.now, limits);
    return this;
  }

  get may() {
    return allowanceOf(this.state, this.now, limits);
  }

  /** Waits for the next probe and sends it. */
  probe(event: BreakerEvent['kind']): BreakerState {
    this.wait(this.state.until - this.now);
    expect(this.may).toMatchObject({ sessions: 0, probe: true });
    this.state = probing(this.state, this.now);
    expect(this.may).toMatchObject({ sessions: 0, probe: false });
    return this.wait(SECOND).hear(event, { probe: true });
  }
}

describe('a provider that asks for less', () => {
  test('gets nothing for ten minutes, then one session; again within two hours the rest doubles, to four hours', () => {
    const bench = new Bench();
    for (const minutes of [10, 20, 40, 80, 160, 240, 240]) {
      expect(bench.hear('throttle').kind).toBe('slow');
      expect(bench.may.sessions).toBe(0);
      expect(bench.wait(minutes * MINUTE - SECOND).may.sessions).toBe(0);
      expect(bench.wait(2 * SECOND).may.sessions).toBe(1);
      bench.wait(HOUR);
    }
    bench.wait(2 * HOUR);
    bench.hear('throttle');
    expect(bench.state.until - bench.now).toBe(10 * MINUTE);
  });

  test('five sessions that are told so together are one request', () => {
    const bench = new Bench();
    const first = bench.hear('throttle', { began: SECOND });
    for (let i = 0; i < 4; i++) bench.wait(SECOND).hear('throttle', { began: 3 * SECOND });
    expect(bench.state).toBe(first);
    bench.wait(11 * MINUTE).hear('throttle', { began: 12 * MINUTE });
    expect(bench.state, 'an attempt from before the rest').toBe(first);
  });

  test('recovers by one session for each five minutes with five clean deliveries, and wholly after six clean hours', () => {
    const bench = new Bench();
    bench.hear('throttle');
    bench.wait(10 * MINUTE);
    expect(bench.may).toEqual({ sessions: 1, rate: 30, probe: false });
    for (let i = 0; i < 6; i++) bench.wait(MINUTE).hear('clean');
    expect(bench.may).toEqual({ sessions: 2, rate: 45, probe: false });
    for (let i = 0; i < 3; i++) bench.wait(2 * MINUTE).hear('clean');
    expect(bench.may.sessions, 'three deliveries are too few').toBe(2);
    for (let i = 0; i < 30; i++) bench.wait(MINUTE).hear('clean');
    expect(bench.may).toEqual({ sessions: 5, rate: 60, probe: false });
    const other = new Bench();
    other.hear('throttle');
    other.wait(10 * MINUTE + 6 * HOUR);
    expect(other.state.kind).toBe('open');
    expect(other.may).toEqual({ sessions: 5, rate: 60, probe: false });
  });

  test('a time that the provider gives is kept as it is: two hours, four hours', () => {
    for (const rest of [2 * HOUR, 4 * HOUR]) {
      const bench = new Bench();
      expect(bench.hear({ kind: 'throttle', rest }).kind).toBe('resting');
      expect(bench.wait(rest - SECOND).may.sessions).toBe(0);
      expect(bench.wait(2 * SECOND).may).toEqual({ sessions: 1, rate: 60, probe: false });
    }
  });
});

describe('a provider that refuses our address', () => {
  test('is asked again after 2, 4, 8 and then each 12 hours, by one message', () => {
    const bench = new Bench();
    bench.hear('block');
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) {
      pauses.push((bench.state.until - bench.now) / HOUR);
      expect(bench.may).toMatchObject({ sessions: 0, probe: false });
      expect(bench.probe('block').kind).toBe('blocked');
    }
    expect(pauses).toEqual([2, 4, 8, 12, 12, 12]);
  });

  test('what was under way when the block began changes nothing', () => {
    const bench = new Bench();
    const first = bench.hear('block');
    for (const kind of ['block', 'throttle', 'clean', 'other', 'silent'] as const)
      bench.wait(SECOND).hear(kind, { began: MINUTE });
    expect(bench.state).toBe(first);
    bench.wait(2 * HOUR);
    const probe = (bench.state = probing(bench.state, bench.now));
    for (const kind of ['block', 'throttle', 'clean'] as const) bench.hear(kind, { began: 3 * HOUR });
    expect(bench.state).toBe(probe);
  });

  test('a probe that no answer comes to is tried again in half an hour, and so is one that nothing is heard of', () => {
    const bench = new Bench();
    bench.hear('block');
    bench.probe('silent');
    expect(bench.state).toMatchObject({ kind: 'blocked', step: 0, until: bench.now + 30 * MINUTE });
    bench.wait(30 * MINUTE);
    bench.state = probing(bench.state, bench.now);
    expect(bench.wait(16 * MINUTE).state).toMatchObject({ kind: 'blocked', step: 0, until: bench.now + 30 * MINUTE });
    expect(storedProbe(bench.state, bench.now)).toMatchObject({ kind: 'blocked', until: bench.now + 30 * MINUTE });
  });

  test('opens after two clean deliveries that are half an hour apart; its pace doubles each clean hour', () => {
    const bench = new Bench();
    bench.hear('block');
    expect(bench.probe('clean').kind).toBe('half-open');
    expect(bench.may.sessions).toBe(1);
    expect(bench.may.rate * 60).toBe(20);
    for (let i = 0; i < 5; i++) bench.wait(5 * MINUTE).hear('clean');
    expect(bench.state.kind).toBe('half-open');
    bench.wait(5 * MINUTE).hear('clean');
    expect(bench.state.kind).toBe('open');
    expect(bench.may.rate * 60).toBe(20);
    const hourly: number[] = [];
    for (let hour = 0; hour < 9; hour++) {
      for (let i = 0; i < 6; i++) bench.wait(10 * MINUTE).hear('clean');
      hourly.push(Math.round(bench.may.rate * 60));
    }
    expect(hourly).toEqual([40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
    expect(bench.may.sessions).toBe(5);
  });

  test('a refusal for another reason is as good as a delivery for a probe', () => {
    const bench = new Bench();
    bench.hear('block');
    expect(bench.probe('other').kind).toBe('half-open');
  });

  test('a block while it is half open, or within a day of the last, goes on in the ladder', () => {
    const bench = new Bench();
    bench.hear('block');
    bench.probe('block');
    bench.probe('clean');
    bench.wait(MINUTE).hear('block');
    expect(bench.state).toMatchObject({ kind: 'blocked', until: bench.now + 8 * HOUR });
    bench.probe('clean');
    bench.wait(31 * MINUTE).hear('clean');
    bench.wait(23 * HOUR).hear('block');
    expect(bench.state).toMatchObject({ kind: 'blocked', until: bench.now + 12 * HOUR });
    bench.probe('clean');
    bench.wait(31 * MINUTE).hear('clean');
    bench.wait(25 * HOUR).hear('block');
    expect(bench.state).toMatchObject({ kind: 'blocked', until: bench.now + 2 * HOUR });
  });

  test("the operator's hold is a block that begins now and waits for no time", () => {
    expect(blockedByOperator(openState(limits, START), START)).toMatchObject({ kind: 'blocked', until: 0, step: 0 });
  });
});

describe('a clock that jumps', () => {
  const states = () => {
    const slow = new Bench();
    slow.hear({ kind: 'throttle', rest: 4 * HOUR });
    const blocked = new Bench();
    for (let i = 0; i < 5; i++) i === 0 ? blocked.hear('block') : blocked.probe('block');
    const half = new Bench();
    half.hear('block');
    half.probe('clean');
    const probe = new Bench();
    probe.hear('block');
    probe.wait(2 * HOUR);
    probe.state = probing(probe.state, probe.now);
    return [
      ['resting', slow, 4 * HOUR],
      ['blocked', blocked, 12 * HOUR],
      ['half-open', half, 4 * HOUR],
      ['probing', probe, 15 * MINUTE],
    ] as const;
  };

  test.each(states())('%s: set back by a day, no time lies farther ahead than the state allows', (_, bench, most) => {
    bench.wait(-DAY);
    expect(bench.state.until).toBeLessThanOrEqual(bench.now + most);
    expect(bench.state.since).toBeLessThanOrEqual(bench.now);
  });

  test.each(states())('%s: set ahead by two days, at most one session goes', (_, bench) => {
    bench.wait(2 * DAY);
    const { sessions, probe } = bench.may;
    if (bench.state.kind !== 'open') expect(sessions + Number(probe)).toBeLessThanOrEqual(1);
  });
});
