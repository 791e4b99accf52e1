/** Mail that the relay writes itself: reports, notices and test messages. One header and one way into the store. RFC 3834 §5 */
import type { DestinationFunction, SignsFunction } from '../smtp/route.ts';
import { cleanLine, formatDate, isAscii, wrap } from '../smtp/text.ts';
import type { NewMessage } from '../store/store.ts';
import { newMessageId } from './completion.ts';
import type { Preparation, PreparationRequest, Prepared } from './preparation.ts';

export type OwnMail = {
  readonly id: string;
  readonly now: number;
  /** How long it is tried, ms. */
  readonly lifetime: number;
  /** Empty: no report comes back for it. */
  readonly reversePath: string;
  readonly from: { readonly name?: string; readonly address: string };
  readonly to: string;
  readonly subject: string;
  /** Further fields of its header. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** RFC 3834 §5: nothing answers it. */
  readonly autoSubmitted: 'auto-generated' | 'auto-replied';
  /** Message-ID of the message that it is about, with its angle brackets. */
  readonly inReplyTo?: string | undefined;
  /** The fields of its content, an empty line and the content, CRLF throughout. */
  readonly content: Buffer;
};

export type OwnMailOptions = {
  readonly hostname: string;
  readonly preparation: { start(request: PreparationRequest): Preparation };
  readonly destinationOf: DestinationFunction;
  /** False: the route of the recipient asks for no signature of ours. */
  readonly signs: SignsFunction;
};

/** Octets of an address that fits into a line of a header: RFC 5322 §2.1.1. */
const MAX_ADDRESS = 900;

/** Signed, and ready to be stored. Rejects where it cannot be prepared; nothing is left on the disk then. */
export async function prepareOwnMail(mail: OwnMail, options: OwnMailOptions): Promise<NewMessage> {
  const { id, now, lifetime, reversePath, to: address } = mail;
  const sender = { user: null, reversePath };
  const { content, size, messageId, signatures, needsSmtpUtf8, eightBit } = await prepare(mail, options);
  return {
    ...{ id, ...sender, messageId, size, needsSmtpUtf8, signatures, content },
    acceptedAt: now,
    expiresAt: now + lifetime,
    body: eightBit ? '8BITMIME' : '7BIT',
    recipients: [
      { address, destination: options.destinationOf(sender, address), ...(reversePath === '' ? { notify: ['NEVER'] } : {}) },
    ],
  };
}

/** Plain text. Lines may be long: they are wrapped, but for those that begin with a blank. */
export function textContent(lines: readonly string[]): Buffer {
  const body = lines.flatMap((line) => (line.startsWith(' ') ? [line] : wrap(cleanLine(line), '')));
  const encoding = body.every(isAscii) ? '7bit' : '8bit';
  const fields = ['Content-Type: text/plain; charset=utf-8', `Content-Transfer-Encoding: ${encoding}`];
  return Buffer.from([...fields, '', ...body].map((line) => `${line}\r\n`).join(''));
}

async function prepare(mail: OwnMail, { hostname, preparation, signs }: OwnMailOptions): Promise<Prepared> {
  const { id: queueId, now, reversePath, to } = mail;
  // SMTPUTF8 is given always: preparation finds whether the header needs it, delivery whether an address does (RFC 6531 §3.1).
  const envelope = { reversePath, recipients: [{ address: to }], body: '8BITMIME', smtpUtf8: true } as const;
  const running = preparation.start({ queueId, now, envelope, kind: 'report', sign: signs({ user: null, reversePath }, to) });
  try {
    await running.write(Buffer.concat([headerOf(mail, hostname), mail.content]));
    return await running.finish();
  } catch (error) {
    await running.abort();
    throw error;
  }
}

/** RFC 5322 §3.6, up to the fields of the content. */
function headerOf(
  { from, to, subject, now, id, inReplyTo, autoSubmitted, fields: more = [] }: OwnMail,
  hostname: string,
): Buffer {
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['From', from.name === undefined ? from.address : `${from.name} <${from.address}>`],
    ['To', Buffer.byteLength(to) > MAX_ADDRESS ? 'undisclosed-recipients:;' : `<${to}>`],
    ['Subject', cleanLine(subject, { ascii: true })],
    ['Date', formatDate(now)],
    ['Message-ID', newMessageId(id, hostname)],
    ['In-Reply-To', inReplyTo],
    ['References', inReplyTo],
    ['Auto-Submitted', autoSubmitted],
    ...more,
    ['MIME-Version', '1.0'],
  ];
  const present = fields.flatMap(([name, value]) => (value === undefined ? [] : wrap(`${name}: ${cleanLine(value)}`, ' ')));
  return Buffer.from(present.map((line) => `${line}\r\n`).join(''));
}
