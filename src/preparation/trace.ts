/** The Received field: RFC 5321 §4.4, with the words of RFC 3848 and RFC 6531 §4.3. */
import { formatDate } from '../smtp/text.ts';

type TraceFacts = {
  readonly hostname: string;
  readonly queueId: string;
  readonly now: number;
  readonly smtpUtf8: boolean;
  readonly tls?: { readonly protocol: string; readonly cipher: string };
  /** Tells our operator which credential it was, and nobody else. */
  readonly userToken?: string;
};

/**
 * The client's address, the name it gave and the login stay out: they are the customer's, and receivers judge by them. So does
 * `for`, which would show a hidden recipient.
 */
export function receivedField({ hostname, queueId, now, smtpUtf8, tls, userToken }: TraceFacts): string {
  const protocol = `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${tls === undefined ? 'A' : 'SA'}`;
  const cipher = tls === undefined ? [] : [`(${plain(tls.protocol.replace('TLSv', 'TLS'))} ${plain(tls.cipher)})`];
  const token = userToken === undefined ? [] : [`(auth ${plain(userToken)})`];
  return fold(['Received: by', hostname, 'with', protocol, ...cipher, `id ${queueId}`, ...token], formatDate(now));
}

const MAX_LINE = 77;

/** Lines of less than 78 characters, the date on a line of its own. */
function fold(words: readonly string[], date: string): string {
  let folded = '';
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length >= MAX_LINE) {
      folded += `${line}\r\n`;
      line = '';
    }
    line += line === '' && folded === '' ? word : ` ${word}`;
  }
  return `${folded}${line};\r\n ${date}\r\n`;
}

/** What comes from elsewhere cannot end a comment or a line. */
function plain(text: string): string {
  return text.replace(/[^\w.+/=-]/g, '').slice(0, 60);
}
