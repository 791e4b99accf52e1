/**
 * The form of a message on its way to the thread of the store, and in its rows. It uses flat arrays in the order of the columns, because
 * their structured clone costs half of that of objects.
 */
import { crc32 } from 'node:zlib';
import type { AttemptRecord } from '../attempt-record.ts';
import type { MessageFacts, NewMessage, NewRecipient, Origin, RecipientChange, StoredRecipient } from '../message-store.ts';
import { notifyBits, notifyWords, outcomeName, outcomeNumber, stateName, stateNumber } from './states.ts';

export type Value = string | number | null;
/** `verify`: CRC-32 of the whole file. null: unknown. */
export type SpoolRow = { readonly name: string; readonly size: number; readonly verify: number | null };

export type EncodedMessage = {
  readonly id: string;
  readonly acceptedAt: number;
  /** The columns of `messages`, up to `verify`. */
  readonly facts: readonly Value[];
  /** Four values each: address, destination, notify, orcpt. */
  readonly recipients: readonly Value[];
  /** Inline: prefix and body. Spooled: the prefix. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly spool: SpoolRow | null;
  readonly token: number | null;
  /** The columns `client_ip`, `client_tls`, `mechanism` and `subject`. They have no checksum, because no decision depends on them. */
  readonly origin: readonly Value[];
};

/** Thrown if another message has the id of a report. */
export class IdTaken extends Error {
  override readonly name = 'IdTaken';
}

const EIGHT_BIT = 1;
const SMTPUTF8 = 2;
const RET_FULL = 4;
const RET_HDRS = 8;
const RECORDED = 16;
const REQUIRE_TLS = 32;
const TLS_OPTIONAL = 64;
const TLS_REPORT = 128;

export function encodeMessage(message: NewMessage): EncodedMessage {
  const { content } = message;
  return {
    id: message.id,
    acceptedAt: message.acceptedAt,
    facts: encodeFacts(message),
    recipients: encodeRecipients(message.recipients),
    bytes: content.kind === 'inline' ? content.bytes : content.prefix,
    spool: content.kind === 'inline' ? null : spoolRow(content.spool),
    token: message.token ?? null,
    origin: encodeOrigin(message.origin),
  };
}

const NO_ORIGIN: readonly Value[] = [null, null, null, null];

function encodeOrigin(origin: Origin | undefined): readonly Value[] {
  return origin === undefined ? NO_ORIGIN : [origin.ip, origin.tls, origin.mechanism, origin.subject ?? null];
}

function spoolRow(spool: { name: string; size: number; verify?: number }): SpoolRow {
  return { name: spool.name, size: spool.size, verify: spool.verify ?? null };
}

function encodeFacts(m: MessageFacts): readonly Value[] {
  const flags =
    (m.body === '8BITMIME' ? EIGHT_BIT : 0) |
    (m.needsSmtpUtf8 ? SMTPUTF8 : 0) |
    (m.ret === 'FULL' ? RET_FULL : m.ret === 'HDRS' ? RET_HDRS : 0) |
    (m.recorded ? RECORDED : 0) |
    (m.requireTls ? REQUIRE_TLS : 0) |
    (m.tlsOptional ? TLS_OPTIONAL : 0) |
    (m.tlsReport ? TLS_REPORT : 0);
  return [
    m.id,
    m.user,
    m.reversePath,
    m.messageId,
    m.size,
    m.acceptedAt,
    m.expiresAt,
    flags,
    m.envid ?? null,
    m.signatures.join(' '),
    m.about ?? null,
  ];
}

function encodeRecipients(recipients: readonly NewRecipient[]): readonly Value[] {
  const values: Value[] = [];
  for (const { address, destination, notify, orcpt } of recipients)
    values.push(address, destination, notifyBits(notify), orcpt ?? null);
  return values;
}

export const factsCheck = (facts: readonly Value[]) => crc32(facts.join('\0'));
/** Above every plain CRC-32, which release 0.1 kept of content. */
const BOUND = 2 ** 32;
/** The id is part of it, so that content which a damaged id or key leads to is not taken for that of the message. */
export const contentCheck = (id: string, bytes: Uint8Array) => BOUND + crc32(bytes, crc32(id));
export const isIntactContent = (id: string, bytes: Uint8Array, verify: number) =>
  verify === (verify < BOUND ? crc32(bytes) : contentCheck(id, bytes));
export const recipientCheck = (message: string, n: number, identity: readonly Value[]) =>
  crc32(`${message}\0${n}\0${identity.join('\0')}`);

export type MessageRow = {
  id: string;
  user: string | null;
  reverse_path: string;
  message_id: string;
  size: number;
  accepted_at: number;
  expires_at: number;
  flags: number;
  envid: string | null;
  signatures: string;
  about: string | null;
  verify: number;
  token: number | null;
} & OriginRow;

type OriginRow = { client_ip: string | null; client_tls: string | null; mechanism: string | null; subject: string | null };

export const isIntact = ({ verify, token, client_ip, client_tls, mechanism, subject, ...facts }: MessageRow) =>
  factsCheck(Object.values(facts)) === verify;

export function decodeFacts(row: MessageRow): MessageFacts {
  const ret = row.flags & RET_FULL ? 'FULL' : row.flags & RET_HDRS ? 'HDRS' : undefined;
  return {
    id: row.id,
    user: row.user,
    reversePath: row.reverse_path,
    messageId: row.message_id,
    size: row.size,
    acceptedAt: row.accepted_at,
    expiresAt: row.expires_at,
    body: row.flags & EIGHT_BIT ? '8BITMIME' : '7BIT',
    needsSmtpUtf8: (row.flags & SMTPUTF8) !== 0,
    ...(ret === undefined ? {} : { ret }),
    ...(row.envid === null ? {} : { envid: row.envid }),
    signatures: row.signatures === '' ? [] : row.signatures.split(' '),
    ...(row.flags & RECORDED ? { recorded: true } : {}),
    ...(row.flags & REQUIRE_TLS ? { requireTls: true } : {}),
    ...(row.flags & TLS_OPTIONAL ? { tlsOptional: true } : {}),
    ...(row.flags & TLS_REPORT ? { tlsReport: true } : {}),
    ...(row.about === null ? {} : { about: row.about }),
    ...(row.client_ip === null ? {} : { origin: decodeOrigin(row, row.client_ip) }),
  };
}

function decodeOrigin({ client_tls, mechanism, subject }: OriginRow, ip: string): Origin {
  return { ip, tls: client_tls, mechanism: mechanism ?? '', ...(subject === null ? {} : { subject }) };
}

export type RecipientRow = {
  message: string;
  n: number;
  address: string;
  destination: string;
  notify: number | null;
  orcpt: string | null;
  verify: number;
  state: number;
  attempts: number;
  next_attempt: number | null;
  last_reply: string | null;
  delay_reported: number;
  excused: number;
  held_by: string | null;
};
export const RECIPIENT_COLUMNS =
  'message, n, address, destination, notify, orcpt, verify, state, attempts, next_attempt, last_reply, delay_reported, excused, held_by';

/** Leaves out the destination, because `reroute` changes it, and a wrong one cannot send the mail to a wrong address. */
export const isIntactRecipient = (row: RecipientRow) =>
  stateName(row.state) !== undefined && recipientCheck(row.message, row.n, [row.address, row.notify, row.orcpt]) === row.verify;

/** A row of the table `attempts`, without its message and recipient. */
export type AttemptRow = Omit<
  AttemptRecord,
  'outcome' | 'assurance' | 'proof' | 'policyId' | 'judged' | 'via' | 'conversation'
> & {
  outcome: number;
  assurance: string | null;
  proof: string | null;
  policyId: string | null;
  judged: string | null;
  via: string | null;
  conversation: string | null;
};

export function decodeAttempt({
  outcome,
  assurance,
  proof,
  policyId,
  judged,
  via,
  conversation,
  ...attempt
}: AttemptRow): AttemptRecord {
  return {
    ...attempt,
    outcome: outcomeName(outcome),
    ...(assurance === null ? {} : { assurance }),
    ...(proof === null ? {} : { proof }),
    ...(policyId === null ? {} : { policyId }),
    ...(judged === null ? {} : { judged: JSON.parse(judged) }),
    ...(via === null ? {} : { via }),
    ...(conversation === null ? {} : { conversation }),
  };
}

export function decodeRecipient(row: RecipientRow): StoredRecipient {
  return {
    address: row.address,
    destination: row.destination,
    ...(row.notify === null ? {} : { notify: notifyWords(row.notify) }),
    ...(row.orcpt === null ? {} : { orcpt: row.orcpt }),
    n: row.n,
    state: stateName(row.state) ?? 'held',
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt,
    lastReply: row.last_reply,
    delayReported: row.delay_reported !== 0,
    ...(row.excused === 0 ? {} : { excused: row.excused }),
    ...(row.held_by === null ? {} : { heldBy: row.held_by }),
  };
}

function encodeAttempt(a: AttemptRecord): readonly Value[] {
  const { at, mx, ip, tls, outcome, code, status, reply, seconds } = a;
  const { conversation = null, assurance = null, proof = null, policyId = null, via = null } = a;
  const judged = a.judged === undefined ? null : JSON.stringify(a.judged);
  return [
    at,
    mx,
    ip,
    tls,
    outcomeNumber(outcome),
    code,
    status,
    reply,
    seconds,
    conversation,
    assurance,
    proof,
    policyId,
    judged,
    via,
  ];
}

/** The form of one change: the new state, and, if there was an attempt, the columns of `attempts` from `at` on. */
export type EncodedChange = readonly [
  n: number,
  state: number,
  nextAttempt: number | null,
  lastReply: string | null,
  delayReported: number | null,
  attempt: readonly Value[] | null,
  excused: number,
  heldBy: string | null,
];

export function encodeChange(change: RecipientChange): EncodedChange {
  const { n, state, nextAttemptAt, lastReply, delayReported, attempt: a, excused = false, heldBy = null } = change;
  const attempt = a === undefined ? null : encodeAttempt(a);
  const reported = delayReported === undefined ? null : Number(delayReported);
  // Half of a pause may end between two milliseconds. PostgreSQL takes no such time.
  const next = nextAttemptAt === undefined ? null : Math.ceil(nextAttemptAt);
  return [n, stateNumber(state), next, lastReply ?? null, reported, attempt, Number(excused), heldBy];
}
