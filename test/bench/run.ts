/**
 * Runs the benchmarks of single parts one after the other and prints one table. They judge nothing: the figures are for a
 * person who compares two versions on the same quiet machine.
 *
 *     npm run bench [-- NAME…]
 */
import { execFile } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Row, rounded } from './rows.ts';

/** With arguments that keep a run of all at a few minutes. */
const BENCHES: Readonly<Record<string, readonly string[]>> = {
  signing: [],
  store: ['20000', '100000'],
  delivery: ['10000'],
  login: [],
  reply: [],
  console: ['100000'],
};
/** Some ten times what the slowest takes on two cores. */
const TIMEOUT = 600_000;

const wanted = process.argv.slice(2);
const names = wanted.length > 0 ? wanted : Object.keys(BENCHES);
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`No benchmark ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}.`);
  process.exit(2);
}
console.log(`Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model}), load ${rounded(loadavg()[0] ?? 0)}\n`);
console.log('| part | what | figure | unit |\n| --- | --- | ---: | --- |');
for (const name of names) for (const row of await run(name)) console.log(`| ${cells(row).join(' | ')} |`);

async function run(name: string): Promise<readonly Row[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, `${name}-bench.ts`), ...(BENCHES[name] ?? [])],
    { env: { ...process.env, BENCH_ROWS: '1' }, timeout: TIMEOUT },
  );
  return stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Row] : []));
}

function cells({ part, what, figure, unit }: Row): readonly string[] {
  return [part, what, rounded(figure), unit];
}
