/** The JSON of messages and credentials: an interface that scripts rely on. Times ISO 8601 UTC, sizes bytes. */
import type { AttemptRecord, Credential, DkimKey, Limit, LimitUse, StoredMessage, Touched } from '../store/store.ts';
import { iso } from './text.ts';

type Recipient = StoredMessage['recipients'][number];

/** `queue list` */
export function messageShape(message: StoredMessage) {
  return shape(message, ({ attempts }) => attempts);
}

/** `trace`, `queue show`, `send`: each attempt in place of their number. */
export function traceShape(message: StoredMessage) {
  return shape(message, ({ trace }) => trace.map(attemptShape));
}

function shape<A>(message: StoredMessage, attempts: (recipient: Recipient) => A) {
  const { id, messageId, user, reversePath, size, acceptedAt, expiresAt } = message;
  return {
    id,
    messageId,
    user,
    reversePath,
    size,
    acceptedAt: iso(acceptedAt),
    recipients: message.recipients.map((recipient) => ({
      recipient: recipient.address,
      state: recipient.state,
      attempts: attempts(recipient),
      nextAttemptAt: iso(recipient.nextAttemptAt),
      expiresAt: iso(expiresAt),
      lastReply: recipient.lastReply,
    })),
  };
}

function attemptShape({ at, mx, ip, tls, outcome, code, status, reply, seconds, conversation }: AttemptRecord) {
  const shape = { at: iso(at), mx, ip, tls, outcome, code, status, reply, seconds };
  return conversation === undefined ? shape : { ...shape, conversation: conversation.split('\n') };
}

export function touchedShape({ id, recipient, state }: Touched) {
  return { id, recipient, state };
}

export type CredentialView = {
  readonly credential: Credential;
  readonly limits: readonly Limit[];
  readonly used: readonly LimitUse[];
};

/** `user list`. `limits` are those in effect, the defaults of the configuration included. */
export function credentialShape({ credential, limits, used }: CredentialView) {
  const { name, senders, mailServer, disabled, expiresAt } = credential;
  return {
    name,
    senders,
    mailServer,
    limits: limits.map(limitShape),
    used: used.map(({ limit, used, resetsAt }) => ({ ...limitShape(limit), used, resetsAt: iso(resetsAt) })),
    disabled,
    expiresAt: iso(expiresAt),
  };
}

/** `user show`: the same and what is rarely needed. */
export function wholeCredentialShape(view: CredentialView) {
  const { rewrite, limits, createdAt } = view.credential;
  return { ...credentialShape(view), defaultLimits: limits === null, rewrite, createdAt: iso(createdAt) };
}

function limitShape({ kind, count, per }: Limit) {
  return { kind, count, per };
}

/** One DKIM key without its secret. */
export function keyShape({ selector, algorithm, state, createdAt }: DkimKey) {
  return { selector, algorithm, state, createdAt: iso(createdAt) };
}
