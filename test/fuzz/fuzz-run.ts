/** Fuzzes one parser for a time, and watches it: a broken promise, a hang, or memory that grows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { collectGarbage } from './garbage.ts';
import type { WorkerInput, WorkerOutput } from './worker.ts';

const SECOND = 1000;
const MAX_INPUT = 256 * 1024;
/** A parser that takes longer for one input hangs. */
const HANG = SECOND;
/** A process that was not scheduled is no hang: its processor time tells. */
const MAX_GROWTH = 50 * 1024 * 1024;
const CORPUS = new URL('corpus/', import.meta.url).pathname;

export type FuzzOptions = { readonly target: string; readonly seconds: number; readonly seed: number };
export type FuzzResult = {
  readonly target: string;
  readonly tries: number;
  /** Inputs that made the parser do something that the others did not, as octets in latin1. */
  readonly found: readonly string[];
  /** Growth of resident memory after the first quarter of the time, in octets. */
  readonly growth: number;
  /** What is wrong, with the input in base64. */
  readonly failures: readonly string[];
};

export function readCorpus(target: string): readonly string[] {
  return JSON.parse(readFileSync(join(CORPUS, `${target}.json`), 'utf8')) as string[];
}

export async function fuzz({ target, seconds, seed }: FuzzOptions): Promise<FuzzResult> {
  const progress = new SharedArrayBuffer(8);
  const current = new SharedArrayBuffer(MAX_INPUT);
  const counters = new Int32Array(progress);
  const corpus = readCorpus(target);
  const workerData: WorkerInput = { target, seed, corpus, progress, current };
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData });
  const found: string[] = [];
  const failures: string[] = [];
  const now = () => Buffer.from(Buffer.from(current).subarray(0, Math.max(0, Atomics.load(counters, 1)))).toString('base64');
  worker.on('message', ({ kind, input, text }: WorkerOutput) => {
    if (kind === 'new') found.push(input);
    else if (kind === 'failure') failures.push(`${target}: ${text}\n  input ${Buffer.from(input, 'latin1').toString('base64')}`);
  });
  worker.on('error', (error) => failures.push(`${target}: ${error.stack}\n  input ${now()}`));
  let ended = false;
  worker.once('exit', () => {
    ended = true;
  });

  const begun = Date.now();
  const end = begun + seconds * SECOND;
  let base: number | undefined;
  let watched = { tries: -1, since: begun, cpu: process.cpuUsage() };
  while (Date.now() < end && !ended && failures.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (base === undefined && Date.now() > begun + (seconds * SECOND) / 4) base = await residentAfterCollection(worker);
    const tries = Atomics.load(counters, 0);
    if (tries !== watched.tries) watched = { tries, since: Date.now(), cpu: process.cpuUsage() };
    else if (
      Date.now() - watched.since > HANG &&
      process.cpuUsage(watched.cpu).user / 1000 > HANG &&
      Atomics.load(counters, 1) >= 0
    )
      failures.push(`${target}: hangs\n  input ${now()}`);
  }
  const growth = base === undefined || ended ? 0 : (await residentAfterCollection(worker)) - base;
  if (growth > MAX_GROWTH) failures.push(`${target}: resident memory grew by ${Math.round(growth / 1024 / 1024)} MB`);
  await worker.terminate();
  return { target, tries: Atomics.load(counters, 0), found, growth, failures };
}

/** Of the whole process, with nothing in it that could be collected. A thread that hangs is not waited for. */
async function residentAfterCollection(worker: Worker): Promise<number> {
  const collected = new Promise<void>((resolve) => {
    const listen = ({ kind }: WorkerOutput) => {
      if (kind !== 'collected') return;
      worker.off('message', listen);
      resolve();
    };
    worker.on('message', listen);
  });
  worker.postMessage('collect');
  await Promise.race([collected, new Promise((resolve) => setTimeout(resolve, 2 * SECOND))]);
  collectGarbage();
  return process.memoryUsage.rss();
}
