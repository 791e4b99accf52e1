/** Mail that is held because its user is over a limit, in the order of its arrival. Behaviour rule 7. */
import { userKey } from '../sqlite/limits.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import { decodeRecipient, RECIPIENT_COLUMNS, type RecipientRow } from '../sqlite/rows.ts';
import { HELD, QUEUED } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { dayNumber, knownAmong, LockedUse, readUse } from './windows.ts';

/** The messages that one step releases, or finds expired. */
const STEP = 200;
const KEEP_DAYS = 400 + 7;
const STEP_RECIPIENTS = 2000;

async function heldOf(tx: DatabaseTransaction, id: string) {
  const sql = `SELECT ${RECIPIENT_COLUMNS} FROM recipients WHERE message = $1 AND state = ${HELD} ORDER BY n FOR UPDATE`;
  return (await tx.all<RecipientRow>(sql, id)).map(decodeRecipient);
}

/** The order of messages decides, so that the walk is one after the other, with the user's row locked. */
async function releaseOverLimit(context: PostgresContext, a: Argument<'releaseOverLimit'>): Promise<Result<'releaseOverLimit'>> {
  const { tx, effects, due } = context;
  const { user, list } = a;
  const released: Result<'releaseOverLimit'>['released'][number][] = [];
  if (list === null) return { released, more: false };
  const key = userKey(user);
  await tx.run('SELECT 1 FROM usage WHERE user_key = $1 FOR UPDATE', key);
  await tx.run(
    `DELETE FROM over_limit o WHERE user_key = $1 AND NOT EXISTS
       (SELECT 1 FROM recipients r WHERE r.message = o.message AND r.state = ${HELD})`,
    key,
  );
  const { now } = (await tx.get<{ now: number }>('SELECT time_ms() AS now'))!;
  const waiting = await tx.all<{ id: string }>('SELECT message AS id FROM over_limit WHERE user_key = $1 ORDER BY seq', key);
  let messages = 0;
  for (const { id } of waiting) {
    if (messages >= STEP) return { released, more: true };
    const recipients = await heldOf(tx, id);
    const addresses = recipients.map(({ address }) => address);
    const ask = LockedUse.send(tx, [{ user, addresses }]);
    await tx.flush();
    const use = await ask();
    const { exceeded, amounts } = use.of(user).judge(list, now, addresses);
    if (exceeded !== null && amounts[exceeded.limit.kind] > exceeded.limit.count) continue;
    if (exceeded !== null) break;
    use.write(tx);
    void tx.send('DELETE FROM over_limit WHERE message = $1', id);
    void tx.send(`UPDATE recipients SET state = ${QUEUED}, next_attempt = $2 WHERE message = $1 AND state = ${HELD}`, id, a.now);
    messages++;
    for (const { address, destination } of recipients) {
      effects.move(HELD, QUEUED);
      due.touch(destination);
      released.push({ id, recipient: address, state: 'queued' });
    }
  }
  await tx.flush();
  return { released, more: false };
}

export const heldOperations: OperationTable<
  'overLimit' | 'releaseOverLimit' | 'limitUse' | 'knownRecipients' | 'forgetRecipients'
> = {
  overLimit: {
    kind: 'read',
    async run({ tx }, now) {
      const rows = await tx.all<{ user_key: string }>('SELECT DISTINCT user_key FROM over_limit ORDER BY user_key');
      const users = rows.map(({ user_key }) => user_key);
      if (users.length === 0) return { users, expired: [] };
      const old = await tx.all<{ id: string; reverse_path: string }>(
        `SELECT m.id, m.reverse_path FROM over_limit o JOIN messages m ON m.id = o.message WHERE m.expires_at <= $1 ORDER BY o.seq LIMIT ${STEP}`,
        now,
      );
      const sql = `SELECT ${RECIPIENT_COLUMNS} FROM recipients WHERE message = ANY($1::text[]) AND state = ${HELD} ORDER BY message, n`;
      const held = await tx.all<RecipientRow>(
        sql,
        old.map(({ id }) => id),
      );
      const expired = old.map(({ id, reverse_path }) => ({
        ...{ id, reversePath: reverse_path },
        recipients: held.filter(({ message }) => message === id).map(decodeRecipient),
      }));
      return { users, expired };
    },
  },
  releaseOverLimit: { kind: 'write', run: releaseOverLimit },
  limitUse: { kind: 'read', run: ({ tx }, argument) => readUse(tx, argument) },
  knownRecipients: { kind: 'read', run: ({ tx }, argument) => knownAmong(tx, argument) },
  forgetRecipients: {
    kind: 'write',
    async run({ tx }, { now, after }) {
      const from = after ?? { user: '', address: '' };
      const rows = await tx.all<{ user: string; address: string; used_on: number }>(
        `SELECT user_key AS "user", address, used_on FROM known_recipients WHERE (user_key, address) > ($1, $2)
         ORDER BY user_key, address LIMIT ${STEP_RECIPIENTS}`,
        ...[from.user, from.address],
      );
      const oldest = dayNumber(now) - KEEP_DAYS;
      const old = rows.filter(({ used_on }) => used_on < oldest);
      if (old.length > 0)
        await tx.run(
          `DELETE FROM known_recipients k USING unnest($1::text[], $2::text[]) AS c (user_key, address)
           WHERE k.user_key = c.user_key AND k.address = c.address AND k.used_on < $3`,
          ...[old.map(({ user }) => user), old.map(({ address }) => address), oldest],
        );
      const last = rows.length < STEP_RECIPIENTS ? undefined : rows.at(-1);
      return { forgotten: old.length, after: last === undefined ? null : { user: last.user, address: last.address } };
    },
  },
};
