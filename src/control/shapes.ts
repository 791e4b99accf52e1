/** The data that control returns and `--json` prints. Scripts rely on these shapes. Times are ISO 8601 in UTC, sizes are bytes. */

import type { CertificateStatus } from '../certificates/certificates.ts';
import type { Limit, LimitUse } from '../smtp/limit.ts';
import type {
  AttemptRecord,
  BrowsedMessage,
  Credential,
  DkimKey,
  MessageStore,
  QueueGroup,
  StoredMessage,
} from '../store/store.ts';
import { proofPhrase } from '../system/certificate-proof.ts';
import type { behaviourViews, traitsOf } from './behaviour-view.ts';
import type { LastLogin } from './last-logins.ts';

export function iso(at: number): string;
export function iso(at: number | null): string | null;
export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

type Recipient = StoredMessage['recipients'][number];

/** `queue list` */
export type QueuedMessage = ReturnType<typeof messageShape>;

export function messageShape(message: StoredMessage) {
  return shape(message, ({ attempts }) => attempts);
}

/** `trace`, `queue show`, `send`: lists each attempt, not only their number. `--json` omits `signatures` and `about`. */
export type TracedMessage = ReturnType<typeof traceShape>;
export type TracedAttempt = TracedMessage['recipients'][number]['attempts'][number];

export function traceShape(message: StoredMessage) {
  const { signatures, about = null } = message;
  return {
    ...shape(message, ({ trace }) => trace.map(attemptShape)),
    /** `selector._domainkey.domain` of each of our signatures. */
    signatures,
    /** The message that this report describes. */
    about,
  };
}

/** `trace` with options instead of a name. `recipients`: at most 20, those that fit. `states` counts all of them. */
export type ListedMessage = ReturnType<typeof listedShape>;

export function listedShape({ states, ...message }: BrowsedMessage) {
  const whole = { ...message, recipients: message.recipients.map((recipient) => ({ ...recipient, trace: [] })) };
  return { ...shape(whole, ({ attempts }) => attempts), states };
}

function shape<A>(message: StoredMessage, attempts: (recipient: Recipient) => A) {
  const { id, messageId, user, reversePath, size, acceptedAt, expiresAt, requireTls, tlsOptional, origin } = message;
  return {
    id,
    messageId,
    user,
    reversePath,
    size,
    acceptedAt: iso(acceptedAt),
    /** How the client handed it in. Absent for mail of smarthost itself, and for mail of 0.1. */
    ...(origin === undefined ? {} : { client: { ip: origin.ip, tls: origin.tls, mechanism: origin.mechanism } }),
    ...(origin?.subject === undefined ? {} : { subject: origin.subject }),
    /** REQUIRETLS was given, RFC 8689 §2. */
    ...(requireTls ? { requireTls } : {}),
    /** It holds `TLS-Required: No`, RFC 8689 §3. */
    ...(tlsOptional ? { tlsOptional } : {}),
    recipients: message.recipients.map((recipient) => ({
      recipient: recipient.address,
      state: recipient.state,
      /** The provider that refuses our address. Absent: none does. */
      ...(recipient.heldBy === undefined ? {} : { heldBy: recipient.heldBy }),
      attempts: attempts(recipient),
      nextAttemptAt: iso(recipient.nextAttemptAt),
      expiresAt: iso(expiresAt),
      lastReply: recipient.lastReply,
    })),
  };
}

function attemptShape({ at, mx, ip, tls, outcome, code, status, reply, seconds, ...more }: AttemptRecord) {
  const { assurance, proof, policyId, judged, via, conversation } = more;
  const worth = {
    ...(assurance !== undefined && { assurance }),
    ...(proof !== undefined && { proof, phrase: proofPhrase(proof) }),
    ...(policyId !== undefined && { policyId }),
    ...(judged !== undefined && { judged }),
    ...(via !== undefined && { via }),
  };
  const shape = { at: iso(at), mx, ip, tls, ...worth, outcome, code, status, reply, seconds };
  return { ...shape, ...(conversation === undefined ? {} : { conversation: conversation.split('\n') }) };
}

/** `queue summary` */
export type QueueSummary = ReturnType<typeof summaryShape>;

export function summaryShape(
  { states, oldestAcceptedAt }: Awaited<ReturnType<MessageStore['counts']>>,
  destinations: Awaited<ReturnType<MessageStore['summary']>>,
) {
  const shaped = destinations.map((one) => ({
    ...one,
    oldestAcceptedAt: iso(one.oldestAcceptedAt),
    nextAttemptAt: iso(one.nextAttemptAt),
  }));
  return { states, oldestAcceptedAt: iso(oldestAcceptedAt), destinations: shaped };
}

/** The queue by destination or login. `name`: the login is null for mail of smarthost itself. */
export type QueuedGroup = ReturnType<typeof groupShape>;

export function groupShape({ name, oldestAcceptedAt, nextAttemptAt, ...group }: QueueGroup) {
  return {
    name: name === '' ? null : name,
    ...group,
    oldestAcceptedAt: iso(oldestAcceptedAt),
    nextAttemptAt: iso(nextAttemptAt),
  };
}

type UserView = {
  readonly credential: Credential;
  readonly limits: readonly Limit[];
  readonly used: readonly LimitUse[];
  /** What is held because of its behaviour. */
  readonly behaviour: ReturnType<Awaited<ReturnType<typeof behaviourViews>>>;
  readonly lastLogin: LastLogin | null;
};

/** `user list` */
export type User = ReturnType<typeof userShape>;

/** `limits` are those in effect, the defaults of the configuration included. */
export function userShape({ credential, limits, used, behaviour, lastLogin }: UserView) {
  const { name, senders, mailServer, disabled, expiresAt } = credential;
  return {
    name,
    senders,
    mailServer,
    limits: limits.map(limitShape),
    used: used.map(({ limit, used, resetsAt }) => ({ ...limitShape(limit), used, resetsAt: iso(resetsAt) })),
    disabled,
    expiresAt: iso(expiresAt),
    ...behaviour,
    /** Kept by the running relay, once in some minutes. null: none is known. */
    lastLogin: lastLogin === null ? null : { ...lastLogin, at: iso(lastLogin.at) },
  };
}

/** `user show`: the same, and details that are rarely needed. `revision` grows with each change of the credential. */
export type WholeUser = ReturnType<typeof wholeUserShape>;

export function wholeUserShape(view: UserView & { readonly traits: Awaited<ReturnType<typeof traitsOf>> }) {
  const { rewrite, limits, createdAt, revision } = view.credential;
  const more = { defaultLimits: limits === null, rewrite, createdAt: iso(createdAt), revision };
  return { ...userShape(view), ...more, ...view.traits };
}

/** What an operator sets of a credential, for `changes`. */
export function settingsShape({
  senders,
  mailServer,
  limits,
  expiresAt,
  rewrite,
  disabled,
}: Omit<Credential, 'generation' | 'revision'>) {
  return { senders, mailServer, limits: limits?.map(limitShape) ?? null, expiresAt: iso(expiresAt), rewrite, disabled };
}

function limitShape({ kind, count, per }: Limit) {
  return { kind, count, per };
}

/** A DKIM key without its secret. */
export type SigningKey = ReturnType<typeof keyShape>;

export function keyShape({ selector, algorithm, state, createdAt }: DkimKey) {
  return { selector, algorithm, state, createdAt: iso(createdAt) };
}

/** `domain list` */
export type SigningDomain = { readonly domain: string; readonly keys: readonly SigningKey[] };

/** `domain records`: `ttl` in seconds, `value` whole and unquoted. */
export type KeyRecord = { readonly name: string; readonly type: 'TXT'; readonly ttl: number; readonly value: string };

/** `cert show` */
export type ServedCertificate = ReturnType<typeof certificateShape>;

export function certificateShape(status: CertificateStatus) {
  const { keyType, names, issuer, notBefore, notAfter, renewAt, renewReason, lastError, sha256 } = status;
  return {
    keyType,
    names,
    issuer,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    renewAt: iso(renewAt),
    renewReason,
    lastError,
    sha256,
  };
}
