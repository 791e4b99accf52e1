/** The thread that tries inputs. What it tries stands in shared memory first, so that a hang can be told. */
import { parentPort, workerData } from 'node:worker_threads';
import { startCoverage } from './coverage.ts';
import { collectGarbage } from './garbage.ts';
import { mutate, randomFrom, wordsOf } from './mutate.ts';

export type WorkerInput = {
  readonly target: string;
  readonly seed: number;
  /** Octets as latin1. */
  readonly corpus: readonly string[];
  /** [tries, length of the input that is tried now]; -1: between two. */
  readonly progress: SharedArrayBuffer;
  readonly current: SharedArrayBuffer;
};
export type Question = 'memory' | 'result' | 'corpus';
/** A promise that was broken, after which it ends; or the answer to a question. */
export type WorkerOutput =
  | { readonly kind: 'failure'; readonly input: string; readonly text: string }
  /** Octets that live after a collection. */
  | { readonly kind: 'memory'; readonly live: number }
  /** Lines that ran, and how many inputs ran some that none had run before. */
  | { readonly kind: 'result'; readonly lines: number; readonly found: number }
  /** The inputs that it takes for that beside the corpus, as octets in latin1. */
  | { readonly kind: 'corpus'; readonly inputs: readonly string[] };

/** One input with the place where its bytes are cut. */
type Try = { readonly input: Buffer; readonly cut: number };

const { target, seed, corpus, progress, current } = workerData as WorkerInput;
const coverage = startCoverage();
const { TARGETS } = await import('./targets.ts');
coverage.take(false); // what runs at the start is no matter of inputs
const run = TARGETS[target]!;
const random = randomFrom(seed);
const counters = new Int32Array(progress);
const shared: Uint8Array<ArrayBufferLike> = new Uint8Array(current);
const seeds = corpus.map((text) => Buffer.from(text, 'latin1'));
/** What is changed into new inputs: the seeds, what ran new code, and some of what was answered in a new way. */
const inputs: Buffer[] = [...seeds];
const words = wordsOf(inputs);
const found: Buffer[] = [];
const seen = new Set<string>();
const MAX_SEEN = 100;
const MAX_FOUND = 500;
/** Inputs between two readings of the counters, which take about as long as a hundred inputs. */
const BATCH = 1000;
/** Milliseconds and octets of a batch; between two of them the watcher's messages come through. */
const BATCH_TIME = 50;
const BATCH_SIZE = 4 * 1024 * 1024;
/** Longest input of the corpus. */
const MAX_SAVED = 8192;
/** Milliseconds for taking useless pieces out of what is saved. */
const REDUCE_TIME = 30_000;

const tell = (output: WorkerOutput) => parentPort!.postMessage(output);

const questions: Question[] = [];
parentPort!.on('message', (question: Question) => questions.push(question));

async function answer(question: Question): Promise<void> {
  if (question === 'result') return tell({ kind: 'result', lines: coverage.lines(), found: found.length });
  if (question === 'corpus') return tell({ kind: 'corpus', inputs: await reduce() });
  collectGarbage();
  await new Promise((resolve) => setTimeout(resolve, 100)); // buffers are freed beside the thread, after the collection
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  tell({ kind: 'memory', live: heapUsed + external });
}

/** @returns a word for what the parser did; undefined: it broke a promise. */
async function attempt({ input, cut }: Try): Promise<string | undefined> {
  shared.set(input);
  Atomics.store(counters, 1, input.length);
  try {
    const shape = run(input, cut);
    return typeof shape === 'string' ? shape : await shape;
  } catch (error) {
    tell({
      kind: 'failure',
      text: error instanceof Error ? `${error.stack}` : String(error),
      input: input.toString('latin1'),
    });
    process.exit();
  } finally {
    Atomics.store(counters, 1, -1);
    Atomics.add(counters, 0, 1);
  }
}

async function runBatch(): Promise<readonly Try[]> {
  const tries: Try[] = [];
  const end = Date.now() + BATCH_TIME;
  for (let size = 0; tries.length < BATCH && size < BATCH_SIZE && Date.now() < end; ) {
    const input = mutate(inputs, words, random);
    const one = { input, cut: random(input.length + 1) };
    const shape = (await attempt(one))!;
    if (seen.size < MAX_SEEN && !seen.has(shape) && input.length < MAX_SAVED) {
      seen.add(shape);
      inputs.push(Buffer.from(input)); // a copy: what it was cut out of may be long
    }
    tries.push(one);
    size += input.length;
  }
  return tries;
}

/** Something in these ran code for the first time: halves are run again, until the inputs are found. */
async function keepNew(tries: readonly Try[]): Promise<void> {
  const half = Math.ceil(tries.length / 2);
  for (const part of [tries.slice(0, half), tries.slice(half)]) {
    for (const one of part) await attempt(one);
    const [first] = part;
    if (first === undefined || !coverage.take(part.length === 1)) continue;
    if (part.length > 1) await keepNew(part);
    else if (found.length < MAX_FOUND) {
      found.push(Buffer.from(first.input));
      inputs.push(found.at(-1)!);
    }
  }
}

/** Of what was found, shortest first, that which the corpus needs to run the same code, without the pieces that are of no use. */
async function reduce(): Promise<readonly string[]> {
  const runsNew = async (input: Buffer, keep: boolean) => {
    await attempt({ input, cut: input.length >> 1 });
    return coverage.take(keep);
  };
  coverage.forget();
  for (const input of seeds) await runsNew(input, true);
  const kept: string[] = [];
  const end = Date.now() + REDUCE_TIME;
  for (const whole of found.toSorted((a, b) => a.length - b.length)) {
    let input: Buffer = whole;
    if (input.length > MAX_SAVED || !(await runsNew(input, false))) continue;
    for (let size = input.length >> 1; size > 0 && Date.now() < end; size >>= 1) {
      for (let at = 0; at < input.length; ) {
        const shorter = Buffer.concat([input.subarray(0, at), input.subarray(at + size)]);
        if (await runsNew(shorter, false)) input = shorter;
        else at += size;
      }
    }
    await runsNew(input, true);
    kept.push(input.toString('latin1'));
  }
  return kept;
}

for (const input of seeds) await attempt({ input, cut: random(input.length + 1) });
coverage.take(true);
for (;;) {
  const tries = await runBatch();
  if (coverage.take(false)) await keepNew(tries);
  await new Promise((resolve) => setImmediate(resolve));
  for (const question of questions.splice(0)) await answer(question);
}
