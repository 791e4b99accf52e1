/** Commands on the queue: retry, hold, release, remove and reroute. A transaction changes about a thousand recipients. */
import type { MessageFacts } from '../message-store.ts';
import type { Notice, RecipientFilter, Touched } from '../message-view.ts';
import { tokenOf } from './accept.ts';
import type { Context } from './context.ts';
import { forgetOverLimit } from './over-limit.ts';
import { livingOwners, ownerOf } from './owners.ts';
import { decodeFacts, type MessageRow } from './rows.ts';
import { closeEnded } from './settle.ts';
import { ACTIVE, DELAYED, ENDED, HELD, QUEUED, REMOVED, stateName, stateNumber } from './states.ts';

/** The recipients that one step changes, and those that it reads. */
const STEP_CHANGES = 1000;
const STEP_ROWS = 5000;

export type Action = 'retry' | 'hold' | 'release' | 'remove';
/** The messages with these `ids`; without `ids`, all open messages behind `after`. */
export type StepSelection = RecipientFilter & { readonly ids?: readonly string[]; readonly after: string };
/** `after`: the start of the next step. null: the walk is complete. */
export type Step<T> = { readonly items: readonly T[]; readonly after: string | null };

export type CommandRow = { message: string; n: number; address: string; destination: string; state: number; attempts: number };

/** The new state of a recipient. undefined: the action does not change it. */
export const NEXT_STATE: Readonly<Record<Action, (row: CommandRow) => number | undefined>> = {
  retry: ({ state }) => (state < ACTIVE ? state : undefined),
  hold: ({ state }) => (state < ACTIVE ? HELD : undefined),
  release: ({ state, attempts }) => (state === HELD ? (attempts > 0 ? DELAYED : QUEUED) : undefined),
  remove: () => REMOVED,
};

/** The event of each action in the log. A retry has none, because the log has the attempt that follows. */
export const COMMAND_NOTICE: Readonly<Record<Action, Notice['event'] | undefined>> = {
  retry: undefined,
  hold: 'held',
  release: 'released',
  remove: 'removed',
};

export function command(context: Context, a: StepSelection & { action: Action; now: number }): Step<Touched> {
  const { db } = context;
  const { rows, after } = openRows(context, a);
  const touched: Touched[] = [];
  const closed = new Set<string>();
  for (const row of rows) {
    // After hold, release or remove by an operator, the limits decide no more about the message.
    if (row.state === HELD && a.action !== 'retry') forgetOverLimit(context, row.message);
    const state = NEXT_STATE[a.action](row);
    if (state === undefined) continue;
    db.run(
      'UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL, held_by = NULL WHERE message = ? AND n = ?',
      state,
      state < ACTIVE ? a.now : null,
      row.message,
      row.n,
    );
    context.effects.move(row.state, state);
    context.due.touch(row.destination);
    if (state < ACTIVE) context.effects.changed(`queue:${row.destination}`);
    if (state >= ENDED) closed.add(row.message);
    if (a.action === 'retry')
      db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', RETRIED + row.destination, String(a.now));
    const event = COMMAND_NOTICE[a.action];
    if (event !== undefined) {
      db.run('INSERT INTO notices (event, message, recipient) VALUES (?, ?, ?)', event, row.message, row.address);
      context.effects.changed('notices');
    }
    touched.push({ id: row.message, recipient: row.address, state: stateName(state) ?? 'held' });
  }
  for (const id of closed) closeEnded(context, id);
  return { items: touched, after };
}

/** Removes the messages with these ids and tokens. */
export function withdraw(context: Context, { messages, now }: { messages: readonly Stored[]; now: number }): void {
  for (const { id, token } of messages)
    if (tokenOf(context, id) === token) command(context, { action: 'remove', ids: [id], after: '', now });
}
type Stored = { readonly id: string; readonly token: number };

/** Returns the oldest notices. Each is returned once. */
export function takeNotices({ db }: Context, limit: number): readonly Notice[] {
  return db.all<Notice>(
    'DELETE FROM notices WHERE seq IN (SELECT seq FROM notices ORDER BY seq LIMIT ?) RETURNING event, message AS id, recipient',
    limit,
  );
}

/** The prefix of a small value, which is written in the transaction that makes the mail due, so that the relay always sees both. */
const RETRIED = 'retried.';

/** Returns destinations. Each is returned once. */
export function takeRetried({ db }: Context, limit: number): readonly string[] {
  const rows = db.all<{ name: string }>(
    'DELETE FROM small_values WHERE name IN (SELECT name FROM small_values WHERE name >= ? AND name < ? LIMIT ?) RETURNING name',
    RETRIED,
    'retried/', // the next character after the dot
    limit,
  );
  return rows.map(({ name }) => name.slice(RETRIED.length));
}

/** Reads whole messages, so that the next step begins behind the last one. */
function openRows(context: Context, { ids, after, ...filter }: StepSelection): { rows: CommandRow[]; after: string | null } {
  const rows: CommandRow[] = [];
  const fits = rowFilter(filter);
  let looked = 0;
  for (const id of ids ?? openIds(context, after, filter.upTo)) {
    if (rows.length >= STEP_CHANGES || looked >= STEP_ROWS) return { rows, after };
    const found = isChosen(context, id, filter)
      ? context.db.all<CommandRow>(
          'SELECT message, n, address, destination, state, attempts FROM recipients WHERE message = ? AND state < ?',
          id,
          ENDED,
        )
      : [];
    looked += found.length + 1;
    for (const row of found) if (fits(row)) rows.push(row);
    after = id;
  }
  return { rows, after: ids === undefined && looked > 0 ? after : null };
}

/** What of the filter is about the message. */
function isChosen({ db }: Context, id: string, { user, acceptedBefore, upTo }: RecipientFilter): boolean {
  if (upTo !== undefined && id > upTo) return false;
  if (user === undefined && acceptedBefore === undefined) return true;
  const sql = 'SELECT 1 FROM messages WHERE id = ?1 AND (?2 IS NULL OR user = ?2 COLLATE NOCASE) AND accepted_at < ?3';
  return db.get(sql, id, user ?? null, acceptedBefore ?? Number.MAX_SAFE_INTEGER) !== undefined;
}

/** What of the filter is about the recipient. */
export function rowFilter({ domain, destination, states }: RecipientFilter): (row: CommandRow) => boolean {
  const numbers = states?.map(stateNumber);
  const named = domain?.toLowerCase();
  return (row) =>
    (named === undefined || row.address.slice(row.address.lastIndexOf('@') + 1).toLowerCase() === named) &&
    (destination === undefined || row.destination === destination) &&
    (numbers === undefined || numbers.includes(row.state));
}

function openIds({ db }: Context, after: string, upTo?: string): string[] {
  const sql = 'SELECT id FROM open WHERE id > ?1 AND (?3 IS NULL OR id <= ?3) ORDER BY id LIMIT ?2';
  return db.all<{ id: string }>(sql, after, STEP_CHANGES, upTo ?? null).map(({ id }) => id);
}

type Counted = { readonly recipients: number; readonly oldestAcceptedAt: number };
/** One item for each message with a recipient that fits. */
export function preview(context: Context, selection: StepSelection): Step<Counted> {
  const { rows, after } = openRows(context, selection);
  const items = [...recipientsOf(rows)].flatMap(([id, recipients]) => {
    const found = context.db.get<{ at: number }>('SELECT accepted_at AS at FROM messages WHERE id = ?', id);
    return found === undefined ? [] : [{ recipients, oldestAcceptedAt: found.at }];
  });
  return { items, after };
}

/** The number of rows of each message. */
export function recipientsOf(rows: readonly CommandRow[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { message } of rows) counts.set(message, (counts.get(message) ?? 0) + 1);
  return counts;
}

/** The newest message that has not ended. */
export function newestOpen({ db }: Context): string {
  return db.get<{ id: string | null }>('SELECT max(id) AS id FROM open')?.id ?? '';
}

/** For `reroute`: the main thread chooses the destinations, because its function cannot be sent to this thread. */
type Routed = {
  readonly message: MessageFacts;
  readonly recipients: readonly { n: number; address: string; destination: string }[];
};
export function waiting(context: Context, selection: StepSelection): Step<Routed> {
  const { rows, after } = openRows(context, selection);
  const messages = new Map<string, CommandRow[]>();
  for (const row of rows) if (row.state !== ACTIVE) messages.set(row.message, [...(messages.get(row.message) ?? []), row]);
  const items: Routed[] = [];
  for (const [id, recipients] of messages) {
    const facts = context.db.get<MessageRow>('SELECT * FROM messages WHERE id = ?', id);
    if (facts !== undefined)
      items.push({
        message: decodeFacts(facts),
        recipients: recipients.map(({ n, address, destination }) => ({ n, address, destination })),
      });
  }
  return { items, after };
}

export type NewRoute = { readonly id: string; readonly n: number; readonly destination: string };
/** A held recipient gets the destination and stays held. An active or ended recipient is not changed. */
export function reroute(context: Context, { routes, now }: { routes: readonly NewRoute[]; now: number }): readonly Touched[] {
  const touched: Touched[] = [];
  for (const { id, n, destination } of routes) {
    const row = context.db.get<CommandRow>(
      'SELECT address, destination, state FROM recipients WHERE message = ? AND n = ? AND state < ? AND state <> ?',
      id,
      n,
      ENDED,
      ACTIVE,
    );
    if (row === undefined) continue;
    const next = row.state < ACTIVE ? now : null;
    context.db.run(
      'UPDATE recipients SET destination = ?, next_attempt = ? WHERE message = ? AND n = ?',
      destination,
      next,
      id,
      n,
    );
    context.due.touch(row.destination);
    context.due.touch(destination);
    context.effects.changed(`queue:${destination}`);
    touched.push({ id, recipient: row.address, state: stateName(row.state) ?? 'held' });
  }
  return touched;
}

/** Makes claimed recipients without a living owner due at once. */
export function takeBack(context: Context, step: LeaseStep): Step<number> {
  const living = livingOwners(context.db);
  return endLeases(context, step, (lease) => lease === null || !living.has(ownerOf(lease)));
}

/** Makes the recipients of exactly this lease due at once. */
export function giveBack(context: Context, { lease, ...step }: LeaseStep & { lease: string }): Step<number> {
  return endLeases(context, step, (held) => held === lease);
}

/** The destinations that one step reads. */
const STEP_DESTINATIONS = 500;

/** Uses the index of due recipients, with one seek for each destination, because every start calls it. */
export function thaw({ db, due }: Context, { latest, after, now }: { latest: number; after: string; now: number }): Step<number> {
  let last = after;
  let count = 0;
  for (let i = 0; i < STEP_DESTINATIONS; i++) {
    const destination = db.get<{ name: string | null }>(
      'SELECT min(destination) AS name FROM recipients INDEXED BY recipients_due WHERE next_attempt IS NOT NULL AND destination > ?',
      last,
    )?.name;
    if (destination == null) return { items: [count], after: null };
    const rows = db.all<{ message: string; n: number }>(
      'SELECT message, n FROM recipients INDEXED BY recipients_due WHERE destination = ? AND next_attempt > ? LIMIT ?',
      destination,
      latest,
      STEP_CHANGES - count,
    );
    for (const { message, n } of rows)
      db.run('UPDATE recipients SET next_attempt = ? WHERE message = ? AND n = ?', now, message, n);
    if (rows.length > 0) due.touch(destination);
    count += rows.length;
    if (count >= STEP_CHANGES) break; // the destination may have more recipients
    last = destination;
  }
  return { items: [count], after: last };
}

type LeaseStep = { readonly after: string; readonly now: number };

function endLeases(context: Context, { after, now }: LeaseStep, isOver: (lease: string | null) => boolean): Step<number> {
  const ids = openIds(context, after);
  let count = 0;
  for (const id of ids) {
    const rows = context.db.all<{ n: number; destination: string; attempts: number; owner: string | null }>(
      'SELECT n, destination, attempts, owner FROM recipients WHERE message = ? AND state = ?',
      id,
      ACTIVE,
    );
    for (const { n, destination, attempts, owner } of rows) {
      if (!isOver(owner)) continue;
      const state = attempts > 0 ? DELAYED : QUEUED;
      const sql = 'UPDATE recipients SET state = ?, next_attempt = ?, owner = NULL WHERE message = ? AND n = ?';
      context.db.run(sql, state, now, id, n);
      context.effects.move(ACTIVE, state);
      context.due.touch(destination);
      count++;
    }
  }
  return { items: [count], after: ids.at(-1) ?? null };
}
