/** News that senders must still get. It is collected by message and Action, limited by sender, and removed with its report. */
import { HOUR } from '../../system/clock.ts';
import { type DueReport, ENDED_STATES, type MessageFacts, type Untold, type UntoldRecipient } from '../message-store.ts';
import type { ContentRow } from '../sqlite/claim.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import { decodeFacts, decodeRecipient, isIntact, type MessageRow, RECIPIENT_COLUMNS, type RecipientRow } from '../sqlite/rows.ts';
import { ACTIVE, ENDED } from '../sqlite/states.ts';
import {
  LONGEST_NEWS_WAIT,
  MOST_REPORTED,
  NEWS_STEP_ROWS,
  type NewsHead,
  REPORTED_WITH,
  UNTOLD_COLUMNS,
  type UntoldRow,
} from '../sqlite/untold.ts';
import { readContentRow } from './claim-rows.ts';
import { insertReportRows, MESSAGE_COLUMNS } from './message-rows.ts';
import { columns } from './parameters.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { closeEndedRows, lockOpenRows } from './settlement.ts';

type DueRow = DueReport<ContentRow>;

async function dueReports(
  context: PostgresContext,
  { now, limit, perHour }: Argument<'dueReports'>,
): Promise<Result<'dueReports'>> {
  const { tx } = context;
  const due: DueRow[] = [];
  const taken = new Set<string>();
  /** The reports in this answer, by sender. */
  const planned = new Map<string, number>();
  const rows = await tx.all<NewsHead>(
    `SELECT message, action, sender, summary FROM untold WHERE due_at <= $1 OR due_at > $2
     ORDER BY due_at, message, n LIMIT ${2 * NEWS_STEP_ROWS}`,
    ...[now, now + LONGEST_NEWS_WAIT],
  );
  for (const { message, action, sender, summary } of rows) {
    if (due.length >= limit) break;
    const key = summary === 1 ? `summary ${sender}` : `${message} ${REPORTED_WITH[action][0]}`;
    if (taken.has(key)) continue;
    taken.add(key);
    const room = perHour - (planned.get(sender) ?? 0);
    const until = summary === 1 ? undefined : await fullUntil(context, sender, { now, perHour: room });
    if (until !== undefined) {
      await leaveToSummary(context, { message, action, until });
      continue;
    }
    const report = summary === 1 ? await summaryFor(context, sender, now) : await reportAbout(context, message, action);
    if (report === undefined) continue;
    if (summary === 0) planned.set(sender, (planned.get(sender) ?? 0) + 1);
    due.push(report);
  }
  const nextAt = (await tx.get<{ at: number | null }>('SELECT min(due_at) AS at FROM untold'))?.at ?? null;
  return { due, nextAt };
}

/** @returns the end of the hour, if the sender has had all reports of this hour. undefined: the sender may get another report. */
async function fullUntil({ tx }: PostgresContext, sender: string, { now, perHour }: { now: number; perHour: number }) {
  type Window = { started_at: number; used: number };
  const window = await tx.get<Window>('SELECT started_at, used FROM report_windows WHERE sender = $1', sender);
  const begun = window !== undefined && now >= window.started_at && now < window.started_at + HOUR ? window : undefined;
  if ((begun?.used ?? 0) < perHour) return undefined;
  return (begun?.started_at ?? now) + HOUR;
}

type Left = { readonly message: string; readonly action: Untold['action']; readonly until: number };
/** A summary quotes no content, so that the content of the message is not kept for it. */
async function leaveToSummary({ tx }: PostgresContext, { message, action, until }: Left): Promise<void> {
  lockOpenRows(tx, [message]);
  await tx.run(
    'UPDATE untold SET summary = 1, due_at = $2 WHERE message = $1 AND action = ANY($3::text[])',
    message,
    until,
    REPORTED_WITH[action],
  );
  closeEndedRows(tx, [message]);
  await tx.flush();
}

/** undefined: nothing is left to tell. */
async function reportAbout(context: PostgresContext, message: string, action: Untold['action']): Promise<DueRow | undefined> {
  const { tx } = context;
  const facts = (await readFacts(context, [message]))[0];
  const rows = await tx.all<UntoldRow>(
    `SELECT ${UNTOLD_COLUMNS} FROM untold WHERE message = $1 AND summary = 0 AND action = ANY($2::text[]) ORDER BY n LIMIT ${MOST_REPORTED}`,
    ...[message, REPORTED_WITH[action]],
  );
  const noted = await decode(context, rows);
  // A recipient that has ended gets a report of its end. Its delay need not be told any more.
  const untold = action === 'delayed' ? noted.filter(({ recipient }) => !ENDED_STATES.includes(recipient.state)) : noted;
  if (facts === undefined || untold.length < rows.length) await drop(context, rows, facts === undefined ? [] : untold);
  if (facts === undefined || untold.length === 0) {
    lockOpenRows(tx, [message]);
    closeEndedRows(tx, [message]);
    await tx.flush();
    return undefined;
  }
  const late = action === 'delayed' ? await alsoLate(context, message, untold) : [];
  return { kind: 'report', message: facts, content: await readContentRow(tx, message), untold: [...untold, ...late] };
}

/** Removes entries that need not, or cannot, be told. */
async function drop({ tx }: PostgresContext, rows: readonly UntoldRow[], kept: readonly UntoldRecipient[]): Promise<void> {
  for (const { message, n, action } of rows)
    if (!kept.some((one) => one.message === message && one.n === n && one.action === action))
      await tx.run('DELETE FROM untold WHERE message = $1 AND n = $2 AND action = $3', message, n, action);
}

/** Adds recipients that were tried, still wait and are as late, so that the sender gets one report of them all. */
async function alsoLate(
  { tx }: PostgresContext,
  message: string,
  untold: readonly UntoldRecipient[],
): Promise<UntoldRecipient[]> {
  type Last = { at: number; mx: string | null; ip: string | null; code: number; status: string; reply: string };
  const names = RECIPIENT_COLUMNS.split(', ').map((name) => `r.${name}`);
  const rows = await tx.all<RecipientRow & { last: Last }>(
    `SELECT ${names.join(', ')}, to_jsonb(a) AS last FROM recipients r
     CROSS JOIN LATERAL (SELECT at, mx, ip, code, status, reply FROM attempts t
                         WHERE t.message = r.message AND t.n = r.n ORDER BY attempt DESC LIMIT 1) a
     WHERE r.message = $1 AND r.state <= ${ACTIVE} AND r.attempts > 0 AND r.delay_reported = 0 ORDER BY r.n LIMIT $2`,
    ...[message, Math.max(0, MOST_REPORTED - untold.length)],
  );
  return rows.flatMap(({ last, ...row }): UntoldRecipient[] => {
    if (untold.some(({ n }) => n === row.n)) return [];
    const { at, mx, ip, code, status } = last;
    const words = last.reply.startsWith(`${code} `) ? last.reply.slice(`${code} `.length) : last.reply;
    const reply = { code, status, text: '', words };
    const where = { ...(mx === null ? {} : { mx }), ...(ip === null ? {} : { ip }) };
    return [{ message, n: row.n, action: 'delayed', at, reply, ...where, recipient: decodeRecipient(row), joined: true }];
  });
}

/** undefined: nothing is left to tell. */
async function summaryFor(context: PostgresContext, sender: string, now: number): Promise<DueRow | undefined> {
  const rows = await context.tx.all<UntoldRow>(
    `SELECT ${UNTOLD_COLUMNS} FROM untold WHERE sender = $1 AND summary = 1 AND (due_at <= $2 OR due_at > $3) ORDER BY message, n LIMIT ${MOST_REPORTED}`,
    ...[sender, now, now + LONGEST_NEWS_WAIT],
  );
  const messages = await readFacts(context, [...new Set(rows.map(({ message }) => message))]);
  const known = new Set(messages.map(({ id }) => id));
  const untold = await decode(
    context,
    rows.filter(({ message }) => known.has(message)),
  );
  if (untold.length < rows.length) await drop(context, rows, untold);
  return untold.length === 0 ? undefined : { kind: 'summary', sender, messages, untold };
}

/** Leaves out those whose envelope is damaged, so that their sender is not known. */
async function readFacts({ tx, effects }: PostgresContext, ids: readonly string[]): Promise<MessageFacts[]> {
  const rows = await tx.all<MessageRow>(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id = ANY($1::text[]) ORDER BY id`, ids);
  const intact = rows.filter(isIntact);
  for (const id of ids)
    if (!intact.some((row) => row.id === id))
      effects.damaged.push({ id, reason: 'its sender cannot be told of it: the envelope does not match its checksum' });
  return intact.map(decodeFacts);
}

/** Leaves out those whose recipient is gone, so that a report could not describe it. */
async function decode({ tx }: PostgresContext, rows: readonly UntoldRow[]): Promise<UntoldRecipient[]> {
  const names = RECIPIENT_COLUMNS.split(', ').map((name) => `r.${name}`);
  const recipients = await tx.all<RecipientRow>(
    `SELECT ${names.join(', ')} FROM unnest($1::text[], $2::int[]) AS c (message, n) JOIN recipients r ON r.message = c.message AND r.n = c.n`,
    ...columns(
      rows.map(({ message, n }) => [message, n]),
      2,
    ),
  );
  const found = new Map(recipients.map((row) => [`${row.message} ${row.n}`, row]));
  return rows.flatMap(({ message, n, action, at, reply, mx, ip }) => {
    const row = found.get(`${message} ${n}`);
    if (row === undefined) return [];
    const where = { ...(mx === null ? {} : { mx }), ...(ip === null ? {} : { ip }) };
    return [{ message, n, action, at, reply: JSON.parse(reply), ...where, recipient: decodeRecipient(row), joined: false }];
  });
}

/** @returns false if no entry was left: an earlier call was stored, and its answer was lost. */
async function told({ tx, effects }: PostgresContext, { sender, keys, at, report }: Argument<'told'>): Promise<boolean> {
  const ids = [...new Set(keys.map(([id]) => id))].sort();
  lockOpenRows(tx, ids);
  const noted = keys.filter(([, , , joined]) => !joined);
  const removed = await tx.all<{ summary: number; held: number }>(
    `DELETE FROM untold u USING unnest($1::text[], $2::int[], $3::text[]) AS c (message, n, action)
     WHERE u.message = c.message AND u.n = c.n AND u.action = c.action RETURNING u.summary, u.held`,
    ...columns(noted, 3),
  );
  if (removed.length === 0) return false;
  const joined = keys.filter(([, , , one]) => one);
  if (joined.length > 0)
    await tx.run(
      `UPDATE recipients r SET delay_reported = 1 FROM unnest($1::text[], $2::int[]) AS c (message, n)
       WHERE r.message = c.message AND r.n = c.n AND r.state < ${ENDED}`,
      ...columns(joined, 2),
    );
  if (report !== null)
    await insertReportRows(
      tx,
      effects,
      report,
      removed.some(({ held }) => held === 1),
    );
  if (report !== null && !removed.some(({ summary }) => summary === 1)) {
    await tx.run('DELETE FROM report_windows WHERE started_at <= $1 OR started_at > $2', at - HOUR, at);
    await tx.run(
      'INSERT INTO report_windows VALUES ($1, $2, 1) ON CONFLICT (sender) DO UPDATE SET used = report_windows.used + 1',
      ...[sender, at],
    );
  }
  closeEndedRows(tx, ids);
  await tx.flush();
  return true;
}

export const newsOperations: OperationTable<'dueReports' | 'told' | 'postponeReport'> = {
  dueReports: {
    kind: 'write',
    run: dueReports,
    transfer: ({ due }) =>
      due.flatMap((one) => (one.kind === 'report' && one.content !== undefined ? [one.content.bytes.buffer] : [])),
  },
  told: { kind: 'write', run: told },
  postponeReport: {
    kind: 'write',
    async run({ tx }, { keys, until }) {
      await tx.run(
        `UPDATE untold u SET due_at = $4 FROM unnest($1::text[], $2::int[], $3::text[]) AS c (message, n, action)
         WHERE u.message = c.message AND u.n = c.n AND u.action = c.action`,
        ...columns(keys, 3),
        until,
      );
    },
  },
};
