import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AttemptPlace, HostSet, START } from '../../../src/delivery/host-set.ts';
import { SessionPlaces } from '../../../src/delivery/session-places.ts';
import { HOUR } from '../../../src/system/clock.ts';

function rig(max: number) {
  const options = { max };
  const trimmed: number[] = [];
  const sessions = new SessionPlaces({ max: () => options.max, kept: { trim: (count) => trimmed.push(count) } });
  let now = 0;
  const setOptions = { now: () => (now += 2 * HOUR), max: () => 1000 }; // each rest is over at the next look
  const sets = new Map<string, HostSet>();
  const setOf = (key: string): HostSet => {
    const set = sets.get(key) ?? new HostSet(key, { ...START, limit: 1000 }, setOptions);
    sets.set(key, set);
    return set;
  };
  const placeAt = (key: string): AttemptPlace => setOf(key).take('')!;
  /** A set whose hosts have answered once. */
  const answering = (key: string): string => {
    setOf(key).leave(placeAt(key), 'clean');
    return key;
  };
  return { sessions, options, trimmed, placeAt, answering };
}

test('hosts that do not answer get at most half of the sessions, hosts that answer can use all others', () => {
  const { sessions, placeAt, answering } = rig(10);
  const silent = Array.from({ length: 20 }, (_, i) => sessions.take(placeAt(`dead${i}`), 'm1'));
  expect(silent.filter((granted) => granted)).toHaveLength(5);
  answering('good');
  expect(Array.from({ length: 20 }, () => sessions.take(placeAt('good'), 'm2')).filter((granted) => granted)).toHaveLength(5);
  expect(sessions.taken).toBe(10);
});

test('a message to a thousand dead hosts delays another one only until one session is free', () => {
  const { sessions, placeAt } = rig(500);
  const held: AttemptPlace[] = [];
  let sentAway = 0;
  for (let i = 0; i < 1000; i++) {
    const place = placeAt(`dead${i}`);
    if (sessions.take(place, 'm1')) held.push(place);
    else sessions.wait(place, 'm1', (granted) => void (granted ? held.push(place) : sentAway++));
  }
  expect(held).toHaveLength(250);
  expect(sessions.waiting).toBe(500);
  expect(sentAway).toBe(250);

  const told: boolean[] = [];
  expect(sessions.take(placeAt('new'), 'm2')).toBe(false);
  sessions.wait(placeAt('new'), 'm2', (granted) => told.push(granted));
  expect(told).toEqual([]);
  expect(sentAway).toBe(251);
  sessions.give(held.shift()!);
  expect(told).toEqual([true]);
});

test('a free session goes to the hosts with the fewest sessions', () => {
  const { sessions, placeAt, answering } = rig(4);
  for (const key of ['tarpit', 'other', 'new']) answering(key);
  const held = ['tarpit', 'tarpit', 'tarpit', 'other'].map((key) => placeAt(key));
  for (const [i, place] of held.entries()) expect(sessions.take(place, `m${i}`)).toBe(true);
  const told: string[] = [];
  for (const key of ['tarpit', 'other', 'new']) sessions.wait(placeAt(key), `of ${key}`, () => told.push(key));
  for (const place of held.slice(0, 3)) sessions.give(place);
  expect(told).toEqual(['new', 'tarpit', 'other']);
});

test('connections that are kept for later count, and go first', () => {
  const { sessions, trimmed, placeAt, answering } = rig(3);
  answering('good');
  for (let i = 0; i < 3; i++) sessions.take(placeAt('good'), 'm');
  expect(trimmed).toEqual([2, 1, 0]);
});

const step = fc.oneof(
  fc.record({ kind: fc.constant('come' as const), set: fc.nat(6), message: fc.nat(4) }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(), effect: fc.constantFrom('clean', 'block', 'none') }),
  fc.record({ kind: fc.constant('leave line' as const), which: fc.nat() }),
  fc.record({ kind: fc.constant('reload' as const), max: fc.integer({ min: 1, max: 12 }) }),
);

test('in any order of events: never more than the limit, nobody waits while a session is free, and each caller is called once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const { sessions, options, placeAt } = rig(6);
      const held: AttemptPlace[] = [];
      const line: { place: AttemptPlace; told: number; leave: () => void }[] = [];
      for (const one of steps) {
        const before = sessions.taken;
        if (one.kind === 'come') {
          const place: AttemptPlace | undefined = placeAt(`set${one.set}`);
          if (place === undefined) continue;
          if (sessions.take(place, `m${one.message}`)) held.push(place);
          else {
            const waiting = { place, told: 0, leave: () => {} };
            line.push(waiting);
            waiting.leave = sessions.wait(place, `m${one.message}`, (granted) => {
              waiting.told++;
              if (granted) held.push(place);
            });
          }
        } else if (one.kind === 'end' && held.length > 0) {
          const [place] = held.splice(one.which % held.length, 1);
          place!.set.leave(place!, one.effect as 'clean');
          sessions.give(place!);
        } else if (one.kind === 'leave line') {
          const waiting = line.filter(({ told }) => told === 0);
          if (waiting.length === 0) continue;
          const gone = waiting[one.which % waiting.length]!;
          gone.leave();
          gone.told++;
        } else if (one.kind === 'reload') {
          options.max = one.max;
          sessions.advance();
        }
        expect(sessions.taken).toBe(held.length);
        expect(sessions.taken).toBeLessThanOrEqual(Math.max(options.max, before));
        const silent = held.filter(({ set }) => !set.answers).length;
        const waiting = line.filter(({ told }) => told === 0);
        expect(waiting).toHaveLength(sessions.waiting);
        if (sessions.taken >= options.max || one.kind === 'come' || one.kind === 'leave line') continue;
        expect(waiting.every(({ place }) => !place.set.answers && silent >= Math.ceil(options.max / 2))).toBe(true);
      }
      sessions.sendAway();
      expect(line.every(({ told }) => told === 1)).toBe(true);
      expect(sessions.waiting).toBe(0);
    }),
    { numRuns: 300 },
  );
});
