/**
 * What a store adds whose data are files of this machine: a directory with an owner, one `serve` at a time by a lock, a sweep of what
 * the last one left, backup and restore. Nothing here is known to whoever only keeps and asks for data.
 */

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
