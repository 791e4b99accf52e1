/** Kills the relay at each point of each scenario, and judges what became of the messages: behaviour after a crash, RFC 5321 §6.1. */

import { countPoints, runScenario, type ScenarioName } from './scenarios.ts';
import { shuffled } from './shuffle.ts';
import { nameOf, type Point } from './tracer.ts';
import { queueIdOf, startWorld, type World } from './world.ts';

export type SweepOptions<Name extends ScenarioName = ScenarioName> = {
  readonly scenarios: readonly Name[];
  /** Points, or faults, taken of each scenario; absent, all. */
  readonly sample?: number | undefined;
  readonly seed: number;
  /** Milliseconds; what is not reached until then is left out and counted. */
  readonly limit: number;
  readonly report?: (line: string) => void;
};

export type Figures = {
  readonly scenario: ScenarioName;
  /** Counted by the run that killed nothing. */
  readonly points: number;
  readonly tried: number;
  /** Tried points at which it was killed. */
  readonly kills: number;
  /** The others, with the reason. */
  readonly unreached: readonly string[];
  readonly acknowledged: number;
  /** Not answered 250, and yet delivered: the client would send them again. */
  readonly unanswered: number;
  readonly lost: number;
  /** Delivered twice, the record of the first delivery not yet written. */
  readonly duplicates: number;
  readonly violations: readonly string[];
};

export async function sweep(options: SweepOptions): Promise<readonly Figures[]> {
  const world = await startWorld();
  const end = Date.now() + options.limit;
  const all: Figures[] = [];
  try {
    for (const [i, scenario] of options.scenarios.entries()) {
      const until = Date.now() + (end - Date.now()) / (options.scenarios.length - i);
      const figures = await sweepScenario(world, scenario, { ...options, end: until });
      options.report?.(summary(figures));
      all.push(figures);
    }
  } finally {
    await world.close();
  }
  return all;
}

/** One line: of each list its length. */
export const summary = ({ scenario, ...figures }: { readonly scenario: string } & Readonly<Record<string, unknown>>) =>
  `${scenario.padEnd(8)}${Object.entries(figures)
    .map(([name, value]) => `${Array.isArray(value) ? value.length : value} ${name}`)
    .join(', ')}`;

async function sweepScenario(world: World, scenario: ScenarioName, options: SweepOptions & { end: number }): Promise<Figures> {
  const points = await countPoints(world, scenario);
  const total = { tried: 0, kills: 0, acknowledged: 0, unanswered: 0, lost: 0, duplicates: 0 };
  const violations: string[] = [];
  const unreached: string[] = [];
  for (const point of shuffled(points, options.seed).slice(0, options.sample ?? points.length)) {
    if (Date.now() > options.end) break;
    total.tried++;
    const made: number[] = [];
    for (let kills = 0; kills === 0 && made.length < RUNS; ) {
      const judged = await crashAt(world, scenario, point);
      kills = judged.kills;
      made.push(judged.made);
      for (const key of ['kills', 'acknowledged', 'unanswered', 'lost', 'duplicates'] as const) total[key] += judged[key];
      violations.push(...judged.violations);
      for (const line of judged.violations) options.report?.(line);
      if (kills > 0 || made.length < RUNS) continue;
      unreached.push(`${scenario} ${nameOf(point)} was not reached: ${RUNS} runs made ${made.join(', ')} of these calls`);
      options.report?.(unreached.at(-1)!);
    }
  }
  return { scenario, points: points.length, ...total, unreached, violations };
}

/** The number of some calls hangs on how the bytes of a socket come in: where a run has fewer than the counted one, there is another. */
const RUNS = 6;

type Judged = Omit<Figures, 'scenario' | 'points' | 'tried' | 'unreached'> & { readonly made: number };
let runs = 0;

/** One crash, one recovery, and what must be true after it. */
async function crashAt(world: World, scenario: ScenarioName, point: Point): Promise<Judged> {
  const token = `${scenario}-${process.pid}-${++runs}-`;
  const where = `${scenario} ${nameOf(point)}`;
  await world.warmed();
  const { sent, died, made } = await runScenario(world, scenario, token, point);
  const before = sent.map((one) => world.fate(one).arrivals.length);
  const open = world.open();
  const violations: string[] = [];
  if (died) await world.relay.stop('SIGKILL');
  if (died) await world.relay.start().catch((error) => violations.push(`${where}: no start after it: ${error}`));
  await world.drained().catch((error) => violations.push(`${where}: its mail never ends: ${error}`));
  const judged = { made, kills: died ? 1 : 0, acknowledged: 0, unanswered: 0, lost: 0, duplicates: 0 };
  for (const [i, one] of sent.entries()) {
    const { arrivals, broken } = world.fate(one);
    violations.push(...broken.map((text) => `${where}: ${text}`));
    const counted = one.reportTo === undefined ? 0 : world.sessionsWith(one.reportTo);
    // A crash may lose what was counted in the seconds before it, and never counts it twice.
    if (counted > 1 || (one.reportTo !== undefined && !died && counted !== 1))
      violations.push(`${where}: ${counted} sessions are counted of one`);
    if (one.acknowledged) judged.acknowledged++;
    else if (arrivals.length > 0) judged.unanswered++;
    if (one.acknowledged && arrivals.length === 0) {
      judged.lost++;
      violations.push(`${where}: ${one.token} was acknowledged and is lost`);
    }
    if (arrivals.length < 2) continue;
    // the first copy had arrived, its record was not there: nobody could know
    const uncertain = died && arrivals.length === 2 && before[i] === 1 && open.has(queueIdOf(arrivals[0]!));
    if (uncertain) judged.duplicates++;
    else violations.push(`${where}: ${one.token} arrived ${arrivals.length} times, ${before[i]} before the crash`);
  }
  return { ...judged, violations };
}
