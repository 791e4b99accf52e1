/** What the doctor says of the threads of sessions. */
import { expect, test } from 'vitest';
import type { Probes } from '../../../src/doctor/doctor.ts';
import { diagnose, of } from '../../support/doctor.ts';

type Facts = Awaited<ReturnType<Probes['threads']>>;

async function finding(facts: Facts) {
  const [found] = of(await diagnose({ probes: { threads: async () => facts } }), 'threads');
  return found && [found.result, found.found, found.advice];
}

test('of one thread nothing is said', async () => {
  expect(await finding({ wanted: 1, seen: undefined })).toBeUndefined();
  expect(await finding({ wanted: 1, seen: { working: 1, sessions: [], ends: 0 } })).toBeUndefined();
});

test('it says how many threads answer, and how many sessions each has', async () => {
  expect(await finding({ wanted: 2, seen: { working: 2, sessions: [3, 4], ends: 0 } })).toEqual([
    'ok',
    '2 threads answer, with 3 and 4 sessions',
    '',
  ]);
});

test('a thread that does not answer, threads that ended, and a setting that has changed are warnings', async () => {
  const [silent, ended, changed] = await Promise.all([
    finding({ wanted: 2, seen: { working: 1, sessions: [0, 9], ends: 0 } }),
    finding({ wanted: 2, seen: { working: 2, sessions: [1, 1], ends: 3 } }),
    finding({ wanted: 4, seen: { working: 1, sessions: [], ends: 0 } }),
  ]);
  expect(silent).toEqual(['warning', '1 thread answers, with 0 and 9 sessions', expect.stringContaining('threadSilent')]);
  expect(ended).toEqual([
    'warning',
    expect.stringContaining('ended by a fault and replaced: 3'),
    expect.stringContaining('report'),
  ]);
  expect(changed).toEqual(['warning', '1 thread answers', expect.stringContaining('Restart')]);
});

test('a relay that does not tell is unknown, if it should have threads', async () => {
  expect((await finding({ wanted: 2, seen: undefined }))?.[0]).toBe('unknown');
});
