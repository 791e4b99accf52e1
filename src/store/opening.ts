/** What is said and told when a store is opened, whichever engine keeps it. */

/** An entry that could not be read as it was written. Its recipients are held, the others are served. */
export type Damage = { readonly id: string; readonly reason: string };

export type OpenOptions = {
  /** After each commit that was synced: how long it took, and how many requests shared it. */
  readonly onCommit?: (seconds: number, requests: number) => void;
  /** A message was set aside. */
  readonly onDamaged?: (damage: Damage) => void;
  /** A commit failed, or the store's connection ended: what waited was rejected, and the store was opened anew. */
  readonly onTrouble?: (error: Error) => void;
};

/** Thrown at opening, with the one sentence the operator needs. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}
