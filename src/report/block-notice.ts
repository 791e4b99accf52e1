/** What the operator reads when a provider refuses our address, and when it no longer does. */
import { type Reply, replyLine } from '../smtp/reply.ts';
import { formatDate } from '../smtp/text.ts';
import { MINUTE } from '../system/clock.ts';
import type { OperatorNotice } from './notice.ts';

type BlockFacts = {
  readonly hostname: string;
  /** A key of the table, or that of a set of hosts. */
  readonly provider: string;
  readonly way: { readonly family: 4 | 6; readonly source?: string | undefined };
  readonly state: 'blocked' | 'open';
  /** When it began or ended, milliseconds since the epoch. */
  readonly since: number;
  readonly cause: { readonly class: string; readonly reply: Reply; readonly mx?: string | undefined } | undefined;
  /** Where a block is reported. */
  readonly removal: string | undefined;
  /** The upstream for its mail meanwhile; `after`: ms. */
  readonly fallback?: { readonly hosts: readonly string[]; readonly after?: number } | undefined;
};

export function blockNotice({ hostname, provider, way, state, since, cause, removal, fallback }: BlockFacts): OperatorNotice {
  const name = provider.replace(/^mx:/, '').slice(0, 100);
  const address = way.source ?? `the IPv${way.family} address`;
  if (state === 'open' && cause?.class === 'operator') {
    return {
      subject: `${hostname}: mail for ${name} goes again`,
      lines: [
        `Since ${formatDate(since)}, mail of the relay ${hostname} for ${name} goes again, because an operator has asked for it.`,
        '',
        '    smarthost provider list',
      ],
    };
  }
  if (state === 'open') {
    return {
      subject: `${hostname}: ${name} takes mail again`,
      lines: [
        `Since ${formatDate(since)}, ${name} takes mail from ${address} of the mail relay ${hostname} again.`,
        '',
        'The mail that was held goes now, the oldest first: 20 messages in the first hour, and twice as many in each further hour without a refusal.',
        '',
        '    smarthost provider list',
      ],
    };
  }
  if (cause?.class === 'operator') {
    return {
      subject: `${hostname}: mail for ${name} is held`,
      lines: [
        `Since ${formatDate(since)}, mail of the relay ${hostname} for ${name} is held, because an operator has asked for it.`,
        '',
        'It keeps its lifetime, and its senders are warned after some hours. Nothing is sent to the provider until an operator lets the mail go.',
        '',
        `    smarthost provider show ${provider}`,
        `    smarthost provider open ${provider}`,
      ],
    };
  }
  return {
    subject: `${hostname}: ${name} refuses mail from ${address}`,
    lines: [
      `Since ${formatDate(since)}, ${name} refuses mail from ${address} of the mail relay ${hostname}.`,
      '',
      ...(cause === undefined
        ? []
        : [`What ${cause.mx ?? name} said (${cause.class}):`, '', `    ${replyLine(cause.reply)}`, '']),
      'What the relay does: it returns no mail for this. All mail for this provider is held and keeps its lifetime, and its senders are warned after some hours. One of the held messages is sent after 2, 4, 8 and then each 12 hours. When it comes through, the rest follows by itself.',
      '',
      ...(fallback === undefined
        ? []
        : [
            `If the block lasts ${Math.round((fallback.after ?? 15 * MINUTE) / MINUTE)} minutes, the mail leaves by ${fallback.hosts.join(', ')} (delivery.fallback) until it ends.`,
            '',
          ]),
      'What you can do: find out whether a login sends spam, look at the DNS of the relay, and ask the provider to take mail again.',
      '',
      ...(removal === undefined ? [] : [`    ${removal.replace(/^mailto:/, 'mail to ')}`]),
      '    smarthost doctor',
      `    smarthost provider show ${provider}`,
      `    smarthost provider probe ${provider}`,
    ],
  };
}
