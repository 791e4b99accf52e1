/**
 * What receivers write back about mail of a domain: DMARC aggregate reports and complaints. It reads octets from strangers in hard
 * bounds, and knows no file, no store and no network.
 */
import { type ReportHead, readAggregate } from './aggregate.ts';
import { type Complaint, isComplaint, readComplaint } from './complaint.ts';
import { MOST_MAIL, MOST_UNPACKED } from './limits.ts';
import { decodedContent, leavesOf, type MailPart, partOf } from './mail.ts';
import { refuse } from './refusal.ts';
import { FeedbackSums, type Own } from './sums.ts';
import { type Budget, formOf, unpack } from './unpack.ts';

export { FeedbackRefusal } from './refusal.ts';
export { FeedbackSums, keyName } from './sums.ts';
export type { Complaint, Own, ReportHead };
export { MOST_UNPACKED };

type Feedback = {
  /** Each with the sums of its records. */
  readonly reports: readonly { readonly head: ReportHead; readonly sums: FeedbackSums }[];
  readonly complaints: readonly Complaint[];
};

/**
 * Reads a report as XML, gzip or zip, or a mail that holds some. Nothing of a file counts that is refused.
 * @throws FeedbackRefusal
 */
export async function readFeedback(bytes: Buffer, own: Own): Promise<Feedback> {
  if (bytes.length === 0) refuse('It is empty.');
  if (bytes.length > MOST_UNPACKED) refuse('It is larger than 25 MiB. No receiver sends a report of that size.');
  if (formOf(bytes) !== 'other') return { reports: [await readReport(bytes, own)], complaints: [] };
  const start = mailStart(bytes);
  if (start < 0) refuse('It is no report: it is neither XML, gzip, zip nor a mail.');
  if (bytes.length > MOST_MAIL) refuse('The mail is larger than 15 MiB. Save its attachment, and give that.');
  return readMail(partOf(bytes.subarray(start)), own);
}

async function readReport(bytes: Buffer, own: Own, budget?: Budget) {
  const sums = new FeedbackSums(own);
  const head = await readAggregate(unpack(bytes, budget), (record) => sums.add(record));
  return { head, sums };
}

async function readMail(mail: MailPart, own: Own): Promise<Feedback> {
  const reports: Feedback['reports'][number][] = [];
  const complaints: Complaint[] = [];
  const budget = { left: MOST_UNPACKED };
  for (const part of leavesOf(mail, isComplaint)) {
    if (isComplaint(part)) complaints.push(readComplaint(part, own));
    else if (mayBeReport(part)) {
      const content = decodedContent(part);
      if (formOf(content) !== 'other') reports.push(await readReport(content, own, budget));
    }
  }
  if (reports.length + complaints.length === 0)
    refuse('The mail holds no report: no attachment of XML, gzip or zip, and no complaint in the Abuse Reporting Format.');
  return { reports, complaints };
}

/** A text of a mail for people is none, though HTML looks like XML. */
function mayBeReport({ type, parameters, header }: MailPart): boolean {
  if (type !== 'text/plain' && type !== 'text/html') return true;
  const name = parameters.get('name') ?? header.get('content-disposition') ?? '';
  return /\.(?:xml|gz|zip)"?\s*$/i.test(name);
}

/** Where the first header field begins: after the `From ` line of a mailbox file. -1: it is no mail. */
function mailStart(bytes: Buffer): number {
  const head = bytes.toString('latin1', 0, 4096);
  const start = head.startsWith('From ') ? head.indexOf('\n') + 1 : 0;
  return /^[!-9;-~]{1,100}[ \t]*:/.test(head.slice(start)) ? start : -1;
}
