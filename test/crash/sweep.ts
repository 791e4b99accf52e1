/** `npm run test:crash -- [--scenario X] [--sample N] [--seed S] [--seconds T]`: the whole sweep, or a part; ends with 1 on a violation. */
import { parseArgs } from 'node:util';
import { SCENARIOS, type ScenarioName } from './scenarios.ts';
import { sweep } from './sweep-run.ts';

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true, default: [...SCENARIOS] },
    sample: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '3600' },
  },
});

const unknown = values.scenario.filter((name) => !(SCENARIOS as readonly string[]).includes(name));
if (unknown.length > 0) throw new Error(`No scenario ${unknown.join(', ')}: there are ${SCENARIOS.join(', ')}`);

console.info(`seed ${values.seed}`);
const figures = await sweep({
  scenarios: values.scenario as ScenarioName[],
  sample: values.sample === undefined ? undefined : Number(values.sample),
  seed: Number(values.seed),
  limit: Number(values.seconds) * 1000,
  report: (line) => console.info(line),
});
process.exitCode = figures.some(({ violations }) => violations.length > 0) ? 1 : 0;
