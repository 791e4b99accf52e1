/** Requests to the thread of the store. Those of one turn of the event loop are sent together. Each of them has a promise. */
import { type Clock, sharedMonotonic } from '../../system/clock.ts';
import type { ChangeNote } from '../audit-store.ts';
import type { Lease } from '../lease.ts';
import type { Change } from '../store.ts';
import type { Argument, Name, Result } from './operations.ts';
import { type Answers, failureError, type Request } from './protocol.ts';

/** Milliseconds. A write that is not urgent waits so long for an urgent one, to share its sync. */
const COMPANY = 5;

type Pending = { resolve(result: unknown): void; reject(error: Error): void };
/** The thread of the store, or a port to it. */
type Endpoint = { postMessage(requests: readonly Request[], transfer: ArrayBuffer[]): void };

export type RequestOptions = {
  /** Memory that is transferred and not copied. */
  readonly transfer?: ArrayBuffer | undefined;
  /** Written with the change. */
  readonly note?: ChangeNote;
  /** Must be held when the change is stored. */
  readonly lease?: Lease;
};
/** Who takes requests. */
export type StoreCaller = Pick<Requests, 'call' | 'callWithCompany'>;

/** All its requests have the note. */
export function withNote(client: StoreCaller, note: ChangeNote): StoreCaller {
  return {
    call: (name, argument, more) => client.call(name, argument, { ...more, note }),
    callWithCompany: (name, argument) => client.call(name, argument, { note }),
  };
}

/** All its requests have the lease. */
export function withLease(client: StoreCaller, lease: Lease): StoreCaller {
  return {
    call: (name, argument, more) => client.call(name, argument, { ...more, lease }),
    callWithCompany: (name, argument) => client.call(name, argument, { lease }),
  };
}

export class Requests implements StoreCaller {
  #endpoint: Endpoint | undefined;
  #outbox: Request[] = [];
  #transfer: ArrayBuffer[] = [];
  #soon = false;
  #later: NodeJS.Timeout | undefined;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closed = false;
  #clock: number | undefined;
  readonly #listeners: ((changes: ReadonlySet<Change>) => void)[] = [];

  /** Rejects if the change is not on the disk. */
  call<K extends Name>(name: K, argument: Argument<K>, more: RequestOptions = {}): Promise<Result<K>> {
    if (!this.#soon) {
      this.#soon = true;
      setImmediate(() => this.flush());
    }
    return this.#queue(name, argument, more);
  }

  /** Like `call`, but is sent with the next urgent request, or a few milliseconds later. */
  callWithCompany<K extends Name>(name: K, argument: Argument<K>): Promise<Result<K>> {
    if (!this.#soon) this.#later ??= setTimeout(() => this.flush(), COMPANY);
    return this.#queue(name, argument, {});
  }

  #queue<K extends Name>(name: K, argument: Argument<K>, { transfer, note, lease }: RequestOptions): Promise<Result<K>> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.#endpoint === undefined || this.#closed) return reject(this.#unusable());
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve, reject });
      this.#outbox.push(note === undefined && lease === undefined ? [id, name, argument] : [id, name, argument, note, lease]);
      if (transfer !== undefined) this.#transfer.push(transfer);
    }) as Promise<Result<K>>;
  }

  /** The clock of the data, as it was read last. That of this machine as long as it was not read. */
  readonly now: Clock = () => (this.#clock === undefined ? Date.now() : Math.round(sharedMonotonic() + this.#clock));

  protected setClock(offset: number): void {
    this.#clock = offset;
  }

  onChange(listener: (changes: ReadonlySet<Change>) => void): void {
    this.#listeners.push(listener);
  }

  protected get isWatched(): boolean {
    return this.#listeners.length > 0;
  }

  protected tell(changes: readonly Change[]): void {
    const set = new Set(changes);
    for (const listener of this.#listeners) listener(set);
  }

  protected attach(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
  }

  /** The thread has ended. The result of the pending requests is unknown, so that each of them rejects. */
  protected detach(): void {
    this.#endpoint = undefined;
    this.#outbox = [];
    this.#transfer = [];
    for (const { reject } of this.#pending.values())
      reject(failureError({ code: 'ESTORE', message: 'The thread of the store ended' }));
    this.#pending.clear();
  }

  /** Sends what waits. Later requests are rejected. */
  protected end(): void {
    this.flush();
    this.#closed = true;
  }

  protected settle({ results, failures, changes }: Answers): void {
    if (changes.length > 0) this.tell(changes);
    for (let i = 0; i < results.length; i += 2) this.#take(results[i] as number)?.resolve(results[i + 1]);
    for (const [id, failure] of failures) this.#take(id)?.reject(failureError(failure));
  }

  protected flush(): void {
    this.#soon = false;
    clearTimeout(this.#later);
    this.#later = undefined;
    const outbox = this.#outbox;
    const transfer = this.#transfer;
    if (outbox.length === 0) return;
    this.#outbox = [];
    this.#transfer = [];
    try {
      this.#endpoint?.postMessage(outbox, transfer);
    } catch (cause) {
      // The caller gave memory that cannot be transferred. Nothing was sent.
      for (const [id] of outbox) this.#take(id)?.reject(new Error('The store cannot take this request', { cause }));
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #unusable(): Error {
    return failureError({
      code: 'ESTORE',
      message: this.#closed ? 'The store is closed' : 'The thread of the store ended and starts again',
    });
  }
}
