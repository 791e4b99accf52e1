/** What the thread of a store on PostgreSQL answers to requests: results with the memory that crosses, and errors. */
import { LeaseLost } from '../lease.ts';
import type { Effects } from '../sqlite/effects.ts';
import type { Ports } from '../sqlite/ports.ts';
import type { Answers, Failure, Request } from '../sqlite/protocol.ts';
import { IdTaken } from '../sqlite/rows.ts';
import type { Change } from '../store.ts';
import { databaseFailure } from './database-failure.ts';
import { postgresOperation } from './postgres-operations.ts';

type Done = {
  readonly results: readonly unknown[];
  readonly failures: readonly (readonly [number, Failure])[];
  readonly effects: Effects;
  readonly changes: readonly Change[];
  /** By `performance.now()`. null: nothing was committed. */
  readonly begun: number | null;
  readonly trouble?: Failure | null;
};

export class RequestAnswers {
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  answer(requests: readonly Request[], { results, failures, effects, changes, begun, trouble = null }: Done): void {
    const commit = begun === null ? null : ([(performance.now() - begun) / 1000, requests.length] as const);
    const answers: Answers = { results, failures, unlink: [], damaged: effects.damaged, changes, commit, trouble };
    const byId = new Map(requests.map((request) => [request[0], request]));
    const transfer: ArrayBuffer[] = [];
    for (let i = 0; i < results.length; i += 2) {
      const [, name, argument] = byId.get(results[i] as number)!;
      transfer.push(...memoryOf(name, results[i + 1], argument));
    }
    this.#ports.answer(requests, { answers, transfer });
  }

  rejectAll(requests: readonly Request[], error: unknown): void {
    const failure = databaseFailure(error);
    const failures = requests.map(([id]) => [id, failure] as const);
    const trouble = error instanceof IdTaken || error instanceof LeaseLost ? null : failure;
    this.#ports.answer(requests, {
      answers: { results: [], failures, unlink: [], damaged: [], changes: [], commit: null, trouble },
      transfer: [],
    });
  }
}

/** The memory that a result has to itself, so that it crosses without a copy. */
export function memoryOf(name: string, result: unknown, argument: unknown): ArrayBuffer[] {
  if (name === 'accept') {
    const { bytes } = result as { bytes: Uint8Array<ArrayBuffer> | null };
    return bytes === null ? [] : [bytes.buffer];
  }
  if (name === 'readChunk') return result === undefined ? [] : [(result as Uint8Array<ArrayBuffer>).buffer];
  return postgresOperation(name)?.transfer?.(result as never, argument as never) ?? [];
}
