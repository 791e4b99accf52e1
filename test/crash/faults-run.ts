/**
 * Makes each call fail that a relay makes on files and sockets, and looks for what it promised: no 250 for what is not stored, no
 * end of the process, and the next message accepted as soon as the fault is gone, without a restart. RFC 5321 §6.1.
 */
import { until } from '../support/program.ts';
import { countPoints, LARGE, runScenario, SMALL, watch } from './scenarios.ts';
import { shuffled } from './shuffle.ts';
import { type SweepOptions, summary } from './sweep-run.ts';
import { type Call, ERRORS, type Fault, nameOf, type Point } from './tracer.ts';
import { SECOND, type Sent, startWorld, type World } from './world.ts';

export const FAULT_SCENARIOS = ['accept', 'deliver', 'bounce', 'retry', 'reload', 'report', 'policy'] as const;
export type FaultScenario = (typeof FAULT_SCENARIOS)[number];

export type FaultFigures = {
  readonly scenario: FaultScenario;
  /** Calls × errors × once or from then on. */
  readonly faults: number;
  readonly tried: number;
  /** Tried faults that a call met. */
  readonly met: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Not answered 250, and yet delivered after a crash: the client sends them again. */
  readonly unanswered: number;
  readonly lost: number;
  readonly unmet: readonly string[];
  readonly violations: readonly string[];
};

const FILE_CALLS: readonly Call[] = [
  ...(['openat', 'write', 'pwrite64', 'fsync', 'fdatasync', 'fallocate', 'ftruncate'] as const),
  ...(['rename', 'link', 'unlink', 'mkdir'] as const),
];
/** These need a descriptor, and nothing of a disk. */
const DESCRIPTOR_CALLS: readonly Call[] = ['socket', 'accept4'];

/** Runs of a fault that no call meets: which thread makes a call, and how many there are, hangs on how bytes come in. */
const RUNS = 4;

export async function sweepFaults(options: SweepOptions<FaultScenario>): Promise<readonly FaultFigures[]> {
  const { scenarios, sample, seed, limit, report = () => {} } = options;
  const world = await startWorld();
  const end = Date.now() + limit;
  const all: FaultFigures[] = [];
  try {
    for (const scenario of scenarios) {
      const faults = (await countPoints(world, scenario)).flatMap((point) => faultsAt(point, scenario));
      const taken = shuffled(faults, seed).slice(0, sample ?? faults.length);
      const figures = { ...(await sweepScenario(world, scenario, taken, { end, report })), faults: faults.length };
      report(summary(figures));
      all.push(figures);
    }
  } finally {
    await world.close();
  }
  return all;
}

/**
 * Wake-ups between threads are writes too: those fail once, at the one that was counted. A connection to a host that fails rests
 * that host for a minute, rightly: how conversations with hosts end is tested elsewhere.
 */
function faultsAt(point: Point, scenario: FaultScenario): readonly Point[] {
  if (scenario !== 'accept' && point.socket === true && point.call === 'write') return [];
  const once = (error: Fault['error']): Point => ({ ...point, fault: { error, how: 'once' } });
  const lasting = (error: Fault['error']): Point => ({ ...point, fault: { error, how: 'from then on' } });
  if (DESCRIPTOR_CALLS.includes(point.call)) return [once('EMFILE'), lasting('EMFILE')];
  if (!FILE_CALLS.includes(point.call)) return [];
  return point.call === 'write' ? ERRORS.map(once) : [...ERRORS.map(once), ...ERRORS.map(lasting)];
}

async function sweepScenario(
  world: World,
  scenario: FaultScenario,
  faults: readonly Point[],
  { end, report }: { readonly end: number; readonly report: (line: string) => void },
): Promise<FaultFigures> {
  const total = { tried: 0, met: 0, acknowledged: 0, refused: 0, unanswered: 0, lost: 0 };
  const violations: string[] = [];
  const unmet: string[] = [];
  for (const point of faults) {
    if (Date.now() > end) break;
    total.tried++;
    const made: number[] = [];
    for (let met = 0; met === 0 && made.length < RUNS; ) {
      const judged = await failAt(world, scenario, point);
      met = judged.met;
      made.push(judged.made);
      for (const key of ['met', 'acknowledged', 'refused', 'unanswered', 'lost'] as const) total[key] += judged[key];
      violations.push(...judged.violations);
      for (const line of judged.violations) report(line);
      if (met > 0 || made.length < RUNS) continue;
      const instead = Math.max(...made) < point.n ? 'there were fewer' : 'that one was for another file, or woke a thread';
      unmet.push(`${scenario} ${nameOf(point)} was not met: ${instead}; ${RUNS} runs made ${made.join(', ')} of these calls`);
      report(unmet.at(-1)!);
    }
  }
  return { scenario, faults: faults.length, ...total, unmet, violations };
}

type Judged = Omit<FaultFigures, 'scenario' | 'faults' | 'tried' | 'unmet'> & { readonly made: number };
type FaultRun = { readonly sent: readonly Sent[]; readonly failed: boolean; readonly made: number };
let runs = 0;

async function failAt(world: World, scenario: FaultScenario, point: Point): Promise<Judged> {
  const { relay } = world;
  const token = `fault-${scenario}-${process.pid}-${++runs}-`;
  const where = `${scenario} ${nameOf(point)}`;
  const violations: string[] = [];
  const note = (text: string) => void violations.push(`${where}: ${text}`);
  await world.warmed();
  const release = scenario === 'accept' ? world.hold() : undefined;
  const attempted = scenario === 'accept' ? accept(world, token, point) : others(world, scenario, token, point);
  const run = await attempted.catch((error): FaultRun => {
    note(error);
    return { sent: [], failed: true, made: 0 };
  });
  if (!relay.running() && run.failed) note('the process ended'); // a wake-up between threads that fails ends it rightly
  if (scenario === 'accept' || !relay.running()) {
    await relay.stop('SIGKILL'); // what is in memory must not stand in for what was stored
    release?.();
    await relay.start().catch((error) => note(`no start after it: ${error}`));
  }
  await world.drained().catch((error) => note(`its mail never ends: ${error}`));
  // what a wake-up that fails has ended may arrive twice, as after any crash
  return { ...judge(world, run.sent, { note, twice: !run.failed }), violations, met: run.failed ? 1 : 0, made: run.made };
}

type Judging = { readonly note: (text: string) => void; readonly twice: boolean };

function judge(world: World, sent: readonly Sent[], { note, twice }: Judging): Omit<Judged, 'met' | 'made' | 'violations'> {
  const judged = { acknowledged: 0, refused: 0, unanswered: 0, lost: 0 };
  for (const one of sent) {
    const { arrivals, broken } = world.fate(one);
    for (const text of broken) note(text);
    // A store that cannot be written loses what was counted, and never counts it twice.
    if (one.reportTo !== undefined && world.sessionsWith(one.reportTo) > 1) note('one session is counted twice');
    if (one.acknowledged) judged.acknowledged++;
    else judged.refused++;
    if (!one.acknowledged && arrivals.length > 0) judged.unanswered++;
    if (one.acknowledged && arrivals.length === 0) {
      judged.lost++;
      note(`${one.token} was acknowledged and is lost`);
    }
    if (arrivals.length > 1 && !twice) note(`${one.token} arrived ${arrivals.length} times`);
  }
  return judged;
}

/** The destination takes nothing meanwhile, so that after a crash each 250 stands on the disk alone. */
async function accept(world: World, token: string, point: Point): Promise<FaultRun> {
  const traced = await watch(world, point);
  try {
    const sent = [await world.send(`${token}s`, 'anna@dest.test', SMALL), await world.send(`${token}l`, 'anna@dest.test', LARGE)];
    const { failed, made } = traced.counted();
    await traced.detach();
    return { sent: failed ? [...sent, ...(await goesOn(world, token))] : sent, failed, made };
  } finally {
    await traced.detach();
  }
}

async function others(world: World, scenario: FaultScenario, token: string, point: Point): Promise<FaultRun> {
  const { sent, failed, made } = await runScenario(world, scenario, token, point);
  return { sent: failed ? [...sent, ...(await goesOn(world, token))] : sent, failed, made };
}

/** Sends small and large messages until both are accepted. @throws Error when that takes too long */
async function goesOn(world: World, token: string): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  for (const size of [SMALL, LARGE]) {
    const accepted = async () => {
      const one = await world.send(`${token}next-${sent.length}-`, 'anna@dest.test', size);
      sent.push(one);
      return one.acknowledged;
    };
    await until('the next message accepted', accepted, {
      deadline: 20 * SECOND,
      context: () => world.relay.output().slice(-3000),
    });
  }
  return sent;
}
