/** What was changed by whom, repeated requests, and findings of `doctor`, in their rows. */
import { type ChangeNote, changedBy } from '../audit-store.ts';
import { type KnownFinding, type MutedFinding, REQUEST_KEPT } from '../console-store.ts';
import { TRIMMED_AT_ONCE } from '../sqlite/activity-rows.ts';
import {
  CHANGE_COLUMNS,
  type ChangeRow,
  noteValues,
  type RequestRow,
  readChange,
  sinceOf,
  stateOfRequest,
} from '../sqlite/audit-rows.ts';
import type { Effects } from '../sqlite/effects.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { OperationTable } from './postgres-context.ts';

type Names =
  | 'addChange'
  | 'changes'
  | 'trimChanges'
  | 'beginRequest'
  | 'answerRequest'
  | 'mutes'
  | 'putMute'
  | 'removeMute'
  | 'keepFindings'
  | 'findings'
  | 'trimConsole';

const PUT_CHANGE = `
  INSERT INTO audit AS a (action_id, at, actor, way, address, action, target, was, became, recipients)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (action_id) DO UPDATE SET recipients = coalesce(a.recipients + excluded.recipients, a.recipients, excluded.recipients)`;
const PUT_ANSWER = `
  UPDATE console_requests SET changed = 1, status = coalesce($1::int, status), body = coalesce($2::text, body) WHERE owner = $3 AND key = $4`;

type Writing = { readonly tx: Pick<DatabaseTransaction, 'send'>; readonly effects: Effects };

/** Sends the row in the transaction of the change, after it. The commit waits for it. */
export function sendNote({ tx, effects }: Writing, note: ChangeNote, result: unknown): void {
  const recipients = changedBy(result);
  if (recipients === undefined) return;
  effects.changed('audit');
  void tx.send(PUT_CHANGE, ...noteValues(note), recipients);
  if (note.request === undefined) return;
  const { owner, key, answer } = note.request;
  void tx.send(PUT_ANSWER, answer?.status ?? null, answer?.body ?? null, owner, key);
}

const knownFindings = (tx: DatabaseTransaction, machine: string) =>
  tx.all<KnownFinding>(
    'SELECT finding AS "check", subject, result, since, detail FROM known_findings WHERE machine = $1 ORDER BY finding, subject',
    machine,
  );

export const auditOperations: OperationTable<Names> = {
  addChange: { kind: 'write', run: async (context, note) => sendNote(context, note, undefined) },
  changes: {
    kind: 'read',
    async run({ tx }, { before = Number.MAX_SAFE_INTEGER, after = 0, limit, actor = null, action = null, since = 0 }) {
      const rows = await tx.all<ChangeRow>(
        `SELECT ${CHANGE_COLUMNS} FROM audit WHERE seq < $1 AND seq > $2 AND at >= $3 AND ($4::text IS NULL OR actor = $4)
           AND ($5::text IS NULL OR action = $5 OR starts_with(action, $5 || '.')) ORDER BY seq DESC LIMIT $6`,
        ...[before, after, since, actor, action, limit],
      );
      return rows.map(readChange);
    },
  },
  trimChanges: {
    kind: 'write',
    async run({ tx }, before) {
      const sql = 'DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE at < $1 ORDER BY seq LIMIT $2)';
      return (await tx.run(sql, before, TRIMMED_AT_ONCE)) >= TRIMMED_AT_ONCE;
    },
  },
  beginRequest: {
    kind: 'write',
    async run({ tx }, begun) {
      const { owner, key, hash, at } = begun;
      // Of two at once, the second one waits for the row of the first.
      const fresh = 'INSERT INTO console_requests VALUES ($1, $2, $3, $4, 0, NULL, NULL) ON CONFLICT (owner, key)';
      if ((await tx.run(`${fresh} DO NOTHING`, owner, key, hash, at)) > 0) return { state: 'new' };
      const sql = 'SELECT hash, at, changed, status, body FROM console_requests WHERE owner = $1 AND key = $2 FOR UPDATE';
      const state = stateOfRequest(await tx.get<RequestRow>(sql, owner, key), begun);
      const anew = 'DO UPDATE SET hash = excluded.hash, at = excluded.at, changed = 0, status = NULL, body = NULL';
      if (state.state === 'new') await tx.run(`${fresh} ${anew}`, owner, key, hash, at);
      return state;
    },
  },
  answerRequest: {
    kind: 'write',
    async run({ tx }, { owner, key, answer }) {
      if (answer === null) await tx.run('DELETE FROM console_requests WHERE owner = $1 AND key = $2 AND changed = 0', owner, key);
      else {
        const sql = 'UPDATE console_requests SET status = $1, body = $2 WHERE owner = $3 AND key = $4';
        await tx.run(sql, answer.status, answer.body, owner, key);
      }
    },
  },
  mutes: {
    kind: 'read',
    run: ({ tx }) =>
      tx.all<MutedFinding>(
        'SELECT finding AS "check", subject, reason, muted_by AS by, at, until FROM muted_findings ORDER BY finding, subject',
      ),
  },
  putMute: {
    kind: 'write',
    async run({ tx }, m) {
      await tx.run(
        `INSERT INTO muted_findings VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (finding, subject)
         DO UPDATE SET reason = excluded.reason, muted_by = excluded.muted_by, at = excluded.at, until = excluded.until`,
        ...[m.check, m.subject, m.reason, m.by, m.at, m.until],
      );
    },
  },
  removeMute: {
    kind: 'write',
    run: async ({ tx }, { check, subject }) =>
      (await tx.run('DELETE FROM muted_findings WHERE finding = $1 AND subject = $2', check, subject)) > 0,
  },
  findings: { kind: 'read', run: ({ tx, machine }) => knownFindings(tx, machine) },
  keepFindings: {
    kind: 'write',
    async run({ tx, machine }, { findings, at }) {
      const known = sinceOf(await knownFindings(tx, machine));
      void tx.send('DELETE FROM known_findings WHERE machine = $1', machine);
      for (const { check, subject, result, detail } of findings)
        void tx.send(
          `INSERT INTO known_findings VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (machine, finding, subject)
           DO UPDATE SET result = excluded.result, since = excluded.since, detail = excluded.detail`,
          ...[machine, check, subject, result, known({ check, subject, result }) ?? at, detail],
        );
      await tx.flush();
    },
  },
  trimConsole: {
    kind: 'write',
    async run({ tx }, { now, createdBefore, seenBefore }) {
      void tx.send('DELETE FROM console_links WHERE expires_at <= $1', now);
      void tx.send('DELETE FROM console_sessions WHERE created_at < $1 OR last_seen_at < $2', createdBefore, seenBefore);
      void tx.send('DELETE FROM console_requests WHERE at <= $1', now - REQUEST_KEPT);
      void tx.send('DELETE FROM muted_findings WHERE until <= $1', now);
      await tx.flush();
    },
  },
};
