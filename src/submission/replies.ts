/** Replies of a session as they stand on the wire, and which of the table (smtp/replies.ts) is given when. */
import { refusal, replyOf } from '../smtp/replies.ts';
import { formatReply, type Refusal, type Reply } from '../smtp/reply.ts';
import type { Overdue } from './deadlines.ts';

const line = (reply: Reply) => formatReply(reply);
export const OK = line(replyOf('ok'));
export const SENDER_OK = line(replyOf('senderOk'));
export const RECIPIENT_OK = line(replyOf('recipientOk'));
export const SEND_TEXT = line(replyOf('sendText'));
export const READY_FOR_TLS = line(replyOf('readyForTls'));
export const AUTHENTICATED = line(replyOf('loggedIn'));
export const CANNOT_VERIFY = line(replyOf('cannotVerify'));
export const BYE = line(replyOf('bye'));
export const queued = (queueId: string) => line(replyOf('queued', { queueId }));

/** What a client said comes back in ASCII only: RFC 6531 §3.7.4.1 has UTF-8 in replies only where it was asked for. */
export function onWire({ code, status, text }: Reply): string {
  return formatReply({ code, status, text: text.replace(/[^\x20-\x7e\n]/g, '?') });
}

export const shuttingDown = () => refusal('shuttingDown');
export const tooManyErrors = () => refusal('tooManyErrors');
export const tooManyFailures = () => refusal('tooManyFailures');
export const tooManyIdle = () => refusal('tooManyIdle');
export const notMail = () => refusal('notMail');
export const tooEarly = () => refusal('tooEarly');
export const behindStartTls = () => refusal('behindStartTls');
export const tooManySessions = () => refusal('tooManySessions');
export const tooManyHandshakes = () => refusal('tooManyHandshakes');
export const blocked = () => refusal('blocked');
export const timedOut = (what: Overdue) => refusal(what);
export const authenticationRequired = (secure: boolean) => refusal(secure ? 'loginRequired' : 'loginAndTlsRequired');

/** RFC 4954 §6. The login that let the session in is gone, disabled or expired, or has another password. */
export const loginEnded = () => refusal('loginEnded');

/** What the operator has changed meanwhile cannot be applied to a message that has arrived already. */
export const rightsChanged = () => refusal('rightsChanged');

/** RFC 5321 §4.2.4: known but not offered, or unknown. */
export function unknownCommand(verb: string): Refusal {
  if (verb === '') return refusal('emptyLine');
  return refusal('unknownCommand');
}

/** A failure that is not the client's: temporary, whatever it was. A full disk has a code of its own, RFC 5321 §4.2.3. */
export function ourFault(error: unknown): Refusal {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return refusal('noRoom');
  return refusal('ourFault');
}
