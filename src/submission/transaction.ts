/** One MAIL and its RCPTs, read and judged: RFC 5321 §3.3, RFC 6409 §4 to §6. */
import { checkReversePath } from '../policy/policy.ts';
import { type Mailbox, type MailboxProblem, parseMailbox, parsePath } from '../smtp/address.ts';
import type { EnvelopeRecipient } from '../smtp/envelope.ts';
import { type ReplyName, refusal } from '../smtp/replies.ts';
import type { Credential } from '../store/store.ts';
import { type MailParameters, parseMailParameters, parseRecipientParameters } from './mail-parameters.ts';
import type { SubmissionOptions } from './submission.ts';

export type Transaction = {
  /** The path of MAIL. Undefined: MAIL had none, which is allowed where the sender is rewritten. */
  readonly path: string | undefined;
  /** The reverse-path that is sent, rewritten where the credential says so. */
  reversePath: string;
  readonly parameters: MailParameters;
  /** By address. An address that comes twice is one recipient. */
  readonly recipients: Map<string, EnvelopeRecipient>;
  /** Characters of all recipients. */
  size: number;
};

/** Characters that a recipient may have on the average, because many long addresses would fill the memory. */
const ROOM_PER_RECIPIENT = 1024;

/** What EHLO has offered. */
type MailLimits = Pick<SubmissionOptions['limits'], 'maxMessageSize' | 'requireTls'>;

/**
 * @param argument what stands behind MAIL.
 * @param anything True: the credential's sender is rewritten, so that no path is needed. @throws Refusal 501, 552, 553 or 555.
 */
export function parseMail(
  argument: string,
  { maxMessageSize, requireTls }: MailLimits,
  anything = false,
): { readonly path: string | undefined; readonly parameters: MailParameters } {
  const behind = /^FROM:/i.test(argument) ? argument.slice(5).trimStart() : undefined;
  const path = behind === undefined ? undefined : parsePath(behind);
  if (behind === undefined || (path === undefined && !anything)) throw refusal('noSenderPath');
  const parameters = parseMailParameters(path?.rest ?? parametersAtEnd(behind), requireTls === 'offer');
  if (parameters.size > maxMessageSize) {
    throw refusal('messageTooLarge', { octets: maxMessageSize });
  }
  return { path: path?.mailbox, parameters };
}

/** The words at the end that look like parameters, behind words that are no path: `Scanner 3 SIZE=1000`. */
function parametersAtEnd(text: string): string {
  const words = text.split(' ');
  let start = words.length;
  while (start > 0 && /^(?:(?:SIZE|BODY|AUTH|RET|ENVID)=.*|SMTPUTF8|REQUIRETLS|)$/i.test(words[start - 1]!)) start--;
  return words.slice(start).join(' ').trim();
}

/**
 * Opens a transaction with the rights of this credential.
 * @param argument what stands behind MAIL.
 * @throws Refusal as `parseMail`, and 501 or 553 where the credential may not send with this path.
 */
export function openTransaction(argument: string, credential: Credential, limits: MailLimits): Transaction {
  const { path, parameters } = parseMail(argument, limits, credential.rewrite !== null);
  return { path, reversePath: reversePathOf(credential, path, parameters), parameters, recipients: new Map(), size: 0 };
}

/** Applies rights that have changed since MAIL. @throws Refusal where the credential may not send with this path any more. */
export function judgeAgain(transaction: Transaction, credential: Credential): void {
  transaction.reversePath = reversePathOf(credential, transaction.path, transaction.parameters);
}

function reversePathOf(credential: Credential, path: string | undefined, { smtpUtf8 }: MailParameters): string {
  const { rewrite, mailServer } = credential;
  // A device with a fixed sender may name anything. Only the reports of a mail server keep their null path.
  if (rewrite !== null && !(path === '' && mailServer)) return rewrite;
  if (path === undefined) throw refusal('noSenderPath');
  const reversePath = path === '' ? '' : senderOf(path, smtpUtf8);
  checkReversePath(credential, reversePath);
  return reversePath;
}

function senderOf(path: string, smtpUtf8: boolean): string {
  const mailbox = parseMailbox(path);
  if (typeof mailbox === 'string') throw refusal(SENDER_PROBLEMS[mailbox]);
  if (mailbox.needsUtf8 && !smtpUtf8) throw refusal('needsSmtpUtf8');
  return mailbox.address;
}

/** The address of MAIL or RCPT for the log: as it was written, also where it is no address. */
export function writtenAddress(argument: string): string {
  const behind = argument.slice(argument.indexOf(':') + 1).trimStart();
  return parsePath(behind)?.mailbox ?? behind;
}

/**
 * The recipient that RCPT names; undefined: the transaction has it already.
 * @throws Refusal as `parseRecipient`, and 452 where another one has no room.
 */
export function newRecipient(
  { parameters, recipients, size }: Transaction,
  argument: string,
  { operator, limits: { maxRecipients } }: Pick<SubmissionOptions, 'operator' | 'limits'>,
): EnvelopeRecipient | undefined {
  const recipient = parseRecipient(argument, parameters.smtpUtf8, operator);
  if (recipients.has(recipient.address)) return undefined;
  if (recipients.size < maxRecipients && size < maxRecipients * ROOM_PER_RECIPIENT) return recipient;
  throw refusal('tooManyRecipients', { count: maxRecipients });
}

export function addRecipient(transaction: Transaction, recipient: EnvelopeRecipient): void {
  transaction.recipients.set(recipient.address, recipient);
  transaction.size += recipient.address.length + (recipient.orcpt?.length ?? 0);
}

/**
 * @param argument what stands behind RCPT.
 * @param operator the address that gets mail for `<postmaster>`, which RFC 5321 §4.5.1 asks every server to accept.
 * @throws Refusal 501, 550, 553 or 555.
 */
export function parseRecipient(argument: string, smtpUtf8: boolean, operator: string | undefined): EnvelopeRecipient {
  const path = /^TO:/i.test(argument) ? parsePath(argument.slice(3).trimStart()) : undefined;
  if (path === undefined) throw refusal('noRecipientPath');
  const mailbox = isPostmaster(path.mailbox) ? operatorMailbox(operator) : parseMailbox(path.mailbox);
  if (typeof mailbox === 'string') throw refusal(RECIPIENT_PROBLEMS[mailbox]);
  if (mailbox.needsUtf8 && !smtpUtf8) throw refusal('needsSmtpUtf8');
  return { address: mailbox.address, ...parseRecipientParameters(path.rest) };
}

const isPostmaster = (mailbox: string) => /^"?postmaster"?$/i.test(mailbox);

/** This address is ours, so that it needs no SMTPUTF8 of the client. */
function operatorMailbox(operator: string | undefined): Mailbox {
  if (operator === undefined) {
    throw refusal('noOperator');
  }
  return { address: operator, needsUtf8: false };
}

/** A syntax error is 553, not 501: some programs give up the whole message at codes other than 550, 553, 450 and 452. */
const RECIPIENT_PROBLEMS = {
  syntax: 'recipientSyntax',
  literal: 'recipientLiteral',
  'no domain': 'recipientNoDomain',
  dotless: 'recipientDotless',
} as const satisfies Readonly<Record<MailboxProblem, ReplyName>>;

const SENDER_PROBLEMS = {
  syntax: 'senderSyntax',
  literal: 'senderLiteral',
  'no domain': 'senderNoDomain',
  dotless: 'senderDotless',
} as const satisfies Readonly<Record<MailboxProblem, ReplyName>>;
