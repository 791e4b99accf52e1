/** The rows of new messages: several messages in one statement for each table. */
import type { Effects } from '../sqlite/effects.ts';
import { contentCheck, type EncodedMessage, factsCheck, IdTaken, recipientCheck, type Value } from '../sqlite/rows.ts';
import { HELD, QUEUED } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { type Cell, columns, Pieces } from './parameters.ts';

export const MESSAGE_COLUMNS = `id, user_name AS "user", reverse_path, message_id, size, accepted_at, expires_at, flags, envid, signatures,
  about, verify, token, client_ip, client_tls, mechanism, subject`;

/** A message that is stored. `states` and `leases` are those of its recipients. */
export type NewRows = {
  readonly message: EncodedMessage;
  readonly states: readonly number[];
  readonly leases: readonly (string | null)[];
  /** Of its recipients. Absent: from 0 on. */
  readonly numbers?: readonly number[];
  readonly reason: string | null;
};

const INSERT_MESSAGES = `
  INSERT INTO messages (id, user_name, reverse_path, message_id, size, accepted_at, expires_at, flags, envid, signatures, about, verify, token,
    client_ip, client_tls, mechanism, subject)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::text[],
    $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[])`;
/** The bodies of all messages are one parameter, because it is sent as bytes; an array of bodies would be sent as text. */
const INSERT_CONTENTS = `
  INSERT INTO contents SELECT id, substring($2::bytea FROM start FOR length)
  FROM unnest($1::text[], $3::int[], $4::int[]) AS c (id, start, length)`;
const INSERT_OPEN =
  'INSERT INTO open SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])';
const INSERT_RECIPIENTS = `
  INSERT INTO recipients (message, n, address, destination, notify, orcpt, verify, state, next_attempt, owner, last_reply)
  SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::int[], $6::text[], $7::bigint[], $8::smallint[], $9::bigint[],
    $10::text[], $11::text[])`;

export function insertMessages(tx: DatabaseTransaction, effects: Effects, all: readonly NewRows[]): void {
  if (all.length === 0) return;
  const messages = all.map(({ message }) => message);
  const facts = messages.map(({ facts, token, origin }) => [...facts, factsCheck(facts), token, ...origin]);
  void tx.send(INSERT_MESSAGES, ...columns(facts, 17));
  let start = 1;
  const places = messages.map(({ bytes }) => {
    const at = start;
    start += bytes.byteLength;
    return at;
  });
  const ids = messages.map(({ id }) => id);
  const bodies = new Pieces(messages.map(({ bytes }) => bytes));
  void tx.send(
    INSERT_CONTENTS,
    ids,
    bodies,
    places,
    messages.map(({ bytes }) => bytes.byteLength),
  );
  const open = messages.map(({ id, bytes, spool }) => [
    id,
    bytes.byteLength,
    contentCheck(id, bytes),
    spool?.name ?? null,
    spool?.size ?? null,
    spool?.verify ?? null,
  ]);
  void tx.send(INSERT_OPEN, ...columns(open, 6));
  const recipients = all.flatMap((one) => recipientRows(one));
  void tx.send(INSERT_RECIPIENTS, ...columns(recipients, 11));
  for (const { states } of all) for (const state of states) effects.countState(state, 1);
}

function recipientRows({ message: { id, recipients, acceptedAt }, states, leases, reason, numbers }: NewRows): Cell[][] {
  const rows: Cell[][] = [];
  for (let i = 0, at = 0; i < recipients.length; i += 4, at++) {
    const n = numbers?.[at] ?? at;
    const [address, destination, notify, orcpt] = recipients.slice(i, i + 4) as [string, string, number | null, Value];
    const state = states[at]!;
    const verify = recipientCheck(id, n, [address, notify, orcpt]);
    rows.push([
      id,
      n,
      address,
      destination,
      notify,
      orcpt,
      verify,
      state,
      state === QUEUED ? acceptedAt : null,
      leases[at] ?? null,
      reason,
    ]);
  }
  return rows;
}

export function destinationsOf({ recipients }: EncodedMessage): readonly string[] {
  const destinations: string[] = [];
  for (let i = 1; i < recipients.length; i += 4) destinations.push(recipients[i] as string);
  return destinations;
}

/** Stores one of our reports. @throws IdTaken if another message has its id. */
export async function insertReportRows(
  tx: DatabaseTransaction,
  effects: Effects,
  message: EncodedMessage,
  held = false,
): Promise<void> {
  if ((await tx.get('SELECT 1 FROM messages WHERE id = $1', message.id)) !== undefined)
    throw new IdTaken(`Another message has the queue ID ${message.id}`);
  const states = destinationsOf(message).map(() => (held ? HELD : QUEUED));
  insertMessages(tx, effects, [{ message, states, leases: [], reason: null }]);
}
