/** EHLO: what is offered, and only what is honoured. RFC 5321 §4.1.1.1. */
import { refusal } from '../smtp/replies.ts';

/** Octets of a name: RFC 5321 §4.5.3.1.2. */
const MAX_NAME = 255;

/**
 * AUTH is offered after TLS, STARTTLS before: RFC 8314 §3.1. In clear the list is short, nothing of it can be used there.
 * @param maxMessageSize bytes.
 */
export function ehloReply(hostname: string, maxMessageSize: number, secure: boolean): string {
  const lines = secure
    ? [hostname, `SIZE ${maxMessageSize}`, '8BITMIME', 'PIPELINING', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN', 'AUTH PLAIN LOGIN']
    : [hostname, `SIZE ${maxMessageSize}`, '8BITMIME', 'PIPELINING', 'ENHANCEDSTATUSCODES', 'STARTTLS'];
  return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('');
}

/**
 * Any printable name passes, as devices and applications call themselves what they like, and nothing is made of it.
 * @throws Refusal 501
 */
export function checkClientName(name: string): void {
  if (name === '') throw refusal('noClientName');
  if (Buffer.byteLength(name) > MAX_NAME) throw refusal('clientNameTooLong', { octets: MAX_NAME });
}
