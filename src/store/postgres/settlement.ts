/** Stores settlements: outcomes, next attempts, trace and news, for all settlements of a group in one transaction. */
import type { NewUntold } from '../message-store.ts';
import type { Effects } from '../sqlite/effects.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import type { EncodedChange } from '../sqlite/rows.ts';
import { ACTIVE, ENDED, HELD, RELAYED } from '../sqlite/states.ts';
import type { NewSuppression } from '../suppression.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { DueChanges } from './due-memory.ts';
import { type Cell, columns } from './parameters.ts';
import { sendShaping } from './provider-rows.ts';
import { noteSuppressions } from './suppression-rows.ts';
import { compare } from './windows.ts';

type SettleArgument = Argument<'settle'>;
type Recipient = {
  readonly message: string;
  readonly n: number;
  readonly destination: string;
  state: number;
  owner: string | null;
  attempts: number;
  next_attempt: number | null;
  last_reply: string | null;
  delay_reported: number;
  excused: number;
  held_by: string | null;
  /** The relay that has tried it last. */
  tried_by: string | null;
};
type Applied = 'changed' | 'stored' | 'stays' | 'lost';
type About = {
  readonly lease: string | null;
  readonly at: number;
  readonly change: EncodedChange;
  readonly row: Recipient | undefined;
};

const LOCK_OPEN = 'SELECT id FROM open WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE';
const LOCK_RECIPIENTS = `
  SELECT r.message, r.n, r.destination, r.state, r.owner, r.attempts, r.next_attempt, r.last_reply, r.delay_reported, r.excused,
    r.held_by, r.tried_by
  FROM unnest($1::text[], $2::int[]) AS c (message, n) JOIN recipients r ON r.message = c.message AND r.n = c.n
  ORDER BY r.message, r.n FOR UPDATE OF r`;
const UPDATE = `
  UPDATE recipients r SET state = c.state, owner = c.owner, attempts = c.attempts, next_attempt = c.next_attempt, last_reply = c.last_reply,
    delay_reported = c.delay_reported, excused = c.excused, held_by = c.held_by, tried_by = c.tried_by
  FROM unnest($1::text[], $2::int[], $3::smallint[], $4::text[], $5::int[], $6::bigint[], $7::text[], $8::int[], $9::int[],
    $10::text[], $11::text[])
    AS c (message, n, state, owner, attempts, next_attempt, last_reply, delay_reported, excused, held_by, tried_by)
  WHERE r.message = c.message AND r.n = c.n`;
const INSERT_ATTEMPTS = `
  INSERT INTO attempts
  SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::smallint[], $9::int[],
    $10::text[], $11::text[], $12::double precision[], $13::text[], $14::text[],
    $15::text[], $16::text[], $17::text[], $18::text[])`;
const INSERT_UNTOLD = `
  INSERT INTO untold (message, n, action, sender, at, due_at, reply, mx, ip)
  SELECT c.message, c.n, c.action, m.reverse_path, c.at, c.due_at, c.reply, c.mx, c.ip
  FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[])
    AS c (message, n, action, at, due_at, reply, mx, ip) JOIN messages m ON m.id = c.message
  ON CONFLICT DO NOTHING`;
/** Makes a report due now if no other recipient of the message can end or be tried before the report would be due. */
const END_COLLECTING = `
  UPDATE untold u SET due_at = c.at FROM unnest($1::text[], $2::bigint[]) AS c (message, at)
  WHERE u.message = c.message AND u.summary = 0 AND u.due_at > c.at AND u.due_at < coalesce(
    (SELECT min(CASE WHEN r.state = ${ACTIVE} THEN 0 ELSE r.next_attempt END) FROM recipients r
     WHERE r.message = c.message AND r.state <= ${ACTIVE}), ${Number.MAX_SAFE_INTEGER})
  RETURNING u.message`;
/** A message is closed when its last recipient has ended and its sender was told, because a report may quote the content. */
const CLOSE_ENDED = `
  WITH gone AS (
    DELETE FROM open o WHERE o.id = ANY($1::text[])
      AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = o.id AND r.state < ${ENDED})
      AND NOT EXISTS (SELECT 1 FROM untold u WHERE u.message = o.id AND u.summary = 0)
    RETURNING o.id, o.spool
  ), bodies AS (DELETE FROM contents c USING gone WHERE c.message = gone.id)
  DELETE FROM chunks k USING gone WHERE k.spool = gone.spool`;
const ATTEMPTS_BEFORE = `
  SELECT a.message, a.n, a.at, a.outcome FROM unnest($1::text[], $2::int[]) AS c (message, n)
  JOIN attempts a ON a.message = c.message AND a.n = c.n`;

/**
 * Removes the content of messages that have ended. Two transactions may end recipients of one message at the same time: the lock of the
 * row in `open` lets the second one see what the first one did.
 */
export function closeEndedRows(tx: DatabaseTransaction, ids: readonly string[]): void {
  if (ids.length > 0) void tx.send(CLOSE_ENDED, [...new Set(ids)].sort());
}

export function lockOpenRows(tx: DatabaseTransaction, ids: readonly string[]): void {
  if (ids.length > 0) void tx.send(LOCK_OPEN, [...new Set(ids)].sort());
}

/** @returns decides the settlements in their order and sends their rows; to be called after `flush`. */
export function lockForSettling(
  tx: DatabaseTransaction,
  all: readonly SettleArgument[],
  { due, machine }: { due: DueChanges; machine: string },
) {
  lockOpenRows(
    tx,
    all.flatMap(({ id, changes }) => (changes.some(([, state]) => state >= ENDED) ? [id] : [])),
  );
  const keys = all.flatMap(({ id, changes }) => changes.map(([n]) => [id, n] as const));
  const rows = tx.send<Recipient>(LOCK_RECIPIENTS, ...columns(keys, 2));
  return async (effects: Effects): Promise<() => Promise<Result<'settle'>[]>> => {
    const found = new Map((await rows).map((row) => [`${row.message} ${row.n}`, row]));
    const settling = new Settling(found, await recordedBefore(tx, all, found), machine);
    const ends = all.map((argument) => settling.one(argument, effects));
    const news = await noteSuppressions(
      tx,
      ends.flatMap(({ noted }) => noted),
    );
    settling.send(tx);
    sendShaping(
      tx,
      machine,
      all.flatMap(({ shaping = [] }) => shaping),
    );
    for (const { destination } of settling.changed) due.touch(destination);
    const collecting = all.map(({ id, at }) => [id, at] as const).toSorted((a, b) => compare(a[0], b[0]));
    closeEndedRows(
      tx,
      ends.flatMap(({ ended }, i) => (ended ? [all[i]!.id] : [])),
    );
    // It is answered with the COMMIT, whose answer can be lost. Where the commit counts all the same, each may have a report due.
    const reports = settling.mayReport
      ? tx
          .send<{ message: string }>(END_COLLECTING, ...columns(collecting, 2))
          .catch(() => all.map(({ id }) => ({ message: id })))
      : [];
    return async () => {
      const dueNow = new Set((await reports).map(({ message }) => message));
      let told = 0;
      return ends.map(({ unchanged, lost, noted }, i) => {
        const reportDue = dueNow.has(all[i]!.id);
        const suppression = news.slice(told, (told += noted.length)).filter((one) => one !== undefined);
        if (unchanged.length === 0 && !reportDue && suppression.length === 0) return null;
        return { unchanged, lost, reportDue, ...(suppression.length > 0 && { suppression }) };
      });
    };
  };
}

/** The attempts of recipients that do not have the lease: their settlement may have been stored before, and its answer was lost. */
async function recordedBefore(
  tx: DatabaseTransaction,
  all: readonly SettleArgument[],
  found: ReadonlyMap<string, Recipient>,
): Promise<ReadonlySet<string>> {
  const odd = all.flatMap(({ id, lease, changes }) =>
    changes.flatMap(([n]) => {
      const row = found.get(`${id} ${n}`);
      return row === undefined || (row.state === ACTIVE && row.owner === lease && lease !== null) ? [] : [[id, n] as const];
    }),
  );
  if (odd.length === 0) return new Set();
  type Before = { message: string; n: number; at: number; outcome: number };
  const rows = await tx.all<Before>(ATTEMPTS_BEFORE, ...columns(odd, 2));
  return new Set(rows.map(({ message, n, at, outcome }) => `${message} ${n} ${at} ${outcome}`));
}

class Settling {
  readonly changed = new Set<Recipient>();
  readonly #attempts: Cell[][] = [];
  readonly #untold: Cell[][] = [];
  readonly #found: ReadonlyMap<string, Recipient>;
  readonly #recorded: ReadonlySet<string>;
  readonly #machine: string;
  /** A message has news, or may have it. */
  mayReport = false;

  constructor(found: ReadonlyMap<string, Recipient>, recorded: ReadonlySet<string>, machine: string) {
    this.#found = found;
    this.#recorded = recorded;
    this.#machine = machine;
  }

  one({ id, lease, at, changes, untold, suppression = [] }: SettleArgument, effects: Effects) {
    const unchanged: number[] = [];
    const noted: NewSuppression[] = [];
    const lost: number[] = [];
    let ended = false;
    for (const change of changes) {
      const [n, state] = change;
      const row = this.#found.get(`${id} ${n}`);
      const owed = untold.find((one) => one.n === n);
      const told = owed?.action === 'delayed' && (row?.delay_reported ?? 0) !== 0;
      const applied = this.#apply(effects, { lease, at, change, row });
      if (applied === 'stays' || applied === 'lost') unchanged.push(n);
      if (applied === 'lost') lost.push(n);
      if (owed !== undefined && !told && applied === 'changed') this.#owe(id, owed);
      if (applied === 'changed' && suppression.length > 0) noted.push(...suppression.filter((one) => one.n === n));
      ended ||= state >= ENDED;
      // News of other recipients may wait for this one. A recipient that was relayed at its first attempt is the usual case.
      if (state !== RELAYED || (row?.attempts ?? 0) > 1 || n > 0) this.mayReport = true;
    }
    this.mayReport ||= untold.length > 0;
    return { unchanged, lost, ended, noted };
  }

  #apply(effects: Effects, about: About): Applied {
    const { lease, change, row } = about;
    const [n, state, , , , attempt] = change;
    if (state < 0 || state === ACTIVE) throw new TypeError(`settle: no recipient is set to state ${state}`);
    if (row === undefined) return 'stays';
    if (row.state === ACTIVE && lease !== null && row.owner === lease) return this.#change(effects, about, row);
    const recorded = attempt !== null && this.#recorded.has(`${row.message} ${n} ${attempt[0]} ${attempt[4]}`);
    if (row.state === state && recorded) return 'stored';
    const parked = row.state >= ENDED || (row.state === HELD && state < ENDED);
    // Relayed mail has left. It must not be sent again, whichever lease the recipient has.
    const fenced = state !== RELAYED && (lease === null ? row.state === ACTIVE : row.state <= ACTIVE);
    if (!parked && !fenced) return this.#change(effects, about, row);
    if (attempt !== null && !recorded) this.#record(row, attempt);
    return parked ? 'stays' : 'lost';
  }

  #change(effects: Effects, { at, change }: About, row: Recipient): Applied {
    const [, state, nextAttempt, lastReply, delayReported, attempt, excused, heldBy] = change;
    effects.move(row.state, state);
    row.state = state;
    row.next_attempt = state < ACTIVE ? (nextAttempt ?? at) : null;
    row.owner = null;
    row.excused += excused;
    row.held_by = heldBy;
    row.last_reply = lastReply ?? row.last_reply;
    row.delay_reported = delayReported ?? row.delay_reported;
    this.changed.add(row);
    if (attempt !== null) this.#record(row, attempt);
    return 'changed';
  }

  /** Adds the attempt to the trace. */
  #record(row: Recipient, attempt: readonly Cell[]): void {
    row.attempts++;
    row.tried_by = this.#machine;
    this.changed.add(row);
    this.#attempts.push([row.message, row.n, row.attempts, ...attempt]);
  }

  #owe(id: string, { n, action, reply, mx, ip, at, collectUntil }: NewUntold): void {
    this.#untold.push([id, n, action, at, collectUntil, JSON.stringify(reply), mx ?? null, ip ?? null]);
  }

  send(tx: DatabaseTransaction): void {
    const rows = [...this.changed].map((r) => [
      ...[r.message, r.n, r.state, r.owner, r.attempts, r.next_attempt, r.last_reply, r.delay_reported, r.excused, r.held_by],
      r.tried_by,
    ]);
    if (rows.length > 0) void tx.send(UPDATE, ...columns(rows, 11));
    if (this.#attempts.length > 0) void tx.send(INSERT_ATTEMPTS, ...columns(this.#attempts, 18));
    if (this.#untold.length > 0) void tx.send(INSERT_UNTOLD, ...columns(this.#untold, 8));
  }
}
