/**
 * What must survive, and the promises about it. Whoever keeps it (SQLite now, a shared database later) is hidden:
 * this interface knows no SQL and no file. Every method that changes something resolves when the change is synced.
 *
 * Times are milliseconds since the epoch, sizes bytes.
 */
import type { CredentialStore } from './credential-store.ts';
import type { MessageStore } from './message-store.ts';
import type { OperationStore } from './operation-store.ts';

export type * from './credential-store.ts';
export type * from './message-store.ts';
export { ENDED_STATES } from './message-store.ts';
export type * from './operation-store.ts';

/** Everything the relay keeps. The parts are split by who uses them, the guarantees are the same. */
export type Store = {
  readonly messages: MessageStore;
  readonly credentials: CredentialStore;
  readonly operation: OperationStore;
  /** Called (coalesced, at most once a second) after another process has changed the store: look again. */
  onForeignChange(listener: () => void): void;
  /** Resolves when a commit made now is synced; for health checks. */
  ping(): Promise<void>;
  /** Finishes what was asked for, then lets go of the files. */
  close(): Promise<void>;
};

/** Thrown at opening, with the one sentence the operator needs. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}
