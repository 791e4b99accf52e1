/** The ports that bring requests: of the main thread, and of threads that share the store. Each answer goes to the port of its request. */
import type { MessagePort } from 'node:worker_threads';
import type { Change } from '../store.ts';
import type { GroupResult } from './group-commit.ts';
import type { Answers, ClockOffset, Failure, Request, ToJoined } from './protocol.ts';

type Origin = { readonly port: MessagePort; readonly id: number };
type Share = { results: unknown[]; failures: [number, Failure][]; transfer: ArrayBuffer[] };

export class Ports {
  readonly #main: MessagePort;
  readonly #joined = new Set<MessagePort>();
  /** By the id that a request has in this thread. Requests of the main thread keep their ids, which are positive. */
  readonly #origins = new Map<number, Origin>();
  #lastId = 0;
  #clock: ClockOffset | undefined;

  readonly #transferOf: (request: Request, result: unknown) => ArrayBuffer[];

  /** @param transferOf memory of a result that is transferred and not copied. */
  constructor(main: MessagePort, transferOf: (request: Request, result: unknown) => ArrayBuffer[]) {
    this.#main = main;
    this.#transferOf = transferOf;
  }

  get all(): Iterable<MessagePort> {
    return this.#joined.size === 0 ? [this.#main] : [this.#main, ...this.#joined];
  }

  add(port: MessagePort, listen: (port: MessagePort) => void): void {
    this.#joined.add(port);
    if (this.#clock !== undefined) port.postMessage(this.#clock);
    port.on('close', () => this.#joined.delete(port));
    listen(port);
  }

  /** Gives the requests of a joined port ids that no other request has. */
  take(port: MessagePort, requests: readonly Request[]): readonly Request[] {
    if (port === this.#main) return requests;
    return requests.map(([id, ...rest]) => {
      this.#origins.set(--this.#lastId, { port, id });
      return [this.#lastId, ...rest];
    });
  }

  /** Sends the answers of one group. The main thread alone hears of commits, files and failures of the whole group. */
  answer(requests: readonly Request[], outcome: GroupResult): void {
    const { answers, transfer } = outcome;
    if (!requests.some(([id]) => id < 0)) {
      this.#main.postMessage(answers, transfer);
      this.#tellOthers(answers.changes);
      return;
    }
    const own: Share = { results: [], failures: [], transfer: [] };
    const shares = new Map<MessagePort, Share>([[this.#main, own]]);
    const byId = new Map(requests.map((request) => [request[0], request]));
    for (let i = 0; i < answers.results.length; i += 2) {
      const [id, result] = [answers.results[i] as number, answers.results[i + 1]];
      const { share, own } = this.#shareOf(shares, id);
      share.results.push(own, result);
      share.transfer.push(...this.#transferOf(byId.get(id)!, result));
    }
    for (const [id, failure] of answers.failures) {
      const { share, own } = this.#shareOf(shares, id);
      share.failures.push([own, failure]);
    }
    this.#main.postMessage({ ...answers, results: own.results, failures: own.failures } satisfies Answers, own.transfer);
    this.#tellOthers(answers.changes); // before the answers: a change is reported before it resolves
    for (const [port, { results, failures, transfer }] of shares) {
      if (port === this.#main) continue;
      const nothing = { unlink: [], damaged: [], changes: [], commit: null, trouble: null };
      port.postMessage({ results, failures, ...nothing } satisfies Answers, transfer);
    }
  }

  /** Changes of other processes. */
  tell(foreign: readonly Change[]): void {
    this.#main.postMessage({ foreign } satisfies ToJoined);
    this.#tellOthers(foreign);
  }

  /** The clock of the data was read. */
  tellClock(clock: number): void {
    this.#clock = { clock };
    for (const port of this.all) port.postMessage(this.#clock);
  }

  close(): void {
    for (const port of this.all) port.close();
  }

  #tellOthers(foreign: readonly Change[]): void {
    if (foreign.length === 0) return;
    for (const port of this.#joined) port.postMessage({ foreign } satisfies ToJoined);
  }

  #shareOf(shares: Map<MessagePort, Share>, id: number): { readonly share: Share; readonly own: number } {
    const origin = this.#origins.get(id) ?? { port: this.#main, id };
    this.#origins.delete(id);
    let share = shares.get(origin.port);
    if (share === undefined) shares.set(origin.port, (share = { results: [], failures: [], transfer: [] }));
    return { share, own: origin.id };
  }
}
