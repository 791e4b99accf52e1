/** The arguments of an operation in the thread of the store, and the declaration of operations. */
import type { Database } from './database.ts';
import type { DueDestinations } from './due.ts';
import type { Effects } from './effects.ts';
import type { SignsOfLife } from './owners.ts';

export type Context = {
  readonly db: Database;
  readonly effects: Effects;
  /** Gets each destination whose waiting recipients changed. */
  readonly due: DueDestinations;
  readonly signs: SignsOfLife;
  readonly spoolDir: string;
};

export type Operation<A, R> = {
  /** A `write` shares the transaction of its group. A `read` runs alone, after the group. */
  readonly kind: 'write' | 'read';
  readonly run: (context: Context, argument: A) => R;
  /** Memory that is transferred with the result and not copied. */
  readonly transfer?: (result: R, argument: A) => ArrayBuffer[];
};

export function write<A, R>(run: Operation<A, R>['run'], transfer?: (result: R, argument: A) => ArrayBuffer[]): Operation<A, R> {
  return transfer === undefined ? { kind: 'write', run } : { kind: 'write', run, transfer };
}

export function read<A, R>(run: Operation<A, R>['run'], transfer?: (result: R, argument: A) => ArrayBuffer[]): Operation<A, R> {
  return transfer === undefined ? { kind: 'read', run } : { kind: 'read', run, transfer };
}
