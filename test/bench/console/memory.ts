/**
 * What memory the console takes: while nobody looks, when it is used, and while somebody follows mail for some minutes. The inspector of V8
 * collects the garbage before each look.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/program.ts';
import { quantile } from '../../support/sample.ts';
import { watch } from './beside.ts';
import { firstPage, readsOf } from './reads.ts';
import { MIB, note, PASSWORD, type Rig, startRig } from './rig.ts';
import { steadyLoad } from './steady.ts';

const STARTS = 5;
const SETTLED = 3000;
const SOAK_MINUTES = Number(process.env['SOAK_MINUTES'] ?? 2);

/** By turns with a console and without one: memory after the start, and what the start takes. */
export async function measureUnused(): Promise<void> {
  const figures = {
    with: { own: [] as number[], start: [] as number[], cpu: [] as number[] },
    without: { own: [] as number[], start: [] as number[], cpu: [] as number[] },
  };
  for (let i = 0; i < STARTS; i++)
    for (const which of i % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const)) {
      const rig = await startRig({ messages: 10, console: which === 'with' });
      await rig.relay.stop();
      const began = performance.now();
      await rig.relay.start();
      figures[which].start.push(performance.now() - began);
      figures[which].cpu.push(rig.cpu());
      await sleep(SETTLED);
      figures[which].own.push(rig.memory().own);
      await rig.close();
    }
  const median = (which: keyof typeof figures, what: 'own' | 'start' | 'cpu') => quantile(figures[which][what], 0.5);
  note('processor of a start with a console, beside without', median('with', 'cpu') - median('without', 'cpu'), 'ms');
  note('start with a console, beside without', median('with', 'start') - median('without', 'start'), 'ms');
  note('memory of an unused console', (median('with', 'own') - median('without', 'own')) / MIB, 'MiB');
}

type Looked = { readonly heap: number; readonly all: number; readonly own: number };

/** Two relays get the same mail at the same time, and one of them is looked at: what it has more is what the console takes. */
export async function measureSoak(messages: number): Promise<void> {
  const [looked, alone] = await Promise.all([soak(messages, true), soak(messages, false)]);
  const more = (at: number, what: keyof Looked) => (looked.at(at)![what] - alone.at(at)![what]) / MIB;
  note('memory that a used console takes, beside mail', more(0, 'all'), 'MiB');
  note('of it no part of a file', more(0, 'own'), 'MiB');
  note(`the same after ${SOAK_MINUTES} minutes`, more(-1, 'all'), 'MiB');
  for (const [whose, points] of [
    ['looked at', looked],
    ['alone', alone],
  ] as const) {
    const grown = (what: keyof Looked) => (points.at(-1)![what] - points[0]![what]) / MIB;
    note(`heap of the one ${whose}, after garbage is collected`, points.at(-1)!.heap / MIB, 'MiB');
    note(`its growth in ${SOAK_MINUTES} minutes`, grown('heap'), 'MiB');
    note('growth of its memory', grown('all'), 'MiB');
  }
}

/** @returns one look for each minute. */
async function soak(messages: number, isLooked: boolean): Promise<readonly Looked[]> {
  const cache = mkdtempSync(join(tmpdir(), 'smarthost-bench-'));
  const rig = await startRig({ messages, env: { NODE_OPTIONS: '--inspect=127.0.0.1:0', NODE_COMPILE_CACHE: cache } });
  try {
    await firstPage(rig); // the first start of a version makes the files for browsers
    await until('files for browsers', () => existsSync(join(cache, 'console-pages')), { deadline: 60_000 });
    await rig.relay.stop();
    await rig.relay.start();
    const heap = await inspector(rig);
    const points: Looked[] = [];
    const look = async () => points.push({ heap: await heap.used(), ...rig.memory() });
    const order = { port: rig.relay.ports.submissions, password: PASSWORD, rate: 50 };
    const end = isLooked ? await watch(rig) : undefined;
    if (isLooked) await useAll(rig, messages);
    await steadyLoad({ ...order, seconds: 60 });
    await look();
    for (let minute = 0; minute < SOAK_MINUTES; minute++) {
      await steadyLoad({ ...order, seconds: 60 });
      await look();
    }
    await end?.();
    heap.close();
    return points;
  } finally {
    await rig.close();
    rmSync(cache, { recursive: true });
  }
}

async function useAll(rig: Rig, messages: number): Promise<void> {
  await firstPage(rig);
  for (let i = 0; i < 5; i++) for (const path of Object.values(readsOf(messages, rig.middle))) await rig.ask(path);
}

/** Speaks with the inspector of the relay, whose address it wrote when it started. */
async function inspector({ relay }: Rig) {
  const address = relay
    .output()
    .match(/ws:\/\/\S+/g)
    ?.at(-1);
  if (address === undefined) throw new Error('the relay has no inspector');
  const socket = new WebSocket(address);
  await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
  let last = 0;
  const ask = (method: string) =>
    new Promise<{ readonly usedSize: number }>((resolve) => {
      const id = ++last;
      const hear = ({ data }: MessageEvent) => {
        const answer = JSON.parse(String(data)) as { readonly id: number; readonly result: { readonly usedSize: number } };
        if (answer.id !== id) return;
        socket.removeEventListener('message', hear);
        resolve(answer.result);
      };
      socket.addEventListener('message', hear);
      socket.send(JSON.stringify({ id, method }));
    });
  return {
    /** Octets of the heap of the main thread. */
    async used(): Promise<number> {
      await ask('HeapProfiler.enable');
      await ask('HeapProfiler.collectGarbage');
      return (await ask('Runtime.getHeapUsage')).usedSize;
    },
    close: () => socket.close(),
  };
}
