/** Stores new messages: their grants, limits, rows and contents, for all messages of a group in one transaction. */
import type { LimitUse } from '../../smtp/limit.ts';
import type { Grant } from '../sqlite/credential-rows.ts';
import type { Effects } from '../sqlite/effects.ts';
import { addressesOf, userKey } from '../sqlite/limits.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import type { SpoolRow } from '../sqlite/rows.ts';
import { ACTIVE, HELD, QUEUED } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { laxness } from './link.ts';
import { destinationsOf, insertMessages, type NewRows } from './message-rows.ts';
import { LockedUse } from './windows.ts';

type AcceptArgument = Argument<'accept'>;
type AcceptReply = Result<'accept'>;
/** The error of one message does not concern the others. */
export type MailOutcome<T> = { readonly result: T } | { readonly error: Error };
/** The database would answer before the data are as safe as the operator wants. */
export class LaxDatabase extends Error {
  override readonly name = 'LaxDatabase';
}
const SETTINGS = `
  SELECT current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS standbys, time_ms() AS now`;
type Login = { key: string; generation: string; revision: number; disabled: boolean; expires_at: number | null };

const NOTHING = { denied: null, idTaken: false, exceeded: null, held: false, use: [] } as const;
const bytesOf = ({ message }: AcceptArgument) => (message.spool === null ? message.bytes : null);

/**
 * Locks and reads what the judgement of all messages needs. Logins come before the use of limits, and both in the order of their keys.
 * @returns judges the messages in their order and sends their rows; to be called after `flush`.
 */
export function lockForMail(tx: DatabaseTransaction, all: readonly AcceptArgument[], durability: 'two' | 'one') {
  const ids = all.map(({ message }) => message.id);
  const taken = tx.send<{ id: string; token: number | null }>('SELECT id, token FROM messages WHERE id = ANY($1::text[])', ids);
  const logins = sendLogins(
    tx,
    all.flatMap(({ grant }) => grant ?? []),
  );
  const limited = all.flatMap(({ limits, message }) =>
    limits === null ? [] : [{ user: limits.user, addresses: addressesOf(message.recipients) }],
  );
  const use = limited.length === 0 ? undefined : LockedUse.send(tx, limited);
  const holding = [...new Set(all.flatMap(({ limits }) => (limits?.over === 'hold' ? [userKey(limits.user)] : [])))];
  const held = holding.length === 0 ? [] : tx.send<{ user_key: string; n: number }>(HELD_BY_USER, holding);
  const spools = all.flatMap(({ message }) => message.spool ?? []);
  const chunks = sendChunks(tx, spools);
  // Comes last, so that its time is later than that of each transaction that had these rows before.
  const settings = tx.send<{ commit: string; standbys: string; now: number }>(SETTINGS);
  return async (effects: Effects): Promise<MailOutcome<AcceptReply>[]> => {
    const { commit, standbys, now } = (await settings)[0]!;
    const lax = laxness(durability, commit, standbys);
    if (lax !== undefined) return all.map(() => ({ error: new LaxDatabase(`No mail is accepted: ${lax}`) }));
    const judge = new Judge({
      now,
      logins: new Map((await logins).map((row) => [row.key, row])),
      taken: new Map((await taken).map(({ id, token }) => [id, token])),
      use: await use?.(),
      held: new Map((await held).map(({ user_key, n }) => [user_key, n])),
      damaged: damagedAmong(spools, await chunks),
    });
    const outcomes = all.map((argument) => judge.message(argument));
    insertMessages(tx, effects, judge.rows);
    judge.use?.write(tx);
    insertHeld(tx, judge.newlyHeld);
    for (const destination of judge.due) effects.changed(`queue:${destination}`);
    return outcomes;
  };
}

function sendLogins(tx: DatabaseTransaction, grants: readonly Grant[]): Promise<Login[]> | Login[] {
  if (grants.length === 0) return [];
  const keys = [...new Set(grants.map(({ name }) => userKey(name)))].sort();
  // The lock makes a change of the login wait for this commit, so that nothing is accepted after the commit that ends it.
  return tx.send<Login>(
    'SELECT key, generation, revision, disabled, expires_at FROM credentials WHERE key = ANY($1::text[]) ORDER BY key FOR SHARE',
    keys,
  );
}

type Chunks = { spool: string; chunks: number; size: number };

/** A failover may have lost the last chunks of a body, because they are not waited for. This transaction counts them, and its commit covers them. */
function sendChunks(tx: DatabaseTransaction, spools: readonly SpoolRow[]): Promise<Chunks[]> | Chunks[] {
  if (spools.length === 0) return [];
  const sql = `SELECT spool, count(*) AS chunks, max(seq) + 1 AS last, coalesce(sum(octet_length(bytes)), 0)::bigint AS size FROM chunks
    WHERE spool = ANY($1::text[]) GROUP BY spool`;
  return tx.send<Chunks>(
    sql,
    spools.map(({ name }) => name),
  );
}

function damagedAmong(spools: readonly SpoolRow[], chunks: readonly Chunks[]): ReadonlySet<string> {
  const sizes = new Map(chunks.map(({ spool, size }) => [spool, size]));
  return new Set(spools.flatMap(({ name, size }) => (sizes.get(name) === size ? [] : [name])));
}

const HELD_BY_USER = 'SELECT user_key, count(*)::int AS n FROM over_limit WHERE user_key = ANY($1::text[]) GROUP BY user_key';

function insertHeld(tx: DatabaseTransaction, rows: readonly (readonly [id: string, user: string])[]): void {
  // The numbers of the rows are the order of arrival, so that each row has its own statement.
  for (const [id, user] of rows) void tx.send('INSERT INTO over_limit (message, user_key) VALUES ($1, $2)', id, user);
}

type Locked = {
  /** By the clock of the database. */
  readonly now: number;
  readonly logins: ReadonlyMap<string, Login>;
  readonly taken: Map<string, number | null>;
  readonly use: LockedUse | undefined;
  readonly held: Map<string, number>;
  readonly damaged: ReadonlySet<string>;
};
type Verdict = Pick<AcceptReply, 'exceeded' | 'held' | 'use'>;

/** Judges the messages of one transaction in their order. What one counts, the next one sees. */
class Judge {
  readonly rows: NewRows[] = [];
  readonly newlyHeld: (readonly [id: string, user: string])[] = [];
  readonly due = new Set<string>();
  readonly use: LockedUse | undefined;
  readonly #locked: Locked;

  constructor(locked: Locked) {
    this.#locked = locked;
    this.use = locked.use;
  }

  message(argument: AcceptArgument): MailOutcome<AcceptReply> {
    const { message, claim, limits, grant } = argument;
    const { taken, damaged } = this.#locked;
    const bytes = bytesOf(argument);
    if (message.recipients.length === 0)
      return { error: new TypeError(`message ${message.id} has no recipient: it would never end`) };
    if (message.spool !== null && damaged.has(message.spool.name))
      return { error: new Error('The database has lost a part of the body: the client must send it again') };
    const denied = grant === null ? null : this.#deny(grant);
    if (denied !== null) return { result: { ...NOTHING, denied, bytes } };
    const token = taken.get(message.id);
    // An earlier run of this transaction has stored it, and its answer was lost.
    if (token !== undefined && token !== null && token === message.token) return { result: { ...NOTHING, bytes } };
    if (token !== undefined) return { result: { ...NOTHING, idTaken: true, bytes } };
    const { exceeded, held, use } = limits === null ? NOTHING : this.#limit(message, limits);
    if (exceeded !== null && !held) return { result: { ...NOTHING, exceeded, use, bytes: null } };
    taken.set(message.id, message.token);
    const claimed = new Set(held ? [] : claim?.indexes);
    const states = destinationsOf(message).map((_, n) => (claimed.has(n) ? ACTIVE : held ? HELD : QUEUED));
    const leases = states.map((state) => (state === ACTIVE ? claim!.lease : null));
    this.rows.push({ message, states, leases, reason: held ? reasonOf(exceeded) : null });
    if (held) this.newlyHeld.push([message.id, userKey(limits!.user)]);
    // This process does not deliver the message, so that the relay must hear of it.
    if (claim === null) for (const destination of destinationsOf(message)) this.due.add(destination);
    return { result: { ...NOTHING, exceeded, held, use, bytes } };
  }

  #deny({ name, generation, revision }: Grant): 'ended' | 'changed' | null {
    const row = this.#locked.logins.get(userKey(name));
    if (row === undefined || row.generation !== generation || row.disabled) return 'ended';
    if (row.expires_at !== null && row.expires_at <= this.#locked.now) return 'ended';
    return row.revision === revision ? null : 'changed';
  }

  /** Later mail of the user waits behind held mail. If enough mail is held, new mail is refused. */
  #limit({ recipients }: AcceptArgument['message'], limits: NonNullable<AcceptArgument['limits']>): Verdict {
    const { user, list, over, maxHeld = 0 } = limits;
    const { held, now } = this.#locked;
    const waiting = over === 'hold' ? (held.get(userKey(user)) ?? 0) : 0;
    const use = this.#locked.use!.of(user);
    const hold = () => held.set(userKey(user), waiting + 1);
    if (waiting > 0) {
      const used = use.use(list, now);
      if (waiting >= maxHeld) return { exceeded: nearest(used), held: false, use: used };
      hold();
      return { exceeded: null, held: true, use: used };
    }
    const { exceeded, use: after } = use.judge(list, now, addressesOf(recipients));
    const isHeld = exceeded !== null && over === 'hold' && maxHeld > 0;
    if (isHeld) hold();
    return { exceeded, held: isHeld, use: after };
  }
}

/** The limit of which the largest share is used. */
function nearest(use: readonly LimitUse[]): LimitUse | null {
  const share = ({ used, limit }: LimitUse) => used / Math.max(limit.count, 1);
  return use.toSorted((a, b) => share(b) - share(a))[0] ?? null;
}

function reasonOf(exceeded: LimitUse | null): string {
  if (exceeded === null) return '450 4.7.1 Held behind mail that is over a limit';
  const { kind, count, per } = exceeded.limit;
  return `450 4.7.1 Held over the limit of ${count} ${kind} per ${per}`;
}
