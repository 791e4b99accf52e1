/**
 * `npm run test:crash -- [--only kills|faults|cuts] [--scenario X] [--sample N] [--seed S] [--seconds T]`: all of the crash sweep, of
 * the calls that fail and of the power cuts, or a part; ends with 1 on a violation.
 */
import { parseArgs } from 'node:util';
import { FAULT_SCENARIOS, sweepFaults } from './faults-run.ts';
import { startAfterCuts } from './power-relay.ts';
import { cutEverywhere, record } from './power-run.ts';
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
  const recording = await record(MESSAGES);
  const { lost, ...files } = cutEverywhere(recording, sample ?? Number.POSITIVE_INFINITY, Math.random);
  for (const line of lost) report(line);
  report(summary({ scenario: 'files', ...files, lost: lost.length }));
  const { wrong, ...starts } = await startAfterCuts(recording, sample ?? STARTS, Math.random);
  for (const line of wrong) report(line);
  report(summary({ scenario: 'relay', ...starts, wrong: wrong.length }));
  return lost.length + wrong.length === 0;
}
