/** `npm run fuzz -- [--seconds N] [--seed S] [--target X] [--save]`: each parser for N seconds; ends with 1 where one failed. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fuzz, readCorpus } from './fuzz-run.ts';
import { TARGETS } from './targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string', multiple: true, default: Object.keys(TARGETS) },
    save: { type: 'boolean', default: false },
  },
});
/** Inputs kept of each parser. */
const KEPT = 60;

const megabytes = (octets: number) => (octets / 1024 / 1024).toFixed(1);

console.info(`seed ${values.seed}`);
for (const target of values.target) {
  if (!Object.hasOwn(TARGETS, target)) throw new Error(`No parser ${target}: there are ${Object.keys(TARGETS).join(', ')}`);
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  const result = await fuzz({ target, seconds, seed, save: values.save });
  const { tries, lines, found, kept, resident, failures } = result;
  console.info(
    `${target.padEnd(14)} ${tries} inputs, ${lines} lines, ${found} new, ${megabytes(kept)} MB kept, ` +
      `${megabytes(resident)} MB resident, ${failures.length} failures`,
  );
  for (const failure of failures) console.error(failure);
  if (failures.length > 0) process.exitCode = 1;
  if (values.save) save(target, result.corpus);
}

function save(target: string, found: readonly string[]): void {
  const kept = [...new Set([...readCorpus(target), ...found])].slice(0, KEPT);
  writeFileSync(new URL(`corpus/${target}.json`, import.meta.url), `${JSON.stringify(kept, null, 2)}\n`);
}
