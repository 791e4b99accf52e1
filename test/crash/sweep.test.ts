/** A sample of the crash sweep and of the failing calls. `npm run test:crash` runs all of both. */
import { describe, expect, test } from 'vitest';
import { hasCommand, requirePeer, succeeds } from '../support/peers.ts';
import { sized } from '../support/size.ts';
import { sweepFaults } from './faults-run.ts';
import { SCENARIOS } from './scenarios.ts';
import { sweep } from './sweep-run.ts';

const traces = () => hasCommand('strace') && succeeds('strace', ['-f', '-qq', '-o', '/dev/null', 'true']);
const SEED = Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000);

describe.skipIf(!requirePeer('strace', traces()))('killed at a call on a file or a socket', () => {
  test('acknowledged mail arrives complete, and twice only if a reply was lost', async () => {
    const lines = [`CRASH_SEED=${SEED}`];
    const figures = await sweep({
      scenarios: SCENARIOS.slice(0, sized(SCENARIOS.length, 2, SCENARIOS.length)),
      sample: sized(2, 1, 2),
      seed: SEED,
      limit: sized(90_000, 60_000, 90_000),
      report: (line) => lines.push(line),
    });
    const context = lines.join('\n');
    console.info(context);
    expect(figures.flatMap(({ violations }) => violations)).toEqual([]);
    // a sweep proves something only if it has counted calls and killed the process
    for (const { points } of figures) expect(points, context).toBeGreaterThan(10);
    expect(
      figures.reduce((sum, { kills }) => sum + kills, 0),
      context,
    ).toBeGreaterThan(0);
  }, 200_000);
});

describe.skipIf(!requirePeer('strace', traces()))('a call on a file or a socket that fails', () => {
  test('never leads to 250 without a stored message, and the relay works again afterwards', async () => {
    const lines = [`CRASH_SEED=${SEED}`];
    const options = { seed: SEED, limit: 40_000, report: (line: string) => lines.push(line) };
    const figures = [
      ...(await sweepFaults({ ...options, scenarios: ['accept'], sample: sized(4, 1, 2) })),
      ...(await sweepFaults({ ...options, scenarios: ['deliver'], sample: sized(2, 1) })),
    ];
    const context = lines.join('\n');
    console.info(context);
    expect(figures.flatMap(({ violations }) => violations)).toEqual([]);
    for (const { faults } of figures) expect(faults, context).toBeGreaterThan(50);
    expect(
      figures.reduce((sum, { met }) => sum + met, 0),
      context,
    ).toBeGreaterThan(0);
  }, 150_000);
});
