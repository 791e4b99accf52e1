/** Stores a new message: limits, message, recipients and content in one transaction. */

import type { LimitUse } from '../../smtp/limit.ts';
import { checkSpool } from './claim.ts';
import type { Context } from './context.ts';
import { GRANTED, type Grant, grantValues, judgeGrant } from './credential-rows.ts';
import { BYTES } from './effects.ts';
import { addressesOf, judgeAndCount, type LimitsArgument, useOf } from './limits.ts';
import { countOverLimit, insertOverLimit } from './over-limit.ts';
import { claiming } from './owners.ts';
import { contentCheck, type EncodedMessage, factsCheck, IdTaken, recipientCheck, type Value } from './rows.ts';
import { ACTIVE, HELD, QUEUED } from './states.ts';

type AcceptArgument = {
  readonly message: EncodedMessage;
  readonly claim: { readonly indexes: readonly number[]; readonly lease: string } | null;
  readonly limits: LimitsArgument | null;
  readonly grant: Grant | null;
};
type AcceptReply = {
  readonly denied: 'ended' | 'changed' | null;
  /** Another message has the id. Nothing was stored. */
  readonly idTaken: boolean;
  readonly exceeded: LimitUse | null;
  readonly held: boolean;
  readonly use: readonly LimitUse[];
  /** The bytes, given back to the caller. null: the caller does not need them any more. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
};

export function accept(context: Context, { message, claim, limits, grant }: AcceptArgument): AcceptReply {
  const bytes = message.spool === null ? message.bytes : null;
  const nothing = { denied: null, idTaken: false, exceeded: null, held: false, use: [], bytes };
  if (!insertFacts(context, message, grant)) {
    const denied = grant === null ? undefined : judgeGrant(context, grant, message.acceptedAt);
    return denied === undefined ? { ...nothing, idTaken: true } : { ...nothing, denied };
  }
  const { exceeded, held, use } = limits === null ? UNLIMITED : judge(context, message, limits);
  if (exceeded !== null && !held) {
    context.db.run('DELETE FROM messages WHERE id = ?', message.id);
    return { ...nothing, exceeded, use, bytes: null };
  }
  insertContent(context, message);
  if (claim !== null && !held) claiming(context, claim.lease);
  insertRecipients(context, message, { claim: held ? null : claim, waiting: held ? HELD : QUEUED });
  // This process does not deliver the message, so that the relay must hear of it.
  if (claim === null)
    for (let i = 1; i < message.recipients.length; i += 4) context.effects.changed(`queue:${message.recipients[i]}`);
  if (held && limits !== null) {
    insertOverLimit(context, message.id, limits.user);
    context.db.run('UPDATE recipients SET last_reply = ? WHERE message = ?', reasonOf(exceeded), message.id);
  }
  return { ...nothing, exceeded, held, use };
}

type Judged = Pick<AcceptReply, 'exceeded' | 'held' | 'use'>;
const UNLIMITED: Judged = { exceeded: null, held: false, use: [] };

/** Later mail of the user waits behind held mail. If enough mail is held, new mail is refused. */
function judge(context: Context, { acceptedAt, recipients }: EncodedMessage, limits: LimitsArgument): Judged {
  const { db } = context;
  const { user, list, over, maxHeld = 0 } = limits;
  const waiting = over === 'hold' ? countOverLimit(context, user, Math.max(maxHeld, 1)) : 0;
  if (waiting === 0) {
    const { exceeded, use } = judgeAndCount(db, limits, acceptedAt, addressesOf(recipients));
    return { exceeded, held: exceeded !== null && over === 'hold' && maxHeld > 0, use };
  }
  const use = useOf(db, user, list, acceptedAt);
  return waiting < maxHeld ? { exceeded: null, held: true, use } : { exceeded: nearest(use), held: false, use };
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

/**
 * Stores one of our reports. `held`: its news comes from a backup, so that it waits for the operator like all restored mail.
 * @throws IdTaken if another message has its id.
 */
export function insertReport(context: Context, message: EncodedMessage, held: boolean): void {
  if (!insertFacts(context, message, null)) throw new IdTaken(`Another message has the queue ID ${message.id}`);
  insertContent(context, message);
  insertRecipients(context, message, { claim: null, waiting: held ? HELD : QUEUED });
}

/** @returns undefined if there is no such message, and null if it was stored without a token. */
export function tokenOf({ db }: Context, id: string): number | null | undefined {
  return db.get<{ token: number | null }>('SELECT token FROM messages WHERE id = ?', id)?.token;
}

const INSERT_FACTS = 'INSERT INTO messages SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?';
const INSERT_ANY = `${INSERT_FACTS} WHERE true ON CONFLICT (id) DO NOTHING`;
const INSERT_GRANTED = `${INSERT_FACTS} WHERE ${GRANTED} ON CONFLICT (id) DO NOTHING`;

/** @returns false if another message has the id, or the grant is not valid any more. */
function insertFacts({ db }: Context, message: EncodedMessage, grant: Grant | null): boolean {
  const { id, facts, recipients, token, origin, acceptedAt } = message;
  if (recipients.length === 0) throw new TypeError(`message ${id} has no recipient: it would never end`);
  const values = [...facts, factsCheck(facts), token, ...origin];
  if (grant === null) return db.run(INSERT_ANY, ...values).changes > 0;
  return db.run(INSERT_GRANTED, ...values, ...grantValues(grant, acceptedAt)).changes > 0;
}

/** @throws DamagedEntry if the body is missing, because the sweep of a relay that started meanwhile has removed it. */
function insertContent({ db, effects, spoolDir }: Context, { id, bytes, spool }: EncodedMessage): void {
  if (spool !== null) checkSpool(spoolDir, spool);
  const { lastInsertRowid } = db.run('INSERT INTO contents (bytes) VALUES (?)', bytes);
  db.run(
    'INSERT INTO open VALUES (?, ?, ?, ?, ?, ?, ?)',
    id,
    lastInsertRowid,
    bytes.byteLength,
    contentCheck(id, bytes),
    spool?.name ?? null,
    spool?.size ?? null,
    spool?.verify ?? null,
  );
  effects.count(BYTES, bytes.byteLength);
}

type First = { readonly claim: AcceptArgument['claim']; readonly waiting: typeof HELD | typeof QUEUED };

function insertRecipients(context: Context, { id, recipients, acceptedAt }: EncodedMessage, { claim, waiting }: First): void {
  const { db, effects, due } = context;
  const claimed = new Set(claim?.indexes);
  for (let i = 0, n = 0; i < recipients.length; i += 4, n++) {
    const [address, destination, notify, orcpt] = recipients.slice(i, i + 4) as [string, string, number | null, Value];
    const leased = claimed.has(n);
    const state = leased ? ACTIVE : waiting;
    db.run(
      `INSERT INTO recipients (message, n, address, destination, notify, orcpt, verify, state, next_attempt, owner)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      n,
      address,
      destination,
      notify,
      orcpt,
      recipientCheck(id, n, [address, notify, orcpt]),
      state,
      state === QUEUED ? acceptedAt : null,
      leased ? (claim?.lease ?? null) : null,
    );
    effects.countState(state, 1);
    if (state === QUEUED) due.touch(destination);
  }
}
