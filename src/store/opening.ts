/** Options and errors of opening a store, for every engine. */

/** A message that differs from what was written. Its recipients are held. */
export type Damage = { readonly id: string; readonly reason: string };

/** A database went back by so many seconds or more, and so much mail is held. */
export type WentBack = { readonly seconds: number; readonly messages: number; readonly recipients: number };

export type OpenOptions = {
  /** Called after each synced commit, with its duration and the number of requests that shared it. */
  readonly onCommit?: (seconds: number, requests: number) => void;
  /** Called when a message is set aside as damaged. */
  readonly onDamaged?: (damage: Damage) => void;
  /** Called when a commit failed, or the connection of the store ended. All waiting requests are rejected, and the store is opened again. */
  readonly onTrouble?: (error: Error) => void;
  /** Called with the seconds by which the clock of this machine differs from that of the data: when it begins, and each hour. */
  readonly onSkew?: (seconds: number) => void;
  /** Called with the age of a transaction that is open for too long: when it is found, and each hour. */
  readonly onOldTransaction?: (seconds: number) => void;
  /** Called when a shared database has forgotten something, as after a restore, and all mail that waits in it is held. */
  readonly onWentBack?: (found: WentBack) => void;
};

/** Thrown at opening. Its message is one sentence for the operator. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}
