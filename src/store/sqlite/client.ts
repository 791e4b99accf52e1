/** The main thread's side of the store. It starts the thread of the store, and gives other threads of this process their own ports to it. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SECOND } from '../../system/clock.ts';
import { type OpenOptions, StoreError } from '../opening.ts';
import type { Change, DatabaseSize, OtherRelay, StoreCondition } from '../store.ts';
import { ANY_CHANGE } from './feed.ts';
import { type Answers, type FromWorker, failureError } from './protocol.ts';
import { Requests } from './requests.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5 * SECOND;

type ClientOptions = Pick<OpenOptions, 'onCommit' | 'onDamaged' | 'onTrouble' | 'onWentBack'> & {
  /** The program of the thread. Absent: that of a store in files. */
  readonly thread?: URL;
  /** Its `workerData`. */
  readonly worker: object;
  /** The clock of the data was read. */
  readonly onClock?: () => void;
  /** A shared database was measured. */
  readonly onMeasure?: (database: DatabaseSize) => void;
  /** A shared database was restored, and all of its mail is held. */
  readonly onRestored?: () => void;
  /** Gets the names of files that no row names any more. */
  readonly unlink: (names: readonly string[]) => void;
};

export class StoreClient extends Requests {
  readonly #options: ClientOptions;
  #worker: Worker | undefined;
  #wasOpen = false;
  #pause = FIRST_PAUSE;
  #condition: StoreCondition = 'ready';
  #relays: readonly OtherRelay[] = [];
  #database: DatabaseSize | undefined;
  #digest: string | undefined;
  #closed: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  /** Who shares the store. Each gets a new port when the thread has started again. */
  readonly #sharers = new Set<(port: MessagePort) => void>();

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
  }

  /** @throws StoreError if the database cannot be opened. */
  start(): Promise<void> {
    const worker = new Worker(this.#options.thread ?? new URL('./worker.ts', import.meta.url), {
      workerData: this.#options.worker,
      name: 'store',
      execArgv: ['--disable-warning=ExperimentalWarning'], // replaces the flags of this process: some of them forbid a worker from a file
    });
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message === 'opened') {
          this.#opened(worker);
          resolve();
        } else if (message === 'closed') this.#closed?.();
        else if ('database' in message) this.#measured(message.database);
        else if ('relays' in message) this.#relays = message.relays;
        else if ('condition' in message) this.#condition = message.condition;
        else if ('wentBack' in message) this.#options.onWentBack?.(message.wentBack);
        else if ('isRestored' in message) this.#options.onRestored?.();
        else if ('clock' in message) this.#heardClock(message.clock);
        else if ('foreign' in message) this.tell(message.foreign);
        else if ('refused' in message) reject(new StoreError(message.refused.message));
        else this.settle(message);
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

  #opened(worker: Worker): void {
    this.#worker = worker;
    this.attach(worker);
    // The changes of the last thread, and those of other processes meanwhile, were not reported.
    if (this.#wasOpen) this.tell(ANY_CHANGE);
    this.#wasOpen = true;
    if (this.isWatched) worker.postMessage('watch');
    if (this.#digest !== undefined) worker.postMessage({ digest: this.#digest });
    for (const give of this.#sharers) this.#connect(give);
    if (this.#closing !== undefined) worker.postMessage('close');
  }

  /** @param give gets a port to the thread now, and a new one whenever the thread has started again. @returns ends it. */
  share(give: (port: MessagePort) => void): () => void {
    this.#sharers.add(give);
    this.#connect(give);
    return () => this.#sharers.delete(give);
  }

  #connect(give: (port: MessagePort) => void): void {
    if (this.#worker === undefined) return;
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ port: port1 }, [port1]);
    give(port2);
  }

  override onChange(listener: (changes: ReadonlySet<Change>) => void): void {
    if (!this.isWatched) this.#worker?.postMessage('watch');
    super.onChange(listener);
  }

  announce(digest: string): void {
    this.#digest = digest;
    this.#worker?.postMessage({ digest });
  }

  relays(): readonly OtherRelay[] {
    return this.#relays;
  }

  database(): DatabaseSize | undefined {
    return this.#database;
  }

  #measured(database: DatabaseSize): void {
    this.#database = database;
    this.#options.onMeasure?.(database);
  }

  condition(): StoreCondition {
    return this.#condition;
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.end();
      this.#closing = new Promise((resolve) => {
        this.#closed = resolve;
        if (this.#worker === undefined) resolve();
        else this.#worker.postMessage('close');
      });
    }
    return this.#closing;
  }

  protected override settle(answers: Answers): void {
    const { onCommit, onDamaged, onTrouble, unlink } = this.#options;
    this.#pause = FIRST_PAUSE;
    super.settle(answers);
    if (answers.commit !== null) onCommit?.(...answers.commit);
    if (answers.unlink.length > 0) unlink(answers.unlink);
    for (const damage of answers.damaged) onDamaged?.(damage);
    if (answers.trouble !== null) onTrouble?.(failureError(answers.trouble));
  }

  #heardClock(offset: number): void {
    this.setClock(offset);
    this.#options.onClock?.();
  }

  #ended(): void {
    this.#worker = undefined;
    this.#condition = 'ready'; // requests are rejected until the thread has started again
    this.detach();
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
