/** The effects of a transaction besides its rows. They are used only if the transaction is committed. */
import type { Damage } from '../opening.ts';
import type { Change } from '../store.ts';
import type { Database } from './database.ts';

export class Effects {
  readonly counters = new Map<string, number>();
  /** Spool files that no row names any more. They are removed after the commit. */
  readonly unlink: string[] = [];
  readonly damaged: Damage[] = [];
  readonly changes = new Set<Change>();

  /** Reports the changes in the feed. */
  changed(...changes: readonly Change[]): void {
    for (const change of changes) this.changes.add(change);
  }

  /** The counters are `s0`, `s1`, … for the recipients in each state, and `bytes` for inline content. */
  count(name: string, by: number): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + by);
  }

  countState(state: number, by: number): void {
    this.count(STATE_COUNTERS[state] ?? 's?', by);
  }

  move(from: number, to: number): void {
    this.countState(from, -1);
    this.countState(to, 1);
  }

  add(other: Effects): void {
    for (const [name, by] of other.counters) this.count(name, by);
    this.unlink.push(...other.unlink);
    this.damaged.push(...other.damaged);
    this.changed(...other.changes);
  }

  /** Runs at the end of a transaction, so that a group changes each counter once. */
  writeCounters(db: Database): void {
    for (const [name, by] of this.counters)
      if (by !== 0)
        db.run('INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value', name, by);
  }
}

const STATE_COUNTERS: readonly string[] = ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8'];
export const BYTES = 'bytes';
