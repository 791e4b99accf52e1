/** MAIL and RCPT as this host understands them: RFC 5321 §4.1.1, RFC 1870, RFC 3461 §4, RFC 6152, RFC 6531. */
import type { EnvelopeRecipient } from '../smtp/envelope.ts';
import { encodeUnicodeXtext, encodeXtext } from '../smtp/xtext.ts';
import type { Content, MessageFacts } from '../store/store.ts';
import type { Extensions } from './extensions.ts';
import { judgeProblem, type Verdict } from './verdict.ts';

/** Octets of ORCPT that every host takes: RFC 3461 §4.2. */
const MAX_ORCPT = 500;

/** What is sent, besides its recipients. */
export type Letter = {
  readonly message: Pick<MessageFacts, 'reversePath' | 'body' | 'needsSmtpUtf8' | 'ret' | 'envid'>;
  readonly content: Content;
};

export function mailCommand({ message, content }: Letter, extensions: Extensions): string {
  let command = `MAIL FROM:<${message.reversePath}>`;
  if (extensions.size) command += ` SIZE=${contentSize(content)}`;
  if (extensions.eightBitMime && message.body === '8BITMIME') command += ' BODY=8BITMIME';
  if (message.needsSmtpUtf8) command += ' SMTPUTF8'; // not offered: the message does not come here
  if (extensions.dsn && message.ret !== undefined) command += ` RET=${message.ret}`;
  if (extensions.dsn && message.envid !== undefined) command += ` ENVID=${message.envid}`;
  return `${command}\r\n`;
}

export function rcptCommand({ address, notify, orcpt }: EnvelopeRecipient, { dsn }: Extensions): string {
  if (!dsn || (notify === undefined && orcpt === undefined)) return `RCPT TO:<${address}>\r\n`;
  // Who relays a NOTIFY says for whom it was, also where the client did not: RFC 3461 §5.2.1.
  const original = orcpt ?? originalRecipient(address);
  const parameters = `${notify === undefined ? '' : ` NOTIFY=${notify.join(',')}`}${original.length > MAX_ORCPT ? '' : ` ORCPT=${original}`}`;
  return `RCPT TO:<${address}>${parameters}\r\n`;
}

/** An address that is not ASCII has a type of its own: RFC 6533 §3. */
function originalRecipient(address: string): string {
  return /^[\x00-\x7f]*$/.test(address) ? `rfc822;${encodeXtext(address)}` : `utf-8;${encodeUnicodeXtext(address)}`;
}

/** Why this host cannot take the letter as it is; undefined: it can. */
export function unsendable({ message }: Letter, extensions: Extensions, eightBit: 'send' | 'return'): Verdict | undefined {
  if (message.needsSmtpUtf8 && !extensions.smtpUtf8) {
    return judgeProblem(
      'noSmtpUtf8',
      'The message needs SMTPUTF8 (an address or a header field is not ASCII), and the receiving host does not support it',
    );
  }
  // With `send` we knowingly leave RFC 6152 §3: converting would break signatures, and hosts cope.
  if (eightBit === 'return' && message.body === '8BITMIME' && !extensions.eightBitMime) {
    return judgeProblem('no8BitMime', 'The message holds 8-bit data, and the receiving host does not support 8BITMIME');
  }
  return undefined;
}

/** A control character in an address would be a command of its own: such an address is never sent. */
export function isSendable(address: string): boolean {
  return !/[\x00-\x1f\x7f]/.test(address);
}

export function contentSize(content: Content): number {
  return content.kind === 'inline' ? content.bytes.length : content.prefix.length + content.spool.size;
}
