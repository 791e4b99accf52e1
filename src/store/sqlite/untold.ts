/** News that senders must still get. It is collected by message and Action, limited by sender, and removed with its report. */
import { HOUR } from '../../system/clock.ts';
import { type DueReport, ENDED_STATES, type MessageFacts, type Untold, type UntoldRecipient } from '../message-store.ts';
import { insertReport } from './accept.ts';
import { type ContentRow, readContent } from './claim.ts';
import type { Context } from './context.ts';
import { DamagedEntry } from './damage.ts';
import { isCorrupt, SQLITE_CORRUPT_INDEX, type SqliteError } from './database.ts';
import {
  decodeFacts,
  decodeRecipient,
  type EncodedMessage,
  isIntact,
  type MessageRow,
  RECIPIENT_COLUMNS,
  type RecipientRow,
} from './rows.ts';
import { closeEnded } from './settle.ts';
import { ACTIVE, ENDED } from './states.ts';

/** The most recipients in one report. */
export const MOST_REPORTED = 500;
/** The entries that one step reads. Some of them only move to a summary, or need no report. */
export const NEWS_STEP_ROWS = 1000;
/** No entry waits longer for its report. A later time comes from a clock that was set back since. */
export const LONGEST_NEWS_WAIT = 2 * HOUR;

type DueArgument = { readonly now: number; readonly limit: number; readonly perHour: number };
type DueRow = DueReport<ContentRow>;

export type UntoldRow = {
  message: string;
  n: number;
  action: Untold['action'];
  sender: string;
  at: number;
  reply: string;
  mx: string | null;
  ip: string | null;
};
export type NewsHead = { message: string; action: Untold['action']; sender: string; summary: number };
const HEADS = 'SELECT message, action, sender, summary FROM untold WHERE';
export const UNTOLD_COLUMNS = 'message, n, action, sender, at, reply, mx, ip';

/** `failed` and `expired` share a report, because RFC 3464 §2.3.3 has one word for both. */
export const REPORTED_WITH: Readonly<Record<Untold['action'], readonly [Untold['action'], Untold['action']]>> = {
  failed: ['failed', 'expired'],
  expired: ['failed', 'expired'],
  delayed: ['delayed', 'delayed'],
  relayed: ['relayed', 'relayed'],
};

export function dueReports(context: Context, { now, limit, perHour }: DueArgument): { due: DueRow[]; nextAt: number | null } {
  const { db } = context;
  const due: DueRow[] = [];
  const taken = new Set<string>();
  /** The reports in this answer, by sender. */
  const planned = new Map<string, number>();
  const rows = [
    ...db.all<NewsHead>(`${HEADS} due_at <= ? ORDER BY due_at LIMIT ?`, now, NEWS_STEP_ROWS),
    ...db.all<NewsHead>(`${HEADS} due_at > ? ORDER BY due_at LIMIT ?`, now + LONGEST_NEWS_WAIT, NEWS_STEP_ROWS),
  ];
  for (const { message, action, sender, summary } of rows) {
    if (due.length >= limit) break;
    const key = summary === 1 ? `summary ${sender}` : `${message} ${REPORTED_WITH[action][0]}`;
    if (taken.has(key)) continue;
    taken.add(key);
    const until = summary === 1 ? undefined : fullUntil(context, sender, { now, perHour: perHour - (planned.get(sender) ?? 0) });
    if (until !== undefined) {
      leaveToSummary(context, { message, action, until });
      continue;
    }
    const report = summary === 1 ? summaryFor(context, sender, now) : reportAbout(context, message, action);
    if (report === undefined) continue;
    if (summary === 0) planned.set(sender, (planned.get(sender) ?? 0) + 1);
    due.push(report);
  }
  const nextAt = db.get<{ at: number | null }>('SELECT min(due_at) AS at FROM untold')?.at ?? null;
  return { due, nextAt };
}

/** @returns the end of the hour, if the sender has had all reports of this hour. undefined: the sender may get another report. */
function fullUntil({ db }: Context, sender: string, { now, perHour }: { now: number; perHour: number }): number | undefined {
  const window = db.get<{ started_at: number; used: number }>(
    'SELECT started_at, used FROM report_windows WHERE sender = ?',
    sender,
  );
  const begun = window !== undefined && now >= window.started_at && now < window.started_at + HOUR ? window : undefined;
  if ((begun?.used ?? 0) < perHour) return undefined;
  return (begun?.started_at ?? now) + HOUR;
}

/** A summary quotes no content, so that the content of the message is not kept for it. */
function leaveToSummary(
  context: Context,
  { message, action, until }: { message: string; action: Untold['action']; until: number },
): void {
  context.db.run(
    'UPDATE untold SET summary = 1, due_at = ? WHERE message = ? AND action IN (?, ?)',
    until,
    message,
    ...REPORTED_WITH[action],
  );
  closeEnded(context, message);
}

/** undefined: nothing is left to tell. */
function reportAbout(context: Context, message: string, action: Untold['action']): DueRow | undefined {
  const { db } = context;
  const facts = readFacts(context, message);
  const rows = db.all<UntoldRow>(
    `SELECT ${UNTOLD_COLUMNS} FROM untold WHERE message = ? AND summary = 0 AND action IN (?, ?) ORDER BY n LIMIT ?`,
    message,
    ...REPORTED_WITH[action],
    MOST_REPORTED,
  );
  const noted = rows.flatMap((row) => decode(context, row) ?? []);
  // A recipient that has ended gets a report of its end. Its delay need not be told any more.
  const untold = action === 'delayed' ? noted.filter(({ recipient }) => !ENDED_STATES.includes(recipient.state)) : noted;
  if (facts === undefined || untold.length < rows.length) drop(context, rows, facts === undefined ? [] : untold);
  if (facts === undefined || untold.length === 0) {
    closeEnded(context, message);
    return undefined;
  }
  const late = action === 'delayed' ? alsoLate(context, message, untold) : [];
  return { kind: 'report', message: facts, content: contentOf(context, message), untold: [...untold, ...late] };
}

/** Removes entries that need not, or cannot, be told. */
function drop({ db }: Context, rows: readonly UntoldRow[], kept: readonly UntoldRecipient[]): void {
  for (const { message, n, action } of rows)
    if (!kept.some((one) => one.message === message && one.n === n && one.action === action))
      db.run('DELETE FROM untold WHERE message = ? AND n = ? AND action = ?', message, n, action);
}

/** Adds recipients that were tried, still wait and are as late, so that the sender gets one report of them all. */
function alsoLate({ db }: Context, message: string, untold: readonly UntoldRecipient[]): UntoldRecipient[] {
  const rows = db.all<RecipientRow>(
    `SELECT ${RECIPIENT_COLUMNS} FROM recipients
     WHERE message = ? AND state <= ${ACTIVE} AND attempts > 0 AND delay_reported = 0 ORDER BY n LIMIT ?`,
    message,
    Math.max(0, MOST_REPORTED - untold.length),
  );
  return rows.flatMap((row): UntoldRecipient[] => {
    const last = db.get<{ at: number; mx: string | null; ip: string | null; code: number; status: string; reply: string }>(
      'SELECT at, mx, ip, code, status, reply FROM attempts WHERE message = ? AND n = ? ORDER BY attempt DESC LIMIT 1',
      message,
      row.n,
    );
    if (last === undefined || untold.some(({ n }) => n === row.n)) return [];
    const { at, mx, ip, code, status } = last;
    const words = last.reply.startsWith(`${code} `) ? last.reply.slice(`${code} `.length) : last.reply;
    const reply = { code, status, text: '', words };
    const where = { ...(mx === null ? {} : { mx }), ...(ip === null ? {} : { ip }) };
    return [{ message, n: row.n, action: 'delayed', at, reply, ...where, recipient: decodeRecipient(row), joined: true }];
  });
}

/** undefined: nothing is left to tell. */
function summaryFor(context: Context, sender: string, now: number): DueRow | undefined {
  const rows = context.db.all<UntoldRow>(
    `SELECT ${UNTOLD_COLUMNS} FROM untold WHERE sender = ? AND summary = 1 AND (due_at <= ? OR due_at > ?)
     ORDER BY message, n LIMIT ?`,
    sender,
    now,
    now + LONGEST_NEWS_WAIT,
    MOST_REPORTED,
  );
  const messages = [...new Set(rows.map(({ message }) => message))].flatMap((id) => readFacts(context, id) ?? []);
  const known = new Set(messages.map(({ id }) => id));
  const untold = rows.flatMap((row) => (known.has(row.message) ? (decode(context, row) ?? []) : []));
  if (untold.length < rows.length) drop(context, rows, untold);
  return untold.length === 0 ? undefined : { kind: 'summary', sender, messages, untold };
}

/** undefined: the envelope is damaged, so that the sender is not known. */
function readFacts({ db, effects }: Context, id: string): MessageFacts | undefined {
  const row = db.get<MessageRow>('SELECT * FROM messages WHERE id = ?', id);
  if (row !== undefined && isIntact(row)) return decodeFacts(row);
  effects.damaged.push({ id, reason: 'its sender cannot be told of it: the envelope does not match its checksum' });
  return undefined;
}

/** undefined: the row of the recipient is gone, so that a report could not describe it. */
function decode({ db }: Context, { message, n, action, at, reply, mx, ip }: UntoldRow): UntoldRecipient | undefined {
  const row = db.get<RecipientRow>(`SELECT ${RECIPIENT_COLUMNS} FROM recipients WHERE message = ? AND n = ?`, message, n);
  if (row === undefined) return undefined;
  const where = { ...(mx === null ? {} : { mx }), ...(ip === null ? {} : { ip }) };
  return { message, n, action, at, reply: JSON.parse(reply), ...where, recipient: decodeRecipient(row), joined: false };
}

/** For people and reports. A damaged content gives undefined. */
export function contentOf(context: Context, id: string): ContentRow | undefined {
  try {
    return readContent(context, id);
  } catch (error) {
    if (error instanceof DamagedEntry) return undefined;
    if (isCorrupt(error) && (error as SqliteError).errcode !== SQLITE_CORRUPT_INDEX) return undefined;
    throw error;
  }
}

export const buffersOf = (content: ContentRow | undefined) => (content === undefined ? [] : [content.bytes.buffer]);

/** The key of an entry. A recipient with `joined` has no entry. */
type Key = readonly [message: string, n: number, action: Untold['action'], joined: boolean];
export const keyOf = ({ message, n, action, joined }: UntoldRecipient): Key => [message, n, action, joined];

type ToldArgument = {
  readonly sender: string;
  readonly keys: readonly Key[];
  readonly at: number;
  readonly report: EncodedMessage | null;
};

/** @returns false if no entry was left: an earlier call was stored, and its answer was lost. */
export function told(context: Context, { sender, keys, at, report }: ToldArgument): boolean {
  const { db } = context;
  let found = false;
  let held = false;
  let summary = false;
  for (const [message, n, action, joined] of keys) {
    if (joined) continue;
    const row = db.get<{ held: number; summary: number }>(
      'DELETE FROM untold WHERE message = ? AND n = ? AND action = ? RETURNING held, summary',
      message,
      n,
      action,
    );
    found ||= row !== undefined;
    held ||= row?.held === 1;
    summary ||= row?.summary === 1;
  }
  if (!found) return false;
  for (const [message, n, , joined] of keys)
    if (joined) db.run('UPDATE recipients SET delay_reported = 1 WHERE message = ? AND n = ? AND state < ?', message, n, ENDED);
  if (report !== null) insertReport(context, report, held);
  if (report !== null && !summary) countReport(context, sender, at);
  for (const message of new Set(keys.map(([id]) => id))) closeEnded(context, message);
  return true;
}

function countReport({ db }: Context, sender: string, at: number): void {
  db.run('DELETE FROM report_windows WHERE started_at <= ? OR started_at > ?', at - HOUR, at);
  db.run('INSERT INTO report_windows VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET used = used + 1', sender, at);
}

export function postponeReport({ db }: Context, { keys, until }: { keys: readonly Key[]; until: number }): void {
  for (const [message, n, action] of keys)
    db.run('UPDATE untold SET due_at = ? WHERE message = ? AND n = ? AND action = ?', until, message, n, action);
}
