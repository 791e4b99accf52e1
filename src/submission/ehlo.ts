/** EHLO: what is offered, and only what is honoured. RFC 5321 §4.1.1.1. */

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
