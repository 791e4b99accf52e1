/** What can go wrong in a conversation besides a reply that says no; verdict.ts makes an outcome of it. */

/** The step whose reply is awaited: RFC 5321 §4.3.2. `content` is the sending after 354, `dot` the wait that follows. */
export type Stage =
  | 'connect'
  | 'greeting'
  | 'EHLO'
  | 'STARTTLS'
  | 'handshake'
  | 'AUTH'
  | 'RSET'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'content'
  | 'dot'
  | 'QUIT';

/**
 * unreachable: no connection; lost: cut by the other side or the network; malformed: what came is no SMTP reply, or one too many;
 * tls: no encryption where the policy demands it; login: an upstream does not let us in; aborted: we stop;
 * local: our own store or code failed; shortage: this machine has no file or memory left for a connection; offline: its network is
 * down, or has no way there; barred: its firewall, or a `delivery.source` that it does not have, forbids the connection.
 */
export type FailureKind =
  | 'shortage'
  | 'unreachable'
  | 'timeout'
  | 'lost'
  | 'malformed'
  | 'tls'
  | 'login'
  | 'aborted'
  | 'local'
  | 'offline'
  | 'barred';

export type SessionFailure = { readonly kind: FailureKind; readonly stage: Stage; readonly detail: string };
