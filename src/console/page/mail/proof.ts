/** What became of a message, as text for a colleague or the operator of another server: times in UTC, hosts, TLS, replies byte for byte, ids. */
import type { ApiMessage } from '../../api/message-shapes.ts';
import { strangerText } from '../stranger.ts';
import { recipientCount } from './message-words.ts';

/** @param relay the name of the relay. In English, because the other side may speak any language. */
export function proofText(message: ApiMessage, relay: string): string {
  const { id, messageId, reversePath, acceptedAt, user, client, subject, size, recipients, signatures } = message;
  const others = recipientCount(message) - recipients.length;
  const lines = [
    `Message ${id} at ${relay}`,
    `Message-ID: ${shown(messageId)}`,
    ...(subject === undefined ? [] : [`Subject: ${shown(subject)}`]),
    `From: <${shown(reversePath)}>`,
    `Accepted: ${utc(acceptedAt)}, ${size} octets${user === null ? '' : `, from ${shown(user)}`}${client === undefined ? '' : `, ${client.ip}, ${client.tls ?? 'no TLS'}, ${client.mechanism}`}`,
    ...signatures.map((name) => `Signed: ${shown(name)}`),
    ...recipients.flatMap(({ recipient, state, attempts }) => [
      '',
      `To: <${shown(recipient)}>: ${state}`,
      ...attempts.map(attemptLine),
    ]),
    ...(others > 0 ? ['', `and ${others} other recipients, which this text leaves out`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

type Attempt = ApiMessage['recipients'][number]['attempts'][number];

function attemptLine(attempt: Attempt): string {
  const { at, mx, ip, tls, seconds } = attempt;
  const host = mx === null ? 'no host' : `${shown(mx)}${ip === null ? '' : ` [${ip}]`}`;
  return `  ${utc(at)}  ${host}  ${tls ?? 'no TLS'}  ${shown(wholeReply(attempt))}  (${seconds} s)`;
}

/** Some replies are kept with their code, some without. */
export const wholeReply = ({ code, status, reply }: Pick<Attempt, 'code' | 'status' | 'reply'>): string =>
  reply.startsWith(String(code)) ? reply : [String(code), status, reply].filter((part) => part !== '').join(' ');

const utc = (at: string | null) => (at ?? '').replace('T', ' ').replace('Z', ' UTC');
const shown = (text: string) => strangerText(text, 100_000);
