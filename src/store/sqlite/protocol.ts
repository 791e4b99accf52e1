/** The messages between the thread of the store and the threads that use it: the main thread, and those that share it by a port. */
import type { MessagePort } from 'node:worker_threads';
import type { ChangeNote } from '../audit-store.ts';
import { type Lease, LeaseLost } from '../lease.ts';
import type { Damage, WentBack } from '../opening.ts';
import type { Change, DatabaseSize, OtherRelay, StoreCondition } from '../store.ts';
import { resultCode, SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_IOERR, type SqliteError } from './database.ts';
import type { Name } from './operations.ts';
import { IdTaken } from './rows.ts';

export type WorkerOptions = { readonly path: string; readonly spoolDir: string; readonly busyTimeout: number };

/** One request. Its answer has the same `id`. The note is written if it changes something. It changes nothing if the lease is not held. */
export type Request = readonly [
  id: number,
  name: Name,
  argument: unknown,
  note?: ChangeNote | undefined,
  lease?: Lease | undefined,
];
/** `close`: finish all requests, then end. `watch`: report changes of other processes. `port`: another thread sends requests there. */
export type ToWorker = readonly Request[] | 'close' | 'watch' | { readonly port: MessagePort };

/** To the thread of a store that relays share: the digest of the settings of this relay. */
export type Announcement = { readonly digest: string };

export type Failure = { readonly message: string; readonly code: string };
/** The answers of one transaction, or of one read. */
export type Answers = {
  /** Pairs of id and result. */
  readonly results: readonly unknown[];
  readonly failures: readonly (readonly [id: number, failure: Failure])[];
  readonly unlink: readonly string[];
  readonly damaged: readonly Damage[];
  /** Reported before the results. */
  readonly changes: readonly Change[];
  /** Duration in seconds, and number of requests. null: no commit. */
  readonly commit: readonly [seconds: number, requests: number] | null;
  /** The whole transaction failed. */
  readonly trouble: Failure | null;
};
/** What a thread that shares the store gets. `foreign`: changes that were made by others. */
export type ToJoined = Answers | { readonly foreign: readonly Change[] } | ClockOffset;
/** Milliseconds: the clock of the data minus the monotonic clock of this process. Only where the data have a clock of their own. */
export type ClockOffset = { readonly clock: number };
/** Told when it changes. */
type ConditionNews = { readonly condition: StoreCondition };
type RelayNews = { readonly relays: readonly OtherRelay[] };
type SizeNews = { readonly database: DatabaseSize };
type PastNews = { readonly wentBack: WentBack } | { readonly isRestored: true };
export type FromWorker =
  | ToJoined
  | ConditionNews
  | RelayNews
  | SizeNews
  | PastNews
  | 'opened'
  | 'closed'
  | { readonly refused: Failure };

const SENTENCES: Readonly<Record<number, readonly [code: string, sentence: string]>> = {
  [SQLITE_FULL]: ['ENOSPC', 'The disk of the store is full'],
  [SQLITE_IOERR]: ['EIO', 'The disk of the store reports an error'],
  [SQLITE_BUSY]: ['EBUSY', 'The store is locked by another process for too long'],
  [SQLITE_CORRUPT]: ['ECORRUPT', 'A part of the store is damaged'],
};

/** An error of opening has its sentence already; its code comes from its cause. */
export function describe(error: unknown): Failure {
  if (error instanceof IdTaken) return { code: 'EEXIST', message: error.message };
  if (error instanceof LeaseLost) return { code: 'ELEASE', message: error.message };
  const { message, errcode, cause } = error as SqliteError;
  const [code, sentence] = SENTENCES[resultCode(errcode === undefined ? (cause ?? error) : error)] ?? [
    'ESTORE',
    'The store failed',
  ];
  return { code, message: errcode === undefined ? message : `${sentence}: ${message} (SQLite ${errcode})` };
}

export function failureError({ message, code }: Failure): Error {
  return Object.assign(new Error(message), { code });
}
