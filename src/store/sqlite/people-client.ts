/** Requests of people: what may read much goes to a thread of its own, which lives as long as it is asked, and the rest to the thread of the store. */
import { MINUTE } from '../../system/clock.ts';
import { StoreClient } from './client.ts';
import type { Argument, Name, Result } from './operations.ts';
import type { WorkerOptions } from './protocol.ts';
import type { RequestOptions, StoreCaller } from './requests.ts';

/** They read messages by the thousand, or whole tables. */
const READS_MUCH: ReadonlySet<Name> = new Set([
  ...(['list', 'browse', 'get', 'find', 'waiting', 'preview', 'summary', 'queueGroups', 'signatureInUse'] as const),
  ...(['refusals', 'refused', 'history', 'changes', 'listStsPolicies', 'tlsReports', 'tlsFailures'] as const),
]);
const IDLE = MINUTE;

export class PeopleClient implements StoreCaller {
  readonly #store: StoreCaller;
  readonly #worker: WorkerOptions;
  #reader: Promise<StoreClient> | undefined;
  #asked = 0;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;
  /** Threads that end. */
  #ending: Promise<unknown> = Promise.resolve();

  constructor(store: StoreCaller, worker: WorkerOptions) {
    this.#store = store;
    this.#worker = worker;
  }

  call<K extends Name>(name: K, argument: Argument<K>, more?: RequestOptions): Promise<Result<K>> {
    // After the end, the thread of the store says what is wrong.
    return READS_MUCH.has(name) && !this.#closed ? this.#read(name, argument) : this.#store.call(name, argument, more);
  }

  callWithCompany<K extends Name>(name: K, argument: Argument<K>): Promise<Result<K>> {
    return this.#store.callWithCompany(name, argument);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end();
    await this.#ending;
  }

  async #read<K extends Name>(name: K, argument: Argument<K>): Promise<Result<K>> {
    clearTimeout(this.#idle);
    this.#asked++;
    try {
      return await (await this.#open()).call(name, argument);
    } finally {
      if (--this.#asked === 0 && !this.#closed) this.#idle = setTimeout(() => this.#end(), IDLE).unref();
    }
  }

  #open(): Promise<StoreClient> {
    if (this.#reader !== undefined) return this.#reader;
    const reader = startReader(this.#worker);
    this.#reader = reader;
    reader.catch(() => {
      if (this.#reader === reader) this.#reader = undefined; // the next one asks again
    });
    return reader;
  }

  /** It is given up before anything is waited for: who asks meanwhile gets another thread. */
  #end(): void {
    clearTimeout(this.#idle);
    const reader = this.#reader;
    this.#reader = undefined;
    const ended = reader?.then(
      (client) => client.close(),
      () => {},
    );
    this.#ending = Promise.all([this.#ending, ended]);
  }
}

async function startReader(worker: WorkerOptions): Promise<StoreClient> {
  const thread = new URL('./reading-worker.ts', import.meta.url);
  const client = new StoreClient({ thread, worker, unlink: () => {} });
  await client.start();
  return client;
}
