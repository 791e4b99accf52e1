/** The main thread's side of the store. It sends the requests of one turn of the event loop together, and resolves their promises. */
import { Worker } from 'node:worker_threads';
import { SECOND } from '../../system/clock.ts';
import { type OpenOptions, StoreError } from '../opening.ts';
import type { Change } from '../store.ts';
import type { Argument, Name, Result } from './operations.ts';
import { type Answers, type Failure, type FromWorker, failureError, type Request, type WorkerOptions } from './protocol.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5 * SECOND;
/** Milliseconds. A write that is not urgent waits so long for an urgent one, to share its sync. */
const COMPANY = 5;

type ClientOptions = Pick<OpenOptions, 'onCommit' | 'onDamaged' | 'onTrouble'> & {
  readonly worker: WorkerOptions;
  /** Gets the names of files that no row names any more. */
  readonly unlink: (names: readonly string[]) => void;
};

const ANYTHING: readonly Change[] = ['credentials', 'limits', 'keys', 'certificates', 'policies', 'notices', 'queue:*'];

type Pending = { resolve(result: unknown): void; reject(error: Error): void };

export class StoreClient {
  readonly #options: ClientOptions;
  #worker: Worker | undefined;
  #outbox: Request[] = [];
  #transfer: ArrayBuffer[] = [];
  #soon = false;
  #later: NodeJS.Timeout | undefined;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #pause = FIRST_PAUSE;
  #closed: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  readonly #listeners: ((changes: ReadonlySet<Change>) => void)[] = [];

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** @throws StoreError if the database cannot be opened. */
  start(): Promise<void> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: this.#options.worker,
      name: 'store',
      execArgv: ['--disable-warning=ExperimentalWarning'], // replaces the flags of this process: some of them forbid a worker from a file
    });
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message === 'opened') {
          this.#worker = worker;
          // The changes of the last thread, and those of other processes meanwhile, were not reported.
          if (this.#lastId > 0) this.#tell(ANYTHING);
          if (this.#closing !== undefined) worker.postMessage('close');
          if (this.#listeners.length > 0) worker.postMessage('watch');
          resolve();
        } else if (message === 'closed') this.#closed?.();
        else if ('foreign' in message) this.#tell(message.foreign);
        else if ('refused' in message) reject(new StoreError(message.refused.message));
        else this.#settle(message);
      });
      let cause: unknown;
      worker.on('error', (error: Error) => {
        cause = error;
        if (this.#worker === worker) this.#options.onTrouble?.(error);
      });
      worker.on('exit', () => {
        reject(new StoreError('The thread of the store ended while it opened', { cause }));
        if (this.#worker === worker) this.#ended();
      });
    });
  }

  /** Rejects if the change is not on the disk. @param transfer memory that is transferred and not copied. */
  call<K extends Name>(name: K, argument: Argument<K>, transfer?: ArrayBuffer): Promise<Result<K>> {
    if (!this.#soon) {
      this.#soon = true;
      setImmediate(() => this.#flush());
    }
    return this.#queue(name, argument, transfer);
  }

  /** Like `call`, but is sent with the next urgent request, or a few milliseconds later. */
  callWithCompany<K extends Name>(name: K, argument: Argument<K>): Promise<Result<K>> {
    if (!this.#soon) this.#later ??= setTimeout(() => this.#flush(), COMPANY);
    return this.#queue(name, argument);
  }

  #queue<K extends Name>(name: K, argument: Argument<K>, transfer?: ArrayBuffer): Promise<Result<K>> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.#worker === undefined || this.#closing !== undefined) return reject(this.#unusable());
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve, reject });
      this.#outbox.push([id, name, argument]);
      if (transfer !== undefined) this.#transfer.push(transfer);
    }) as Promise<Result<K>>;
  }

  onChange(listener: (changes: ReadonlySet<Change>) => void): void {
    if (this.#listeners.push(listener) === 1) this.#worker?.postMessage('watch');
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#flush();
      this.#closing = new Promise((resolve) => {
        this.#closed = resolve;
        if (this.#worker === undefined) resolve();
        else this.#worker.postMessage('close');
      });
    }
    return this.#closing;
  }

  #flush(): void {
    this.#soon = false;
    clearTimeout(this.#later);
    this.#later = undefined;
    const outbox = this.#outbox;
    const transfer = this.#transfer;
    if (outbox.length === 0) return;
    this.#outbox = [];
    this.#transfer = [];
    try {
      this.#worker?.postMessage(outbox, transfer);
    } catch (cause) {
      // The caller gave memory that cannot be transferred. Nothing was sent.
      for (const [id] of outbox) this.#take(id)?.reject(new Error('The store cannot take this request', { cause }));
    }
  }

  #tell(changes: readonly Change[]): void {
    const set = new Set(changes);
    for (const listener of this.#listeners) listener(set);
  }

  #settle({ results, failures, unlink, damaged, changes, commit, trouble }: Answers): void {
    this.#pause = FIRST_PAUSE;
    if (changes.length > 0) this.#tell(changes);
    for (let i = 0; i < results.length; i += 2) this.#take(results[i] as number)?.resolve(results[i + 1]);
    for (const [id, failure] of failures) this.#take(id)?.reject(failureError(failure));
    if (commit !== null) this.#options.onCommit?.(...commit);
    if (unlink.length > 0) this.#options.unlink(unlink);
    for (const damage of damaged) this.#options.onDamaged?.(damage);
    if (trouble !== null) this.#trouble(trouble);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #trouble(failure: Failure): void {
    this.#options.onTrouble?.(failureError(failure));
  }

  #unusable(): Error {
    return failureError({
      code: 'ESTORE',
      message: this.#closing !== undefined ? 'The store is closed' : 'The thread of the store ended and starts again',
    });
  }

  /** The result of the pending requests is unknown, so that each of them rejects. */
  #ended(): void {
    this.#worker = undefined;
    this.#outbox = [];
    this.#transfer = [];
    for (const { reject } of this.#pending.values())
      reject(failureError({ code: 'ESTORE', message: 'The thread of the store ended' }));
    this.#pending.clear();
    this.#closed?.();
    if (this.#closing === undefined) this.#startAgain();
  }

  #startAgain(): void {
    const pause = this.#pause;
    this.#pause = Math.min(pause * 2, LONGEST_PAUSE);
    setTimeout(() => {
      if (this.#closing !== undefined) return;
      this.start().catch((error: Error) => {
        this.#options.onTrouble?.(error);
        this.#startAgain();
      });
    }, pause);
  }
}
