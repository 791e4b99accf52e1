/** MAIL and RCPT as this host understands them: RFC 5321 §4.1.1, RFC 1870, RFC 3461 §4, RFC 6152, RFC 6531. */
import type { EnvelopeRecipient } from '../smtp/envelope.ts';
import { encodeUnicodeXtext, encodeXtext } from '../smtp/xtext.ts';
import type { Content, MessageFacts } from '../store/store.ts';
import type { Extensions } from './extensions.ts';
import { judgeLack, judgeProblem, type Verdict } from './verdict.ts';

/** Octets of ORCPT that every host takes: RFC 3461 §4.2. */
const MAX_ORCPT = 500;

/** What is sent, besides its recipients. */
export type Letter = {
  readonly message: Pick<MessageFacts, 'reversePath' | 'body' | 'needsSmtpUtf8' | 'ret' | 'envid' | 'requireTls'>;
  readonly content: Content;
};

/** SMTPUTF8 is asked for by the transaction that needs it: RFC 6531 §3.1. Where it is not offered, such a one does not come here. */
export function mailCommand(
  { message, content }: Letter,
  recipients: readonly Pick<EnvelopeRecipient, 'address'>[],
  extensions: Extensions,
): string {
  let command = `MAIL FROM:<${message.reversePath}>`;
  if (extensions.size) command += ` SIZE=${contentSize(content)}`;
  if (extensions.eightBitMime && message.body === '8BITMIME') command += ' BODY=8BITMIME';
  if (message.needsSmtpUtf8 || isForeign(message.reversePath) || recipients.some(({ address }) => isForeign(address))) {
    command += ' SMTPUTF8';
  }
  if (extensions.requireTls && message.requireTls) command += ' REQUIRETLS';
  // Who returns it must not quote a text that may not be safe on the way back: RFC 8689 §5.
  const ret = message.ret !== undefined && message.requireTls ? 'HDRS' : message.ret;
  if (extensions.dsn && ret !== undefined) command += ` RET=${ret}`;
  if (extensions.dsn && message.envid !== undefined) command += ` ENVID=${message.envid}`;
  return `${command}\r\n`;
}

export function rcptCommand({ address, notify, orcpt }: EnvelopeRecipient, { dsn }: Extensions): string {
  if (!dsn || (notify === undefined && orcpt === undefined)) return `RCPT TO:<${address}>\r\n`;
  // When NOTIFY is passed on, ORCPT must be too; we make one where the client sent none. RFC 3461 §5.2.1
  const original = orcpt ?? originalRecipient(address);
  const parameters = `${notify === undefined ? '' : ` NOTIFY=${notify.join(',')}`}${original.length > MAX_ORCPT ? '' : ` ORCPT=${original}`}`;
  return `RCPT TO:<${address}>${parameters}\r\n`;
}

/** An address that is not ASCII has a type of its own: RFC 6533 §3. */
function originalRecipient(address: string): string {
  return /^[\x00-\x7f]*$/.test(address) ? `rfc822;${encodeXtext(address)}` : `utf-8;${encodeUnicodeXtext(address)}`;
}

/** What is known of a host: `certain` where its extensions are its whole answer, and not the part that it shows to us now. */
type Capabilities = { readonly extensions: Extensions; readonly certain: boolean };

/** Why this host cannot take the letter for this recipient; undefined: it can. Another host may. */
export function unsendable(
  { message }: Letter,
  address: string,
  { extensions, certain }: Capabilities,
  eightBit: 'send' | 'return',
): Verdict | undefined {
  if (!isSendable(message.reversePath) || !isSendable(address)) {
    return judgeProblem('badAddress', 'An address holds a control character');
  }
  if (!extensions.smtpUtf8) {
    const what = message.needsSmtpUtf8
      ? 'a header field is not ASCII'
      : isForeign(message.reversePath)
        ? "the sender's address is not ASCII"
        : isForeign(address)
          ? "the recipient's address is not ASCII"
          : undefined;
    if (what !== undefined) {
      return judgeLack('noSmtpUtf8', `The message needs SMTPUTF8 (${what}), and the receiving host does not support it`, certain);
    }
  }
  // With `send` we knowingly leave RFC 6152 §3: converting would break signatures, and hosts cope.
  if (eightBit === 'return' && message.body === '8BITMIME' && !extensions.eightBitMime) {
    return judgeLack('no8BitMime', 'The message holds 8-bit data, and the receiving host does not support 8BITMIME', certain);
  }
  return undefined;
}

function isForeign(address: string): boolean {
  return /[^\x00-\x7f]/.test(address);
}

/** A control character in an address would be a command of its own: such an address is never sent. */
function isSendable(address: string): boolean {
  return !/[\x00-\x1f\x7f]/.test(address);
}

export function contentSize(content: Content): number {
  return content.kind === 'inline' ? content.bytes.length : content.prefix.length + content.spool.size;
}
