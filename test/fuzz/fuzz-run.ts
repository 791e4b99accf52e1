/** Fuzzes one parser for a time, and watches it: a broken promise, a hang, or memory that is kept. */
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { collectGarbage } from './garbage.ts';
import type { Question, WorkerInput, WorkerOutput } from './worker.ts';

const SECOND = 1000;
const MEGABYTE = 1024 * 1024;
const MAX_INPUT = 256 * 1024;
/** Octets of an input that a terminal bears. */
const MAX_SHOWN = 1024;
/** A parser that takes longer for one input hangs. A process that was not scheduled is no hang: its processor time tells. */
const HANG = SECOND;
/**
 * What lives after a collection is what somebody holds: ten octets for each input pass this within minutes. Below it are the
 * inputs that are kept, code, and what V8 learns about it.
 */
const MAX_KEPT = 25 * MEGABYTE;
/**
 * Resident memory is no measure for that: for parsers that allocate fast, V8 doubles the space of young objects up to 128 MB a
 * thread, and keeps it when it is empty; and what one large input took stays with the process after its collection. So both
 * spaces of the worker have an end, which fails it, and what grows beyond them is outside of the heap.
 */
const YOUNG_MEGABYTES = 16;
const OLD_MEGABYTES = 512;
const MAX_RESIDENT = (YOUNG_MEGABYTES + OLD_MEGABYTES) * MEGABYTE;
const CORPUS = new URL('corpus/', import.meta.url).pathname;

export type FuzzOptions = { readonly target: string; readonly seconds: number; readonly seed: number; readonly save?: boolean };
export type FuzzResult = {
  readonly target: string;
  readonly tries: number;
  /** Lines of the parser, and of packages under it, that ran. */
  readonly lines: number;
  /** Inputs that ran code that none before had run. */
  readonly found: number;
  /** With `save`: those that the corpus needs beside what it has, as octets in latin1. */
  readonly corpus: readonly string[];
  /** Octets: growth after the first quarter of the time, of what lives after a collection and of resident memory. */
  readonly kept: number;
  readonly resident: number;
  /** What is wrong, with the input in base64, or where it is. */
  readonly failures: readonly string[];
};

export function readCorpus(target: string): readonly string[] {
  return JSON.parse(readFileSync(join(CORPUS, `${target}.json`), 'utf8')) as string[];
}

export async function fuzz({ target, seconds, seed, save = false }: FuzzOptions): Promise<FuzzResult> {
  const watched = startWorker(target, seed);
  const { failures } = watched;
  const begun = Date.now();
  let base: Memory | undefined;
  while (Date.now() < begun + seconds * SECOND && failures.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (base === undefined && Date.now() > begun + (seconds * SECOND) / 4) base = await memoryOf(watched);
    watched.look();
  }
  const end = base === undefined || failures.length > 0 ? undefined : await memoryOf(watched);
  const growth = (of: keyof Memory) => (base === undefined || end === undefined ? 0 : end[of] - base[of]);
  const [kept, resident] = [growth('live'), growth('resident')];
  if (kept > MAX_KEPT) failures.push(`${target}: keeps ${Math.round(kept / MEGABYTE)} MB`);
  if (resident > MAX_RESIDENT) failures.push(`${target}: resident memory grew by ${Math.round(resident / MEGABYTE)} MB`);
  const tries = watched.tries();
  const { lines = 0, found = 0 } = (end && (await watched.ask('result'))) ?? {};
  const { inputs: corpus = [] } = (end && save && (await watched.ask('corpus'))) || {};
  await watched.worker.terminate();
  return { target, tries, lines, found, corpus, kept, resident, failures };
}

type Answer<Q extends Question> = Extract<WorkerOutput, { kind: Q }>;

type Watched = {
  readonly worker: Worker;
  readonly failures: string[];
  tries(): number;
  /** Notices a hang. */
  look(): void;
  /** undefined: the thread has ended, or hangs. */
  ask<Q extends Question>(question: Q): Promise<Answer<Q> | undefined>;
};

function startWorker(target: string, seed: number): Watched {
  const progress = new SharedArrayBuffer(8);
  const current = new SharedArrayBuffer(MAX_INPUT);
  const counters = new Int32Array(progress);
  const workerData: WorkerInput = { target, seed, corpus: readCorpus(target), progress, current };
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES, maxOldGenerationSizeMb: OLD_MEGABYTES },
  });
  const failures: string[] = [];
  const fail = (text: string, input: Buffer) => failures.push(`${target}: ${text}\n  input ${shown(input, target)}`);
  const now = () => Buffer.from(Buffer.from(current).subarray(0, Math.max(0, Atomics.load(counters, 1))));
  worker.on('message', (output: WorkerOutput) => {
    if (output.kind === 'failure') fail(output.text, Buffer.from(output.input, 'latin1'));
  });
  worker.on('error', (error) => fail(`${(error as Error).stack}`, now()));
  let last = { tries: -1, since: Date.now(), cpu: process.cpuUsage() };
  const tries = () => Atomics.load(counters, 0);
  return {
    worker,
    failures,
    tries,
    look: () => {
      if (tries() !== last.tries) last = { tries: tries(), since: Date.now(), cpu: process.cpuUsage() };
      const busy = process.cpuUsage(last.cpu).user / 1000 > HANG && Date.now() - last.since > HANG;
      if (busy && Atomics.load(counters, 1) >= 0) fail('hangs', now());
    },
    ask: (question) => ask(worker, question),
  };
}

/** In base64; a long one in a file. */
function shown(input: Buffer, target: string): string {
  if (input.length <= MAX_SHOWN) return input.toString('base64');
  const file = join(tmpdir(), `fuzz-${target}-${process.pid}.bin`);
  writeFileSync(file, input);
  return `in ${file}`;
}

function ask<Q extends Question>(worker: Worker, question: Q): Promise<Answer<Q> | undefined> {
  return new Promise((resolve) => {
    const end = (answer?: Answer<Q>) => {
      clearTimeout(timer);
      worker.off('message', listen).off('exit', none);
      resolve(answer);
    };
    const listen = (output: WorkerOutput) => {
      if (output.kind === question) end(output as Answer<Q>);
    };
    const none = () => end();
    const timer = setTimeout(none, 300 * SECOND);
    worker.on('message', listen).on('exit', none);
    worker.postMessage(question);
  });
}

/** `live`: in the heap of the thread and in the buffers it holds. `resident`: of the whole process. */
type Memory = { readonly live: number; readonly resident: number };

async function memoryOf(watched: Watched): Promise<Memory | undefined> {
  const answer = await watched.ask('memory');
  collectGarbage();
  return answer === undefined ? undefined : { live: answer.live, resident: process.memoryUsage.rss() };
}
