/** The eight parts of a relay's life in which it is killed, or one of its calls fails. Each leaves it running, or dead. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder, until } from '../support/program.ts';
import { attach, failedIn, linesOf, matters, mostOf, type Point, pointsOf, type Role, rolesOf, underStrace } from './tracer.ts';
import { SECOND, type Sent, type World } from './world.ts';

export const SCENARIOS = ['accept', 'deliver', 'bounce', 'retry', 'reload', 'start', 'report', 'policy'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

/** Small messages lie in the database, large ones in a file of their own. */
export const SMALL = 800;
export const LARGE = 400_000;
/** What it does behind the last reply: notes, closing, removing. */
const AFTERWARDS = SECOND / 4;
const ASKED_AGAIN = 5 * SECOND;

export type Run = {
  readonly sent: readonly Sent[];
  readonly died: boolean;
  /** Of a run without a point. */
  readonly points: readonly Point[];
  /** Calls of the point's kind that a thread made at most. */
  readonly made: number;
  /** Of a fault: it met a file, a socket or the log, and nothing else. */
  readonly failed: boolean;
};
/** What the trace of a run tells. */
type Counted = Pick<Run, 'points' | 'made' | 'failed'>;

/** @param point where it happens; absent, the points of this run are counted */
export function runScenario(world: World, name: ScenarioName, token: string, point?: Point): Promise<Run> {
  switch (name) {
    case 'accept':
      return accept(world, token, point);
    case 'deliver':
      return deliver(world, token, point);
    case 'bounce':
      return afterAcceptance(world, { token, point, recipient: `bad-${token}@dest.test` });
    case 'retry':
      return afterAcceptance(world, { token, point, recipient: `later-${token}@dest.test` });
    case 'reload':
      return reload(world, token, point);
    case 'start':
      return start(world, token, point);
    case 'report':
      return report(world, token, point);
    case 'policy':
      return policy(world, token, point);
  }
}

/** Of a second run: the first one compiles, and meets what is kept for the next. */
export async function countPoints(world: World, name: ScenarioName): Promise<readonly Point[]> {
  let points: readonly Point[] = [];
  for (const time of ['first', 'second']) {
    await world.warmed();
    ({ points } = await runScenario(world, name, `${time}-${name}-${Date.now()}-`));
    await world.drained();
  }
  return points;
}

/** From the connection of the client to its 250: a small message, then a large one. */
async function accept(world: World, token: string, point?: Point): Promise<Run> {
  const release = world.hold();
  const traced = await watch(world, point);
  const sent = [await world.send(`${token}s`, 'anna@dest.test', SMALL)];
  if (world.relay.running()) sent.push(await world.send(`${token}l`, 'anna@dest.test', LARGE));
  const counted = traced.counted();
  release();
  return { sent, ...counted, died: await traced.end() };
}

/** From the claim of a message whose destination had no DNS before: look-ups, connection, EHLO, STARTTLS, to its end. */
async function deliver(world: World, token: string, point?: Point): Promise<Run> {
  const { domain, found } = world.unknownDomain();
  const sent = [await world.send(token, `anna@${domain}`, LARGE)];
  await world.delayed(sent[0]!.recipient);
  const traced = await watch(world, point);
  found();
  const died = await traced.end();
  return { sent, died, ...traced.counted() };
}

type Message = { readonly token: string; readonly point: Point | undefined; readonly recipient: string };

/** From the destination's reply to MAIL to the end of the message, and of the report about it. */
async function afterAcceptance(world: World, { token, point, recipient }: Message): Promise<Run> {
  const release = world.hold();
  const sent = [await world.send(token, recipient, SMALL)];
  const traced = await watch(world, point);
  release();
  const died = await traced.end();
  return { sent, died, ...traced.counted() };
}

/** SIGHUP while one message is being delivered and one waits: another route for all, and back again the next time. */
async function reload(world: World, token: string, point?: Point): Promise<Run> {
  const { relay } = world;
  const waiting = await world.send(`${token}w`, `later-${token}@dest.test`, SMALL);
  await world.delayed(waiting.recipient);
  const release = world.hold();
  const sent = [waiting, await world.send(`${token}a`, 'anna@dest.test', SMALL)];
  const traced = await watch(world, point);
  turnRoute(world);
  const before = relay.events('rerouted').length;
  process.kill(relay.pid(), 'SIGHUP');
  const done = () => !relay.running() || relay.events('rerouted').length > before;
  await until('another route, or a crash', done, { deadline: 2 * SECOND }).catch(() => {}); // its next attempt was faster
  const counted = traced.counted();
  release();
  return { sent, ...counted, died: await traced.end() };
}

const settingsOf = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as { routes?: readonly unknown[] };

/** `reload` leaves a route for all mail, or none. */
async function withoutRoute(world: World): Promise<void> {
  const { relay } = world;
  if ((settingsOf(join(relay.folder, 'smarthost.yaml')).routes ?? []).length === 0) return;
  turnRoute(world);
  const before = relay.events('reloaded').length;
  process.kill(relay.pid(), 'SIGHUP');
  await until('a relay without a route', () => relay.events('reloaded').length > before);
}

function turnRoute({ relay, mx }: World): void {
  const file = join(relay.folder, 'smarthost.yaml');
  const settings = settingsOf(file);
  const route = { recipientDomain: '*', hosts: [`mx.dest.test:${mx.port}`], tls: 'opportunistic' };
  const routes = (settings.routes ?? []).length > 0 ? [] : [route];
  writeFileSync(file, JSON.stringify({ ...settings, routes }, null, 2));
}

/** After a crash that left a small and a large message in the middle of their delivery. */
async function start(world: World, token: string, point?: Point): Promise<Run> {
  const { relay } = world;
  await relay.stop(); // empties the log of the database, so that each start reads as much of it
  await relay.start();
  const release = world.hold();
  const sent = [await world.send(`${token}s`, 'anna@dest.test', SMALL), await world.send(`${token}l`, 'anna@dest.test', LARGE)];
  await relay.stop('SIGKILL');
  release();
  const folder = temporaryFolder('trace');
  const file = join(folder.path, 'log');
  await relay.start(underStrace(file, point)).catch(() => {}); // it died: that is told by running()
  const died = await diedOrDone(world);
  await relay.stop('SIGKILL');
  const all = (): Role => 'all';
  const counted = countedIn(linesOf(file), world, point, all);
  folder.remove();
  if (!died) await relay.start();
  return { sent, died, ...counted };
}

/**
 * From the moment that a report about TLS is asked for to its arrival: a session that was counted is stored, then come the look-up, the row of
 * the report and that of its mail.
 */
async function report(world: World, token: string, point?: Point): Promise<Run> {
  const owed = world.owesReport(token);
  const mail = await world.send(token, `anna@${owed.report.reportTo}`, SMALL);
  await world.drained();
  const traced = await watch(world, point);
  const ask = () => world.relay.command(['tls', 'reports', 'send', owed.day, owed.report.reportTo!]);
  await ask();
  // An operator who asks again, so that a write that failed is repeated before the next minute.
  const again = setInterval(() => void ask().catch(() => {}), ASKED_AGAIN); // refused where it is on its way
  const died = await traced.end().finally(() => clearInterval(again));
  return { sent: [mail, { ...owed.report, acknowledged: true }], died, ...traced.counted() };
}

/** From the first look-up of a domain with an enforced policy: its record, its file over HTTPS, its row, and mail to a host that it names. */
async function policy(world: World, token: string, point?: Point): Promise<Run> {
  await withoutRoute(world);
  const { domain, found } = await world.unknownPolicy();
  const sent = [await world.send(token, `anna@${domain}`, SMALL)];
  await world.delayed(sent[0]!.recipient);
  const traced = await watch(world, point);
  found();
  const died = await traced.end();
  return { sent, died, ...traced.counted() };
}

/** Traces the relay that runs. */
export async function watch(world: World, point: Point | undefined) {
  const pid = world.relay.pid();
  const roles = rolesOf(pid);
  const trace = await attach(pid, point?.role ?? 'all', point);
  let lines: readonly string[] = [];
  const look = () => {
    if (lines.length === 0) lines = trace.lines();
  };
  return {
    /** What was counted when this, or `end`, was called first. */
    counted() {
      look();
      return countedIn(lines, world, point, (tid) => roles.get(tid));
    },
    /** Ends a fault, a while after it was met. */
    async lift(): Promise<void> {
      await until('a fault', () => failedIn(trace.lines()).length > 0, { deadline: 3 * SECOND }).catch(() => {}); // not met
      await new Promise((resolve) => setTimeout(resolve, SECOND));
      look();
      await trace.detach();
    },
    detach: trace.detach,
    /** @returns true when it died */
    async end(): Promise<boolean> {
      if (point?.fault?.how === 'from then on') await this.lift();
      try {
        return await diedOrDone(world);
      } finally {
        look();
        await trace.detach();
      }
    },
  };
}

function countedIn(
  lines: readonly string[],
  { relay, certificate }: World,
  point: Point | undefined,
  roleOf: (tid: number) => Role | undefined,
): Counted {
  const folders = [join(relay.folder, 'data'), join(relay.folder, 'smarthost.yaml'), dirname(certificate.key)];
  if (point === undefined) return { points: pointsOf(lines, roleOf, folders), made: 0, failed: false };
  const met = failedIn(lines);
  const failed = met.length > 0 && met.every((line) => matters(line, folders));
  return { points: [], made: mostOf(point.call, lines), failed };
}

/** Waits until it is dead, or has nothing left to do. */
async function diedOrDone({ relay, open }: World): Promise<boolean> {
  const dead = () => !relay.running();
  await until('a crash, or an empty queue', () => dead() || open().size === 0, { context: () => relay.output().slice(-3000) });
  await until('a crash', dead, { deadline: AFTERWARDS }).catch(() => {}); // it lived
  return dead();
}
