/** What the operator reads of the fallback upstream: its cap is reached, it fails, it works again, or a domain may not use it. */
import { type Reply, replyLine } from '../smtp/reply.ts';
import { formatDate } from '../smtp/text.ts';
import type { OperatorNotice } from './notice.ts';

type FallbackFacts = {
  readonly hostname: string;
  /** Its hosts. */
  readonly upstream: string;
  /** The one that refuses our address. */
  readonly provider: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
} & (
  | { readonly kind: 'cap'; readonly cap: number }
  | { readonly kind: 'failing'; readonly reply: Reply; readonly until: number }
  | { readonly kind: 'working' }
  | { readonly kind: 'unaligned'; readonly domain: string; readonly why: 'alignment' | 'domains' }
);

export function fallbackNotice(facts: FallbackFacts): OperatorNotice {
  const { hostname, upstream, at } = facts;
  const provider = facts.provider.replace(/^mx:/, '').slice(0, 100);
  const refuses = `${provider} refuses the address of the mail relay ${hostname}, and its mail leaves by ${upstream} meanwhile.`;
  const show = ['', `    smarthost provider show ${facts.provider}`];
  switch (facts.kind) {
    case 'cap':
      return {
        subject: `${hostname}: the fallback ${upstream} has taken its mail for today`,
        lines: [
          `${refuses} The cap of ${facts.cap} recipients in a day (delivery.fallback, dailyCap) was reached at ${formatDate(at)}.`,
          '',
          'What the relay does: it holds further mail for this provider until midnight UTC, or until the provider takes it again. Nothing is returned for this.',
          ...show,
        ],
      };
    case 'failing':
      return {
        subject: `${hostname}: the fallback ${upstream} fails`,
        lines: [
          `${refuses} Since ${formatDate(at)} the fallback takes none:`,
          '',
          `    ${replyLine(facts.reply)}`,
          '',
          `What the relay does: it holds the mail, and tries the fallback again at ${formatDate(facts.until)} and then every few hours. Nothing is returned for this.`,
          '',
          'What you can do: look at the account at the fallback, its quota and its senders, and at the login in delivery.fallback. After a reload (SIGHUP) it is tried at once.',
          ...show,
        ],
      };
    case 'working':
      return {
        subject: `${hostname}: the fallback ${upstream} works again`,
        lines: [`Since ${formatDate(at)} the fallback ${upstream} takes mail again.`, '', refuses, ...show],
      };
    case 'unaligned':
      return {
        subject: `${hostname}: mail from ${facts.domain} for ${provider} waits`,
        lines: [
          `${refuses} Mail from ${facts.domain} waits, because ${WHY[facts.why](facts.domain, upstream)}`,
          '',
          ...(facts.why === 'alignment'
            ? [
                `What you can do: publish the DKIM key of ${facts.domain}, or allow the addresses of ${upstream} in its SPF record (delivery.fallback, addresses).`,
                '',
                `    smarthost doctor ${facts.domain}`,
                `    smarthost domain show ${facts.domain}`,
              ]
            : ['What you can do: add the domain to delivery.fallback, domains, if the fallback may send for it.']),
          ...show,
        ],
      };
  }
}

const WHY = {
  alignment: (domain: string, upstream: string) =>
    `receivers would take it for a forgery: no DKIM signature of ${domain} verifies, and its SPF record does not allow ${upstream}.`,
  domains: () => 'its domain is not among those that the fallback may be used for.',
} as const;
