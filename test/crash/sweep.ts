/**
 * `npm run test:crash -- [--only kills|faults|cuts] [--scenario X] [--sample N] [--seed S] [--seconds T]`: all of the crash sweep, of
 * the calls that fail and of the power cuts, or a part; ends with 1 on a violation.
 */
import { parseArgs } from 'node:util';
import { FAULT_SCENARIOS, sweepFaults } from './faults-run.ts';
import { startAfterCuts } from './power-relay.ts';
import { cutEverywhere, record } from './power-run.ts';
import { PLAIN, type PowerWorld, startTlsPowerWorld } from './power-world.ts';
import { SCENARIOS } from './scenarios.ts';
import { summary, sweep } from './sweep-run.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    scenario: { type: 'string', multiple: true, default: [...SCENARIOS] },
    sample: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '7200' },
  },
});

const PARTS: Readonly<Record<string, () => Promise<boolean>>> = { kills, faults, cuts };
/** Starts of the relay on what a cut left. */
const STARTS = 60;
const MESSAGES = 8;

const scenarios = SCENARIOS.filter((name) => values.scenario.includes(name));
const sample = values.sample === undefined ? undefined : Number(values.sample);
const seed = Number(values.seed);
const limit = Number(values.seconds) * 1000;
const report = (line: string) => console.info(line);
const chosen = Object.keys(PARTS).filter((name) => values.only === undefined || values.only === name);
if (chosen.length === 0 || scenarios.length === 0)
  throw new Error(`There are the parts ${Object.keys(PARTS).join(', ')}, and the scenarios ${SCENARIOS.join(', ')}`);

report(`seed ${seed}`);
for (const name of chosen) if (!(await PARTS[name]!())) process.exitCode = 1;

async function kills(): Promise<boolean> {
  const figures = await sweep({ scenarios, sample, seed, limit, report });
  return figures.every(({ violations }) => violations.length === 0);
}

async function faults(): Promise<boolean> {
  const failing = FAULT_SCENARIOS.filter((name) => scenarios.includes(name));
  const figures = await sweepFaults({ scenarios: failing, sample, seed, limit, report });
  return figures.every(({ violations }) => violations.length === 0);
}

async function cuts(): Promise<boolean> {
  const worlds: Readonly<Record<string, () => Promise<PowerWorld>>> = {
    ...(scenarios.includes('accept') && { mail: async () => PLAIN }),
    ...((scenarios.includes('report') || scenarios.includes('policy')) && { tls: startTlsPowerWorld }),
  };
  let wrong = 0;
  for (const [name, start] of Object.entries(worlds)) {
    const world = await start();
    const recording = await record(MESSAGES, { world });
    const files = cutEverywhere(recording, sample ?? Number.POSITIVE_INFINITY, Math.random);
    const starts = await startAfterCuts(recording, sample ?? STARTS, Math.random);
    await world.close();
    for (const line of [...files.lost, ...starts.wrong]) report(line);
    report(summary({ scenario: `${name} files`, ...files }));
    report(summary({ scenario: `${name} relay`, ...starts }));
    wrong += files.lost.length + starts.wrong.length;
  }
  return wrong === 0;
}
