/** The part of a report that programs read: message/delivery-status, RFC 3464 §2; for other scripts RFC 6533 §3 and §4. */

import type { Reportable, ReportSubject } from '../queue/queue.ts';
import type { DsnAction } from '../smtp/outcome.ts';
import { type Reply, replyLine } from '../smtp/reply.ts';
import { cleanLine, formatDate, isAscii, wrap } from '../smtp/text.ts';
import { decodeXtext } from '../smtp/xtext.ts';

type StatusFacts = {
  readonly hostname: string;
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: DsnAction;
  readonly now: number;
  /** The message/global-delivery-status form, in UTF-8. */
  readonly global: boolean;
};

const CLASS = { failed: '5', delayed: '4', relayed: '2' } as const;
/** RFC 3463 §3.5: X.4.7, delivery time expired. */
const EXPIRED = '5.4.7';

/** The body, CRLF at the end of each line: one group of fields for the message, one for each recipient. */
export function formatStatus(facts: StatusFacts): string {
  const groups = [messageFields(facts), ...facts.changes.map((change) => recipientFields(facts, change))];
  return groups.map((fields) => fields.map((field) => formatField(field, facts.global)).join('')).join('\r\n');
}

type Field = readonly [name: string, value: string | undefined];

function messageFields({ hostname, about }: StatusFacts): readonly Field[] {
  return [
    ['Reporting-MTA', `dns; ${hostname}`],
    ['Original-Envelope-Id', about.envid === undefined ? undefined : decodeAscii(about.envid)],
    ['Arrival-Date', formatDate(about.acceptedAt)],
  ];
}

function recipientFields({ action, now, global }: StatusFacts, change: Reportable): readonly Field[] {
  const { recipient, outcome, willRetryUntil } = change;
  return [
    ['Original-Recipient', recipient.orcpt === undefined ? undefined : originalRecipient(recipient.orcpt)],
    ['Final-Recipient', `${global && !isAscii(recipient.address) ? 'utf-8' : 'rfc822'}; ${recipient.address}`],
    ['Action', action],
    ['Status', statusOf(change, action)],
    ['Remote-MTA', outcome?.mx === undefined ? undefined : `dns; ${outcome.mx}`],
    ['Diagnostic-Code', outcome === undefined ? undefined : `smtp; ${replyLine(outcome.reply)}`],
    ['Last-Attempt-Date', outcome === undefined ? undefined : formatDate(change.at ?? now)],
    ['Will-Retry-Until', action === 'delayed' && willRetryUntil !== undefined ? formatDate(willRetryUntil) : undefined],
  ];
}

/** The remote server's own status where it fits the action, else what its reply code says. */
export function statusOf({ action: kind, outcome }: Reportable, action: DsnAction): string {
  if (kind === 'expired') return EXPIRED;
  const status = outcome?.reply.status ?? '';
  return new RegExp(`^${CLASS[action]}\\.\\d{1,3}\\.\\d{1,3}$`).test(status) ? status : fromCode(outcome?.reply, CLASS[action]);
}

/** RFC 3463 §3: what the basic codes of RFC 5321 §4.2.3 mean where the server gave no status of its own. */
function fromCode(reply: Reply | undefined, digit: string): string {
  const detail: Readonly<Record<number, string>> = { 450: '2.0', 451: '3.0', 452: '3.1', 550: '1.0', 552: '2.2', 553: '1.3' };
  return `${digit}.${(digit === '2' ? undefined : detail[reply?.code ?? 0]) ?? '0.0'}`;
}

/** `rfc822;user+2Btag@example.org` → `rfc822; user+tag@example.org` (RFC 3461 §4.2). */
function originalRecipient(orcpt: string): string | undefined {
  const separator = orcpt.indexOf(';');
  if (separator < 1) return undefined;
  return `${orcpt.slice(0, separator)}; ${decodeAscii(orcpt.slice(separator + 1))}`;
}

/** What xtext hides if it is plain ASCII; else it stays xtext, which always is. */
function decodeAscii(xtext: string): string {
  const text = decodeXtext(xtext);
  return text !== undefined && isAscii(text) ? text : xtext;
}

function formatField([name, value]: Field, global: boolean): string {
  if (value === undefined) return '';
  return `${wrap(`${name}: ${cleanLine(value, { ascii: !global })}`, ' ').join('\r\n')}\r\n`;
}
