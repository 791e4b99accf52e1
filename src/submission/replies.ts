/** The replies of a session that goes well, as they stand on the wire, and those that end it. */
import { formatReply, Refusal, type Reply } from '../smtp/reply.ts';

export const OK = '250 2.0.0 Ok\r\n';
export const SENDER_OK = '250 2.1.0 Ok\r\n';
export const RECIPIENT_OK = '250 2.1.5 Ok\r\n';
export const SEND_TEXT = '354 End data with <CR><LF>.<CR><LF>\r\n';
export const READY_FOR_TLS = '220 2.0.0 Ready to start TLS\r\n';
export const AUTHENTICATED = '235 2.7.0 Authentication successful\r\n';
export const CANNOT_VERIFY = '252 2.5.0 Cannot VRFY, send mail to find out\r\n';
export const BYE = '221 2.0.0 Bye\r\n';

/** What a client said comes back in ASCII only: RFC 6531 §3.7.4.1 has UTF-8 in replies only where it was asked for. */
export function onWire({ code, status, text }: Reply): string {
  return formatReply({ code, status, text: text.replace(/[^\x20-\x7e\n]/g, '?') });
}

export const shuttingDown = () => new Refusal(421, '4.3.2', 'The server is shutting down, connect again');
export const tooManyErrors = () => new Refusal(421, '4.7.0', 'Too many errors, good bye');
export const tooManyFailures = () => new Refusal(421, '4.7.0', 'Too many failed logins, good bye');
export const tooManyIdle = () => new Refusal(421, '4.7.0', 'Too many commands without a message');
export const notMail = () => new Refusal(421, '4.7.0', 'This is a mail server, good bye');
export const tooEarly = () => new Refusal(421, '4.7.0', 'You must wait for the greeting');
export const behindStartTls = () => new Refusal(421, '4.7.0', 'Nothing may follow STARTTLS before TLS has begun');
export const tooManySessions = () => new Refusal(421, '4.7.0', 'Too many connections');
export const tooManyHandshakes = () => new Refusal(421, '4.7.0', 'Too many TLS handshakes without a login');
export const blocked = () => new Refusal(421, '4.7.0', 'Too many failed logins from your address, try again later');
export const timedOut = (what: string) => new Refusal(421, '4.4.2', what);
export const badSequence = (text: string) => new Refusal(503, '5.5.1', text);
export const authenticationRequired = (secure: boolean) =>
  new Refusal(530, '5.7.0', secure ? 'Authentication required' : 'Authentication required: issue STARTTLS first');

/** RFC 4954 §6. The login that let the session in is gone, disabled or expired, or has another password. */
export const loginEnded = () => new Refusal(530, '5.7.0', 'Your login has been changed, disabled or removed since: log in again');

/** What the operator has changed meanwhile cannot be applied to a message that has arrived already. */
export const rightsChanged = () =>
  new Refusal(451, '4.7.0', 'The settings of your login have just been changed, send the message again');

/** RFC 5321 §4.2.4: known but not offered, or unknown. */
export function unknownCommand(verb: string): Refusal {
  if (verb === '') return new Refusal(500, '5.5.2', 'The line is empty');
  return new Refusal(502, '5.5.1', 'This command is not offered here');
}

/** A failure that is not the client's: temporary, whatever it was. A full disk has a code of its own, RFC 5321 §4.2.3. */
export function ourFault(error: unknown): Refusal {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Refusal(452, '4.3.1', 'The relay has no room for more mail, try again later');
  return new Refusal(451, '4.3.0', 'Temporary failure, try again later');
}
