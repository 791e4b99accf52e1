/** What is told of carrying a whole store to another engine. */

/** Told after each step. The rows of a table are counted twice: when they are written, and when they are read again. */
export type MoveProgress = { readonly table: string; readonly rows: number };

export type MovedStore = {
  /** Where the data are now. */
  readonly to: string;
  /** How many rows of each table were carried. */
  readonly rows: Readonly<Record<string, number>>;
  /** True if an earlier move had done all but its last step. */
  readonly resumed: boolean;
};
