/** What was learned about the behaviour of logins, in rows. */
import type { BehaviourRecord } from '../behaviour-store.ts';
import type { Context } from './context.ts';

const TRIMMED_AT_ONCE = 500;

export function behaviourRecord({ db }: Context, { user, sender }: { user: string; sender: string }): string | undefined {
  return db.get<{ record: string }>('SELECT record FROM behaviour WHERE user = ? AND sender = ?', user, sender)?.record;
}

export function putBehaviour({ db }: Context, { records, now }: { records: readonly BehaviourRecord[]; now: number }): void {
  for (const { user, sender, record } of records)
    db.run('INSERT OR REPLACE INTO behaviour VALUES (?, ?, ?, ?)', user, sender, record, now);
}

export function forgetBehaviour({ db }: Context, user: string): void {
  db.run('DELETE FROM behaviour WHERE user = ?', user);
}

export function trimBehaviour({ db }: Context, before: number): number {
  const old = 'SELECT user, sender FROM behaviour WHERE written_at < ? LIMIT ?';
  return db.run(`DELETE FROM behaviour WHERE (user, sender) IN (${old})`, before, TRIMMED_AT_ONCE).changes;
}
