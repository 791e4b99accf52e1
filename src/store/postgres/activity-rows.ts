/** Refused commands, and the counts of each hour. */
import { HOUR } from '../../system/clock.ts';
import { MOST_HISTORY, MOST_REFUSED, type StoredRefusedCommand } from '../activity-store.ts';
import { decodeHistory, HISTORY_OUTCOMES, HISTORY_SUBJECTS, historyValues, TRIMMED_AT_ONCE } from '../sqlite/activity-rows.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';
import { compare } from './windows.ts';

type Names = 'addRefused' | 'refused' | 'addHistory' | 'history' | 'trimHistory';

export const activityOperations: OperationTable<Names> = {
  addRefused: {
    kind: 'write',
    async run({ tx }, refused) {
      const rows = refused.map((r) => [
        ...[r.at, r.until, r.count, r.session, r.ip, r.user, r.verb, r.code, r.status, r.reply, r.reversePath, r.recipient],
      ]);
      void tx.send(
        `INSERT INTO refused (at, until, count, session, ip, user_name, verb, code, status, reply, reverse_path, recipient)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[],
           $10::text[], $11::text[], $12::text[])`,
        ...columns(rows, 12),
      );
      void tx.send('DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - $1', MOST_REFUSED);
      await tx.flush();
    },
  },
  refused: {
    kind: 'read',
    run: ({ tx }, { before = Number.MAX_SAFE_INTEGER, limit, user = null, ip = null, since = 0 }) =>
      tx.all<StoredRefusedCommand>(
        `SELECT seq, at, until, count, session, ip, user_name AS "user", verb, code, status, reply, reverse_path AS "reversePath", recipient
         FROM refused WHERE seq < $1 AND until >= $2 AND ($3::text IS NULL OR lower(user_name COLLATE "C") = lower($3 COLLATE "C")) AND ($4::text IS NULL OR ip = $4)
         ORDER BY seq DESC LIMIT $5`,
        ...[before, since, user, ip, limit],
      ),
  },
  addHistory: {
    kind: 'write',
    async run({ tx }, counts) {
      // In one order on all machines, so that no two of them wait for each other.
      const rows = counts
        .map((c) => [
          c.hour / HOUR,
          HISTORY_SUBJECTS.indexOf(c.by),
          c.name,
          HISTORY_OUTCOMES.indexOf(c.outcome),
          c.count,
          c.bytes,
        ])
        .sort((a, b) => compare(a.slice(0, 4).join('\0'), b.slice(0, 4).join('\0')));
      void tx.send(
        `INSERT INTO history AS h SELECT * FROM unnest($1::int[], $2::smallint[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[])
         ON CONFLICT (hour, subject, name, outcome) DO UPDATE SET count = h.count + excluded.count, bytes = h.bytes + excluded.bytes`,
        ...columns(rows, 6),
      );
      await tx.flush();
    },
  },
  history: {
    kind: 'read',
    async run({ tx }, query) {
      const rows = await tx.all<Parameters<typeof decodeHistory>[0]>(
        `SELECT hour - hour % $1::int AS hour, CASE $2::int WHEN 1 THEN name ELSE '' END AS name, outcome, sum(count)::bigint AS count,
           sum(bytes)::bigint AS bytes
         FROM history WHERE subject = $3 AND hour BETWEEN $4 AND $5 AND ($6::text IS NULL OR name = $6)
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $7`,
        ...historyValues(query),
        MOST_HISTORY,
      );
      return rows.map(decodeHistory);
    },
  },
  trimHistory: {
    kind: 'write',
    async run({ tx }, { by, before }) {
      const count = await tx.run(
        `DELETE FROM history WHERE (hour, subject, name, outcome) IN
           (SELECT hour, subject, name, outcome FROM history WHERE hour < $1 AND subject = $2 LIMIT $3)`,
        ...[Math.floor(before / HOUR), HISTORY_SUBJECTS.indexOf(by), TRIMMED_AT_ONCE],
      );
      return count >= TRIMMED_AT_ONCE;
    },
  },
};
