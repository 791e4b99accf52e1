/** The five parts of a message's life in which the relay is killed. Each leaves it running, or dead. */
import { join } from 'node:path';
import { temporaryFolder, until } from '../support/program.ts';
import { attach, linesOf, type Point, pointsOf, type Role, rolesOf, underStrace } from './tracer.ts';
import { SECOND, type Sent, type World } from './world.ts';

export const SCENARIOS = ['accept', 'deliver', 'bounce', 'retry', 'start'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

/** Small messages lie in the database, large ones in a file of their own. */
const SMALL = 800;
const LARGE = 400_000;
/** What it does behind the last reply: notes, closing, removing. */
const AFTERWARDS = SECOND / 4;

export type Run = { readonly sent: readonly Sent[]; readonly died: boolean; readonly points: readonly Point[] };

/** @param point where to kill it; absent, its points are counted */
export function runScenario(world: World, name: ScenarioName, token: string, point?: Point): Promise<Run> {
  switch (name) {
    case 'accept':
      return accept(world, token, point);
    case 'deliver':
      return afterAcceptance(world, { token, point, recipient: `anna@dest.test`, size: LARGE });
    case 'bounce':
      return afterAcceptance(world, { token, point, recipient: `bad-${token}@dest.test`, size: SMALL });
    case 'retry':
      return afterAcceptance(world, { token, point, recipient: `later-${token}@dest.test`, size: SMALL });
    case 'start':
      return start(world, token, point);
  }
}

/** From the connection of the client to its 250: a small message, then a large one. */
async function accept(world: World, token: string, point?: Point): Promise<Run> {
  const release = world.hold();
  const traced = await watch(world, point?.role ?? 'all', point);
  const sent = [await world.send(`${token}s`, 'anna@dest.test', SMALL)];
  if (world.relay.running()) sent.push(await world.send(`${token}l`, 'anna@dest.test', LARGE));
  const points = traced.points();
  release();
  return { sent, points, died: await traced.end() };
}

type Message = {
  readonly token: string;
  readonly point: Point | undefined;
  readonly recipient: string;
  readonly size: number;
};

/** From the destination's reply to MAIL to the end of the message, and of the report about it. */
async function afterAcceptance(world: World, { token, point, recipient, size }: Message): Promise<Run> {
  const release = world.hold();
  const sent = [await world.send(token, recipient, size)];
  const traced = await watch(world, point?.role ?? 'all', point);
  release();
  const died = await traced.end();
  return { sent, died, points: traced.points() };
}

/** After a crash that left a small and a large message in the middle of their delivery. */
async function start(world: World, token: string, point?: Point): Promise<Run> {
  const { relay } = world;
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
  const points = point === undefined ? pointsOf(linesOf(file), all, join(relay.folder, 'data')) : [];
  folder.remove();
  if (!died) await relay.start();
  return { sent, points, died };
}

async function watch(world: World, role: Role, point?: Point) {
  const pid = world.relay.pid();
  const roles = rolesOf(pid);
  const trace = await attach(pid, role, point);
  let lines: readonly string[] = [];
  const look = () => {
    if (lines.length === 0) lines = trace.lines();
  };
  return {
    points() {
      if (point !== undefined) return [];
      look();
      return pointsOf(lines, (tid) => roles.get(tid), join(world.relay.folder, 'data'));
    },
    /** @returns true when it died */
    async end(): Promise<boolean> {
      const died = await diedOrDone(world);
      look();
      await trace.detach();
      return died;
    },
  };
}

/** Waits until it is dead, or has nothing left to do. */
async function diedOrDone({ relay, open }: World): Promise<boolean> {
  const dead = () => !relay.running();
  await until('a crash, or an empty queue', () => dead() || open().size === 0, { context: () => relay.output().slice(-3000) });
  await until('a crash', dead, { deadline: AFTERWARDS }).catch(() => {}); // it lived
  return dead();
}
