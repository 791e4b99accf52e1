/** What was changed by whom, repeated requests, and findings of `doctor`, in their rows. */
import { type ChangeNote, type ChangeQuery, changedBy, type StoredChange } from '../audit-store.ts';
import {
  type KnownFinding,
  type MutedFinding,
  REQUEST_KEPT,
  REQUEST_PATIENCE,
  type RequestAnswer,
  type RequestKey,
  type RequestState,
} from '../console-store.ts';
import { TRIMMED_AT_ONCE } from './activity-rows.ts';
import type { Context } from './context.ts';

export const CHANGE_COLUMNS = 'seq, at, actor, way, address, action, target, was, became, recipients';
export type ChangeRow = Omit<StoredChange, 'before' | 'after'> & { readonly was: string; readonly became: string };

export function readChange({ was, became, recipients, ...row }: ChangeRow): StoredChange {
  return { ...row, before: JSON.parse(was) as unknown, after: JSON.parse(became) as unknown, recipients };
}

export const noteValues = ({ id, at, actor, way, address, action, target, before, after }: ChangeNote) => [
  ...[id, at, actor, way, address, action, target],
  ...[JSON.stringify(before ?? null), JSON.stringify(after ?? null)],
];

/** Later requests of the same action add to the row of the first one. */
const PUT_CHANGE = `
  INSERT INTO audit (action_id, at, actor, way, address, action, target, was, became, recipients) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (action_id) DO UPDATE SET recipients = coalesce(recipients + excluded.recipients, recipients, excluded.recipients)`;

/** Runs in the transaction of the change, after it. */
export function noteChange(context: Context, note: ChangeNote, result: unknown): void {
  const recipients = changedBy(result);
  if (recipients === undefined) return;
  context.effects.changed('audit');
  context.db.run(PUT_CHANGE, ...noteValues(note), recipients);
  if (note.request === undefined) return;
  const { owner, key, answer } = note.request;
  const sql =
    'UPDATE console_requests SET changed = 1, status = coalesce(?, status), body = coalesce(?, body) WHERE owner = ? AND key = ?';
  context.db.run(sql, answer?.status ?? null, answer?.body ?? null, owner, key);
}

export function addChange(context: Context, note: ChangeNote): void {
  noteChange(context, note, undefined);
}

export function changes({ db }: Context, query: ChangeQuery): readonly StoredChange[] {
  const { before = Number.MAX_SAFE_INTEGER, after = 0, limit, actor = null, action = null, since = 0 } = query;
  const rows = db.all<ChangeRow>(
    `SELECT ${CHANGE_COLUMNS} FROM audit WHERE seq < ?1 AND seq > ?2 AND at >= ?3 AND (?4 IS NULL OR actor = ?4)
       AND (?5 IS NULL OR action = ?5 OR substr(action, 1, length(?5) + 1) = ?5 || '.') ORDER BY seq DESC LIMIT ?6`,
    ...[before, after, since, actor, action, limit],
  );
  return rows.map(readChange);
}

export function trimChanges({ db }: Context, before: number): boolean {
  const sql = 'DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE at < ? LIMIT ?)';
  return db.run(sql, before, TRIMMED_AT_ONCE).changes >= TRIMMED_AT_ONCE;
}

export type RequestRow = {
  readonly hash: string;
  readonly at: number;
  readonly changed: number;
  readonly status: number | null;
  readonly body: string | null;
};

type BegunRequest = { readonly hash: string; readonly at: number; readonly again: boolean };

/** What a repeated request is told. `new` also where the first one has ended with its process and had changed nothing. */
export function stateOfRequest(row: RequestRow | undefined, { hash, at, again }: BegunRequest): RequestState {
  if (row === undefined || row.at <= at - REQUEST_KEPT) return { state: 'new' };
  if (row.hash !== hash) return { state: 'different' };
  if (row.status !== null) return again ? { state: 'new' } : { state: 'done', status: row.status, body: row.body ?? '' };
  if (row.at > at - REQUEST_PATIENCE) return { state: 'running' };
  return { state: row.changed !== 0 && !again ? 'lost' : 'new' };
}

export function beginRequest({ db }: Context, begun: RequestKey & BegunRequest): RequestState {
  const { owner, key, hash, at } = begun;
  const row = db.get<RequestRow>('SELECT * FROM console_requests WHERE owner = ? AND key = ?', owner, key);
  const state = stateOfRequest(row, begun);
  if (state.state === 'new')
    db.run('INSERT OR REPLACE INTO console_requests VALUES (?, ?, ?, ?, 0, NULL, NULL)', owner, key, hash, at);
  return state;
}

export function answerRequest({ db }: Context, { owner, key, answer }: RequestKey & { answer: RequestAnswer | null }): void {
  if (answer === null) db.run('DELETE FROM console_requests WHERE owner = ? AND key = ? AND changed = 0', owner, key);
  else
    db.run(
      'UPDATE console_requests SET status = ?, body = ? WHERE owner = ? AND key = ?',
      answer.status,
      answer.body,
      owner,
      key,
    );
}

export function mutes({ db }: Context): readonly MutedFinding[] {
  return db.all(
    'SELECT finding AS "check", subject, reason, muted_by AS by, at, until FROM muted_findings ORDER BY finding, subject',
  );
}

export function putMute({ db }: Context, m: MutedFinding): void {
  db.run('INSERT OR REPLACE INTO muted_findings VALUES (?, ?, ?, ?, ?, ?)', m.check, m.subject, m.reason, m.by, m.at, m.until);
}

export function removeMute({ db }: Context, { check, subject }: Pick<MutedFinding, 'check' | 'subject'>): boolean {
  return db.run('DELETE FROM muted_findings WHERE finding = ? AND subject = ?', check, subject).changes > 0;
}

export function findings({ db }: Context): readonly KnownFinding[] {
  return db.all('SELECT finding AS "check", subject, result, since, detail FROM known_findings ORDER BY finding, subject');
}

type Looked = { readonly findings: readonly Omit<KnownFinding, 'since'>[]; readonly at: number };

export function keepFindings(context: Context, { findings: found, at }: Looked): void {
  const known = sinceOf(findings(context));
  context.db.run('DELETE FROM known_findings');
  for (const { check, subject, result, detail } of found)
    context.db.run(
      'INSERT OR REPLACE INTO known_findings VALUES (?, ?, ?, ?, ?)',
      ...[check, subject, result, known({ check, subject, result }) ?? at, detail],
    );
}

/** Since when a finding has had its result; undefined: it has not. */
export function sinceOf(all: readonly KnownFinding[]) {
  return ({ check, subject, result }: Pick<KnownFinding, 'check' | 'subject' | 'result'>) =>
    all.find((one) => one.check === check && one.subject === subject && one.result === result)?.since;
}

type ConsoleTrim = { readonly now: number; readonly createdBefore: number; readonly seenBefore: number };

export function trimConsole({ db }: Context, { now, createdBefore, seenBefore }: ConsoleTrim): void {
  db.run('DELETE FROM console_links WHERE expires_at <= ?', now);
  db.run('DELETE FROM console_sessions WHERE created_at < ? OR last_seen_at < ?', createdBefore, seenBefore);
  db.run('DELETE FROM console_requests WHERE at <= ?', now - REQUEST_KEPT);
  db.run('DELETE FROM muted_findings WHERE until <= ?', now);
}
