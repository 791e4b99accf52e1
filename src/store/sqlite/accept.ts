/** A new message: limits, message, recipients and content in one transaction. */
import { crc32 } from 'node:zlib';
import type { LimitUse } from '../message-store.ts';
import type { Context } from './context.ts';
import { type Grant, judgeGrant } from './credential-rows.ts';
import { BYTES } from './effects.ts';
import { addressesOf, judgeAndCount, type LimitsArgument } from './limits.ts';
import { type EncodedMessage, factsCheck, recipientCheck, type Value } from './rows.ts';
import { ACTIVE, HELD, QUEUED } from './states.ts';

export type AcceptArgument = {
  readonly message: EncodedMessage;
  /** Indexes that are leased to `owner` at once. */
  readonly claim: readonly number[];
  readonly owner: string;
  readonly limits: LimitsArgument | null;
  readonly grant: Grant | null;
};
export type AcceptReply = {
  readonly denied: 'ended' | 'changed' | null;
  readonly exceeded: LimitUse | null;
  readonly held: boolean;
  readonly use: readonly LimitUse[];
  /** Handed back to whom they came from; null where nothing was kept. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
};

export function accept(context: Context, { message, claim, owner, limits, grant }: AcceptArgument): AcceptReply {
  const bytes = message.spool === null ? message.bytes : null;
  const denied = grant === null ? undefined : judgeGrant(context, grant, message.acceptedAt);
  if (denied !== undefined) return { denied, exceeded: null, held: false, use: [], bytes };
  const judged = limits === null ? null : judgeAndCount(context.db, limits, message.acceptedAt, addressesOf(message.recipients));
  const exceeded = judged?.exceeded ?? null;
  const use = judged?.use ?? [];
  if (exceeded !== null && limits?.over === 'refuse') return { denied: null, exceeded, held: false, use, bytes: null };
  const held = exceeded !== null;
  insertMessage(context, message);
  insertRecipients(context, message, { claim: held ? [] : claim, owner, waiting: held ? HELD : QUEUED });
  return { denied: null, exceeded: null, held, use, bytes };
}

/** A report of ours. `held`: what it tells was restored from a backup, so it waits for the operator as the rest does. */
export function insertReport(context: Context, message: EncodedMessage, held: boolean): void {
  insertMessage(context, message);
  insertRecipients(context, message, { claim: [], owner: '', waiting: held ? HELD : QUEUED });
}

function insertMessage({ db, effects }: Context, { id, facts, recipients, bytes, spool }: EncodedMessage): void {
  if (recipients.length === 0) throw new TypeError(`message ${id} has no recipient: it would never end`);
  const { lastInsertRowid } = db.run('INSERT INTO contents (bytes) VALUES (?)', bytes);
  db.run('INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', ...facts, factsCheck(facts));
  db.run(
    'INSERT INTO open VALUES (?, ?, ?, ?, ?, ?, ?)',
    id,
    lastInsertRowid,
    bytes.byteLength,
    crc32(bytes),
    spool?.name ?? null,
    spool?.size ?? null,
    spool?.verify ?? null,
  );
  effects.count(BYTES, bytes.byteLength);
}

type First = { readonly claim: readonly number[]; readonly owner: string; readonly waiting: typeof HELD | typeof QUEUED };

function insertRecipients(
  context: Context,
  { id, recipients, acceptedAt }: EncodedMessage,
  { claim, owner, waiting }: First,
): void {
  const { db, effects, due } = context;
  const claimed = new Set(claim);
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
      leased ? owner : null,
    );
    effects.countState(state, 1);
    if (state === QUEUED) due.touch(destination);
  }
}
