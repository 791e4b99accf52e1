/** Refused commands, and the counts of each hour. */
import { HOUR } from '../../system/clock.ts';
import {
  type HistoryCount,
  type HistoryOutcome,
  type HistoryQuery,
  type HistorySubject,
  MOST_HISTORY,
  MOST_REFUSED,
  type RefusedCommand,
  type RefusedQuery,
  type StoredRefusedCommand,
} from '../activity-store.ts';
import type { Context } from './context.ts';

export const HISTORY_SUBJECTS: readonly HistorySubject[] = ['user', 'destination'];
export const HISTORY_OUTCOMES: readonly HistoryOutcome[] = ['accepted', 'relayed', 'delayed', 'failed', 'expired', 'refused'];
export const TRIMMED_AT_ONCE = 2000;

export function addRefused({ db }: Context, refused: readonly RefusedCommand[]): void {
  for (const { at, until, count, session, ip, user, verb, code, status, reply, reversePath, recipient } of refused)
    db.run(
      'INSERT INTO refused (at, until, count, session, ip, user, verb, code, status, reply, reverse_path, recipient) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...[at, until, count, session, ip, user, verb, code, status, reply, reversePath, recipient],
    );
  db.run('DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - ?', MOST_REFUSED);
}

export function refused({ db }: Context, query: RefusedQuery): readonly StoredRefusedCommand[] {
  const { before = Number.MAX_SAFE_INTEGER, limit, user = null, ip = null, since = 0 } = query;
  return db.all<StoredRefusedCommand>(
    `SELECT seq, at, until, count, session, ip, user, verb, code, status, reply, reverse_path AS reversePath, recipient FROM refused
     WHERE seq < ? AND until >= ? AND (?3 IS NULL OR user = ?3 COLLATE NOCASE) AND (?4 IS NULL OR ip = ?4) ORDER BY seq DESC LIMIT ?5`,
    ...[before, since, user, ip, limit],
  );
}

export function addHistory({ db }: Context, counts: readonly HistoryCount[]): void {
  for (const { by, hour, name, outcome, count, bytes } of counts)
    db.run(
      `INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (hour, subject, name, outcome) DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes`,
      ...[hour / HOUR, HISTORY_SUBJECTS.indexOf(by), name, HISTORY_OUTCOMES.indexOf(outcome), count, bytes],
    );
}

type HistoryRow = { hour: number; name: string; outcome: number; count: number; bytes: number };

export const decodeHistory = ({ hour, outcome, ...row }: HistoryRow): Omit<HistoryCount, 'by'> => ({
  ...row,
  hour: hour * HOUR,
  outcome: HISTORY_OUTCOMES[outcome]!,
});

/** The values of a query in the form of the rows. */
export const historyValues = ({
  by,
  from,
  to,
  name = null,
  step,
  names,
}: Omit<HistoryQuery, 'name'> & { readonly name?: string | null }) =>
  [
    Math.max(1, Math.round(step / HOUR)),
    Number(names),
    HISTORY_SUBJECTS.indexOf(by),
    Math.floor(from / HOUR),
    Math.floor(to / HOUR),
    name,
  ] as const;

export function history({ db }: Context, query: HistoryQuery): readonly Omit<HistoryCount, 'by'>[] {
  const rows = db.all<HistoryRow>(
    `SELECT hour - hour % ?1 AS hour, CASE ?2 WHEN 1 THEN name ELSE '' END AS name, outcome, sum(count) AS count, sum(bytes) AS bytes
     FROM history WHERE subject = ?3 AND hour BETWEEN ?4 AND ?5 AND (?6 IS NULL OR name = ?6)
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT ?7`,
    ...historyValues(query),
    MOST_HISTORY,
  );
  return rows.map(decodeHistory);
}

export function trimHistory({ db }: Context, { by, before }: { by: HistorySubject; before: number }): boolean {
  const { changes } = db.run(
    `DELETE FROM history WHERE (hour, subject, name, outcome) IN
       (SELECT hour, subject, name, outcome FROM history WHERE hour < ? AND subject = ? LIMIT ?)`,
    ...[Math.floor(before / HOUR), HISTORY_SUBJECTS.indexOf(by), TRIMMED_AT_ONCE],
  );
  return changes >= TRIMMED_AT_ONCE;
}
