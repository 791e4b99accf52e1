import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptPlace } from '../../../src/delivery/host-set.ts';
import { Pacing } from '../../../src/delivery/pacing.ts';
import type { TurnedAway } from '../../../src/delivery/places.ts';
import { UpstreamSlots } from '../../../src/delivery/upstream-slots.ts';
import { createEventLog } from '../../../src/events/events.ts';
import type { Pace } from '../../../src/store/store.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';

async function startTestPacing({ concurrency = 20, maxSessions = 500 } = {}) {
  const stored = new Map<string, Pace>();
  const clock = { now: 1_700_000_000_000 };
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const pacing = await Pacing.start({
    operation: {
      paces: async () => [],
      putPace: async (pace) => void stored.set(pace.key, pace),
      removePace: async (key) => void stored.delete(key),
    },
    log,
    now: () => clock.now,
    concurrency: () => concurrency,
    maxSessions: () => maxSessions,
    kept: { trim: () => {}, drop: async () => {} },
    slots: new UpstreamSlots({ limitOf: () => undefined, drop: async () => {}, log }),
  });
  type Who = { sender?: string; message?: string; signal?: AbortSignal; reportOf?: number };
  const enter = (key: string, { sender = '', message = 'm', signal = new AbortController().signal, reportOf }: Who = {}) => {
    const lookUp = pacing.lookUp(key);
    pacing.lookedUp(lookUp);
    return pacing.enter({ key, lookUp, message, sender, signal, reportOf });
  };
  const attempt = (key: string) => {
    pacing.leave(enter(key) as AttemptPlace, 'block', 'no answer');
  };
  return { pacing, stored, clock, enter, attempt };
}

test('dead hosts are forgotten when their rest is long over, in the store too, however many there were', async () => {
  const { pacing, stored, clock, attempt } = await startTestPacing();
  for (let i = 0; i < 20_000; i++) attempt(`old${i}`);
  expect(stored.size).toBe(20_000);
  clock.now += HOUR + 2 * MINUTE;
  attempt('new');
  expect([...stored.keys()]).toEqual(['new']);
  pacing.close();
});

test('host sets that rest, or rested a short time ago, are not forgotten', async () => {
  const { pacing, stored, clock, attempt } = await startTestPacing();
  for (let i = 0; i < 20_000; i++) attempt(`resting${i}`);
  attempt('new');
  expect(stored.size).toBe(20_001);
  clock.now += 30 * MINUTE;
  attempt('another');
  expect(stored.size).toBe(20_002);
  clock.now += 10;
  expect(pacing.blockedUntil('another')).toBe(clock.now - 10 + MINUTE);
  pacing.close();
});

test('a look-up that began before the settings changed does not bring the old hosts back', async () => {
  const { pacing, attempt } = await startTestPacing();
  attempt('old');
  const lookUp = pacing.lookUp('a.test');
  pacing.forgetWays();
  pacing.lookedUp(lookUp);
  expect(pacing.enter({ key: 'old', lookUp, message: 'm', sender: '', signal: new AbortController().signal })).toMatchObject({
    notBefore: expect.any(Number),
  });
  expect(pacing.room('a.test')).toBe(10);
  expect(pacing.blockedUntil('a.test')).toBeUndefined();
  pacing.close();
});

test('a failure under old settings rests no host', async () => {
  const { pacing, enter } = await startTestPacing();
  const place = enter('route:upstream') as AttemptPlace;
  pacing.forgetWays();
  pacing.leave(place, 'block', 'wrong password');
  expect(pacing.resting()).toBe(0);
  pacing.close();
});

test('a route with changed settings gets one attempt although its host rests, an MX does not', async () => {
  const { pacing, enter, attempt } = await startTestPacing();
  attempt('route:upstream');
  attempt('mx:a.test');
  pacing.forgetWays();
  pacing.leave(enter('route:upstream') as AttemptPlace, 'clean', '');
  expect(enter('route:upstream')).toHaveProperty('set');
  expect(enter('mx:a.test')).toHaveProperty('notBefore');
  pacing.close();
});

describe('a report about TLS', () => {
  /** All sessions are in use, by mail to two hosts that answer. */
  async function startFull() {
    const started = await startTestPacing({ maxSessions: 2 });
    const { pacing, enter } = started;
    for (const key of ['a', 'b', 'c', 'd', 'e']) pacing.leave(enter(key) as AttemptPlace, 'clean', '');
    return { ...started, places: [enter('a'), enter('b')] as AttemptPlace[] };
  }
  const later = { verdict: expect.anything(), notBefore: expect.any(Number) };

  test('takes a place that is free, and leaves one for mail', async () => {
    const { pacing, clock, enter } = await startTestPacing();
    const report = (key: string) => enter(key, { reportOf: clock.now });
    expect(report('a')).toHaveProperty('set');
    expect(report('a')).toEqual(later); // two sessions at first
    expect(enter('a')).toHaveProperty('set');
    expect(report('b')).toHaveProperty('set');
    pacing.close();
  });

  test('waits outside, so that mail that comes after it goes first', async () => {
    const { pacing, clock, enter, places } = await startFull();
    expect(enter('c', { reportOf: clock.now })).toEqual(later);
    const mail = enter('c');
    pacing.leave(places[0]!, 'clean', '');
    expect(await mail).toHaveProperty('set');
    expect(enter('d', { reportOf: clock.now })).toEqual(later);
    pacing.close();
  });

  test('has at most a tenth of all sessions together with the others', async () => {
    const { pacing, clock, enter } = await startTestPacing({ maxSessions: 30 });
    const reports = Array.from({ length: 9 }, (_, i) => enter(`r${i}`, { reportOf: clock.now }));
    expect(reports.map((one) => 'set' in one)).toEqual([true, true, true, ...Array(6).fill(false)]);
    pacing.leave(reports[0] as AttemptPlace, 'clean', '');
    expect(enter('r9', { reportOf: clock.now })).toHaveProperty('set');
    pacing.close();
  });

  test('stands in line like mail when it has waited for an hour, so that it arrives', async () => {
    const { pacing, clock, enter, places } = await startFull();
    const acceptedAt = clock.now;
    clock.now += HOUR;
    const report = enter('c', { reportOf: acceptedAt, message: 'report' });
    const mail = enter('d');
    expect(enter('e', { reportOf: acceptedAt })).toEqual(later); // one of them at a time
    pacing.leave(places[0]!, 'clean', '');
    const place = await report;
    expect(place).toHaveProperty('set');
    pacing.leave(place as AttemptPlace, 'clean', '');
    expect(await mail).toHaveProperty('set');
    pacing.close();
  });

  test('that finds no place comes again soon at first, then less often', async () => {
    const { pacing, clock, enter } = await startFull();
    const pauses = [0, 30_000, 10 * MINUTE, 50 * MINUTE].map((age) => {
      const turned = enter('c', { reportOf: clock.now - age }) as TurnedAway;
      return turned.notBefore! - clock.now;
    });
    expect(pauses).toEqual([30_000, 30_000, 5 * MINUTE, 10 * MINUTE]);
    pacing.close();
  });

  test('that is given up while it stands in line gives its part back', async () => {
    const { pacing, clock, enter, places } = await startFull();
    const abort = new AbortController();
    const report = enter('c', { reportOf: clock.now - HOUR, signal: abort.signal });
    abort.abort();
    expect(await report).toHaveProperty('verdict');
    pacing.leave(places[0]!, 'clean', '');
    expect(enter('e', { reportOf: clock.now })).toHaveProperty('set');
    pacing.close();
  });
});

const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('enter' as const),
      ...{ set: fc.nat(3), sender: fc.nat(2), message: fc.nat(5) },
      reportAge: fc.option(fc.integer({ min: 0, max: 2 * HOUR })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('leave' as const),
      which: fc.nat(),
      effect: fc.constantFrom('clean', 'alive', 'sender', 'slow', 'block', 'none'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: -MINUTE, max: 2 * HOUR }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('give up' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('try' as const), set: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reload' } as const) },
);

test('in any order of events: both limits hold, a rest applies to all callers, and each caller gets one answer', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 80 }), async (events) => {
      const { pacing, clock, stored, enter } = await startTestPacing({ concurrency: 3, maxSessions: 6 });
      const held: AttemptPlace[] = [];
      const open: AbortController[] = [];
      let answers = 0;
      let asked = 0;
      const reports = new Set<AttemptPlace>();
      const take = (place: AttemptPlace | TurnedAway, isReport: boolean) => {
        answers++;
        if ('verdict' in place) return;
        held.push(place);
        if (isReport) reports.add(place);
      };
      for (const event of events) {
        if (event.kind === 'enter') {
          asked++;
          const abort = new AbortController();
          const place = enter(`set${event.set}`, {
            sender: `s${event.sender}`,
            message: `m${event.message}`,
            ...(event.reportAge !== null && { reportOf: clock.now - event.reportAge }),
            signal: abort.signal,
          });
          if ('then' in place) {
            open.push(abort);
            void place.then((given) => take(given, event.reportAge !== null));
          } else take(place, event.reportAge !== null);
        } else if (event.kind === 'leave' && held.length > 0) {
          pacing.leave(held.splice(event.which % held.length, 1)[0]!, event.effect as 'clean', 'why');
        } else if (event.kind === 'pass') clock.now += event.ms;
        else if (event.kind === 'give up' && open.length > 0) open[event.which % open.length]!.abort();
        else if (event.kind === 'try') pacing.tryNow(`set${event.set}`);
        else if (event.kind === 'reload') pacing.forgetWays();
        await new Promise(setImmediate);
        expect(held.length).toBeLessThanOrEqual(6);
        expect(held.filter((place) => reports.has(place)).length).toBeLessThanOrEqual(1);
        for (let i = 0; i < 4; i++) {
          expect(held.filter(({ set }) => set.key === `set${i}`).length).toBeLessThanOrEqual(3);
          expect(pacing.room(`set${i}`)).toBeGreaterThanOrEqual(0);
        }
      }
      while (held.length > 0) {
        pacing.leave(held.pop()!, 'none', '');
        await new Promise(setImmediate);
      }
      pacing.close();
      await new Promise(setImmediate);
      for (const place of held) pacing.leave(place, 'none', '');
      expect(answers).toBe(asked);
      expect(stored.size).toBeGreaterThanOrEqual(pacing.resting());
    }),
    { numRuns: 100 },
  );
});
