/** Mail that is held because its user is over a limit, in the order of its arrival. Behaviour rule 7. */
import type { Limit } from '../../smtp/limit.ts';
import type { OverLimit, Touched } from '../message-view.ts';
import type { Context } from './context.ts';
import { judgeAndCount, userKey } from './limits.ts';
import { decodeRecipient, RECIPIENT_COLUMNS, type RecipientRow } from './rows.ts';
import { HELD, QUEUED } from './states.ts';

/** The messages that one step releases, or finds expired. */
const STEP = 200;

const FORGET_ENDED = `
  DELETE FROM over_limit WHERE user = ? AND NOT EXISTS
    (SELECT 1 FROM recipients r WHERE r.message = over_limit.message AND r.state = ${HELD})`;

export function insertOverLimit({ db }: Context, id: string, user: string): void {
  db.run('INSERT INTO over_limit (message, user) VALUES (?, ?)', id, userKey(user));
}

/** Counts the held messages of a user, up to `most`. */
export function countOverLimit({ db }: Context, user: string, most: number): number {
  const row = db.get<{ n: number }>(
    'SELECT count(*) AS n FROM (SELECT 1 FROM over_limit WHERE user = ? LIMIT ?)',
    userKey(user),
    most,
  );
  return row?.n ?? 0;
}

/** The limits no longer hold the message: an operator holds it, or it is released. */
export function forgetOverLimit({ db }: Context, id: string): void {
  db.run('DELETE FROM over_limit WHERE message = ?', id);
}

/** Users with held mail, and held mail that is older than its lifetime. */
export function overLimit({ db }: Context, now: number): OverLimit {
  const users = db.all<{ user: string }>('SELECT DISTINCT user FROM over_limit').map(({ user }) => user);
  if (users.length === 0) return { users, expired: [] };
  const rows = db.all<{ id: string; reverse_path: string }>(
    `SELECT m.id, m.reverse_path FROM over_limit o CROSS JOIN messages m ON m.id = o.message
     WHERE m.expires_at <= ? ORDER BY o.seq LIMIT ?`,
    now,
    STEP,
  );
  return { users, expired: rows.map(({ id, reverse_path }) => ({ id, reversePath: reverse_path, recipients: heldOf(db, id) })) };
}

/**
 * Releases held messages, the oldest first, as far as the limits allow, and counts them as if they came now. A message that alone is
 * larger than a limit does not stop the messages behind it. It waits for the operator, or for its end. `more`: another step is needed.
 */
export function releaseOverLimit(
  context: Context,
  { user, list, now }: { user: string; list: readonly Limit[] | null; now: number },
): { readonly released: readonly Touched[]; readonly more: boolean } {
  const { db, effects, due } = context;
  db.run(FORGET_ENDED, user);
  const released: Touched[] = [];
  if (list === null) return { released, more: false };
  let messages = 0;
  for (const { id } of db.all<{ id: string }>('SELECT message AS id FROM over_limit WHERE user = ? ORDER BY seq', user)) {
    if (messages >= STEP) return { released, more: true };
    const recipients = heldOf(db, id);
    const addresses = recipients.map(({ address }) => address);
    const { exceeded, amounts } = judgeAndCount(db, { user, list }, now, addresses);
    if (exceeded !== null && amounts[exceeded.limit.kind] > exceeded.limit.count) continue;
    if (exceeded !== null) break;
    forgetOverLimit(context, id);
    messages++;
    for (const { n, address, destination } of recipients) {
      db.run('UPDATE recipients SET state = ?, next_attempt = ? WHERE message = ? AND n = ?', QUEUED, now, id, n);
      effects.move(HELD, QUEUED);
      due.touch(destination);
      released.push({ id, recipient: address, state: 'queued' });
    }
  }
  return { released, more: false };
}

function heldOf(db: Context['db'], id: string) {
  const sql = `SELECT ${RECIPIENT_COLUMNS} FROM recipients WHERE message = ? AND state = ${HELD}`;
  return db.all<RecipientRow>(sql, id).map(decodeRecipient);
}
