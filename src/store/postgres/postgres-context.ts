/** The arguments of an operation on PostgreSQL, and the declaration of operations. */
import type { Effects } from '../sqlite/effects.ts';
import type { Argument, Name, Result } from '../sqlite/operations.ts';
import type { Requests } from '../sqlite/requests.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { DueChanges, DueMemory } from './due-memory.ts';

export type PostgresContext = {
  readonly tx: DatabaseTransaction;
  readonly effects: Effects;
  /** The destinations whose next attempts this transaction changes. */
  readonly due: DueChanges;
  readonly dueMemory: DueMemory;
  /** A claim is a sign of life of its owner. */
  readonly sign: (lease: string) => void;
  /** The number of this process, see `nodes.ts`. */
  readonly node: number;
  /** Random: this run of this process. */
  readonly incarnation: string;
  /** The name of this relay: whose back-off `paces` is, and whose retries are. */
  readonly machine: string;
  /** The other relays that lived some seconds ago. */
  readonly others: readonly string[];
};

/** A request that only the thread of this store takes, and that of a store in files does not. */
export const ownRequest =
  <A, R>(client: Pick<Requests, 'call'>, name: string) =>
  (argument: A): Promise<R> =>
    (client.call as unknown as (name: string, argument: A) => Promise<R>).call(client, name, argument);

/** `mail` operations share the transactions of the mail, see `mail-group.ts`. */
export type PostgresOperation<K extends Name> = {
  readonly kind: 'write' | 'read' | 'mail';
  readonly run: (context: PostgresContext, argument: Argument<K>) => Promise<Result<K>>;
  readonly transfer?: (result: Result<K>, argument: Argument<K>) => ArrayBuffer[];
};
export type OperationTable<K extends Name> = { readonly [Key in K]: PostgresOperation<Key> };
