/** The whole of what must survive: the three parts of the store, how it is opened, and the error of opening it. */
import type { CredentialStore } from './credential-store.ts';
import type { MessageStore } from './message-store.ts';
import type { OperationStore } from './operation-store.ts';

/**
 * `credentials`: who may send; `limits`: what holds for a user, and what was counted of it; `keys`: what signs; `certificates`: what is
 * served; `notices`: what commands did to recipients; `queue:D`: mail for destination D is due that was not, `queue:*`: for any;
 * `value:N`: the small value N.
 */
export type Change = 'credentials' | 'limits' | 'keys' | 'certificates' | 'notices' | `queue:${string}` | `value:${string}`;

/** Everything the relay keeps. The parts are split by who uses them, the guarantees are the same. */
export type Store = {
  readonly messages: MessageStore;
  readonly credentials: CredentialStore;
  readonly operation: OperationStore;
  /**
   * Tells what was changed, so that what is remembered of it can be forgotten: of this process before the change resolves, of others
   * within a second or two. What a running relay does by itself (accepting with a claim, settling) is not told.
   */
  onChange(listener: (changes: ReadonlySet<Change>) => void): void;
  /** Resolves when a commit made now is synced; for health checks. */
  ping(): Promise<void>;
  /** Finishes what was asked for, then lets go of the files. */
  close(): Promise<void>;
};

/** An entry that could not be read as it was written. Its recipients are held, the others are served. */
export type Damage = { readonly id: string; readonly reason: string };

export type OpenOptions = {
  /** Made with mode 0700 where there is none. */
  readonly dataDir: string;
  /** Milliseconds to wait for a transaction of another process; default 10 s. */
  readonly busyTimeout?: number;
  /**
   * For `serve` alone, with the instance lock held and before its ports open: removes spooled bodies that no message names,
   * sets aside messages whose spooled body is gone or cut short, and counts the queue anew.
   */
  readonly sweep?: boolean;
  /** After each commit that was synced: how long it took, and how many requests shared it. */
  readonly onCommit?: (seconds: number, requests: number) => void;
  /** A message was set aside. */
  readonly onDamaged?: (damage: Damage) => void;
  /** A commit failed, or the store's thread ended: what waited was rejected, and the store was opened anew. */
  readonly onTrouble?: (error: Error) => void;
};

/** Thrown at opening, with the one sentence the operator needs. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}
