/** The thread that tries inputs. What it tries stands in shared memory first, so that a hang can be told. */
import { parentPort, workerData } from 'node:worker_threads';
import { collectGarbage } from './garbage.ts';
import { mutate, randomFrom } from './mutate.ts';
import { TARGETS } from './targets.ts';

export type WorkerInput = {
  readonly target: string;
  readonly seed: number;
  /** Octets as latin1. */
  readonly corpus: readonly string[];
  /** [tries, length of the input that is tried now]; -1: between two. */
  readonly progress: SharedArrayBuffer;
  readonly current: SharedArrayBuffer;
};
/** What it tells: an input that showed something new, or one that broke a promise, after which it ends. */
export type WorkerOutput = { readonly kind: 'new' | 'failure' | 'collected'; readonly input: string; readonly text: string };

const { target, seed, corpus, progress, current } = workerData as WorkerInput;
const run = TARGETS[target]!;
const random = randomFrom(seed);
const counters = new Int32Array(progress);
const shared: Uint8Array<ArrayBufferLike> = new Uint8Array(current);
const seen = new Set<string>();
const KEPT = 500;
const KEPT_LENGTH = 4096;
/** Milliseconds between turns of the event loop: the watcher's messages come through there. */
const BREATH = 50;

const inputs: Buffer[] = corpus.map((text) => Buffer.from(text, 'latin1'));
const words = inputs
  .flatMap((input) => input.toString('latin1').match(/[\w-]+|[^\w-]+/g) ?? [])
  .map((word) => Buffer.from(word, 'latin1'));

parentPort!.on('message', () => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  parentPort!.postMessage({ kind: 'collected', text: String(heapUsed + external), input: '' } satisfies WorkerOutput);
});

async function attempt(input: Buffer): Promise<boolean> {
  shared.set(input);
  Atomics.store(counters, 1, input.length);
  const tell = (kind: WorkerOutput['kind'], text: string) =>
    parentPort!.postMessage({ kind, text, input: input.toString('latin1') } satisfies WorkerOutput);
  try {
    const result = run(input, random(input.length + 1));
    const shape = typeof result === 'string' ? result : await result;
    if (!seen.has(shape) && seen.size < KEPT && input.length <= KEPT_LENGTH) {
      seen.add(shape);
      inputs.push(input);
      if (input.length < 400) tell('new', shape);
    }
    return true;
  } catch (error) {
    tell('failure', error instanceof Error ? `${error.stack}` : String(error));
    return false;
  } finally {
    Atomics.store(counters, 1, -1);
    Atomics.add(counters, 0, 1);
  }
}

for (const input of [...inputs]) if (!(await attempt(input))) process.exit();
for (let breath = Date.now(); ; ) {
  if (!(await attempt(mutate(inputs, words, random)))) process.exit();
  if (Date.now() - breath < BREATH) continue;
  await new Promise((resolve) => setImmediate(resolve));
  breath = Date.now();
}
