/** A DMARC aggregate report: RFC 7489 Appendix C, and its successor RFC 9990. */
import { isIP } from 'node:net';
import { canonicalAddress, plainAddress } from '../net/addresses.ts';
import { MOST_RECORDS } from './limits.ts';
import { refuse } from './refusal.ts';
import { type XmlElement, XmlReader } from './xml.ts';

type Result = 'pass' | 'fail';

/** What one receiver says about mail from one address. */
export type ReportRecord = {
  /** The domain of the From field. */
  readonly domain: string;
  readonly source: string;
  readonly messages: number;
  /** What DMARC counts: a result for a domain that is aligned with the From field. */
  readonly dkim: Result;
  readonly spf: Result;
  readonly disposition: 'none' | 'quarantine' | 'reject' | 'pass' | 'other';
  /** Signatures that the receiver could verify, of any domain. */
  readonly signatures: readonly { readonly domain: string; readonly selector: string }[];
  /** Domains for which SPF passed. */
  readonly spfDomains: readonly string[];
};

/** What a report says about itself. Times in ms. Null: it does not say. */
export type ReportHead = {
  readonly reporter: string;
  readonly contact: string | null;
  readonly reportId: string;
  /** The domain whose policy was applied. */
  readonly domain: string;
  readonly begin: number | null;
  readonly end: number | null;
  /** As the receiver found it: `p`, `sp`, `np`, `adkim`, `aspf`, `pct`, `fo`, `testing` … */
  readonly policy: Readonly<Record<string, string>>;
  /** What the receiver could not do. */
  readonly errors: readonly string[];
};

const MOST_COUNT = 1e12;
const LATEST = 4_102_444_800; // the year 2100, in s
const MOST_ERRORS = 10;
const POLICY = ['p', 'sp', 'np', 'adkim', 'aspf', 'pct', 'fo', 'testing', 'psd', 'discovery_method'];
const DISPOSITIONS = ['none', 'quarantine', 'reject', 'pass'] as const;

/**
 * Reads a document, and gives each record.
 * @throws FeedbackRefusal, also after records were given
 */
export async function readAggregate(pieces: AsyncIterable<Buffer>, take: (record: ReportRecord) => void): Promise<ReportHead> {
  const parts = new Map<string, XmlElement>();
  let records = 0;
  const reader = new XmlReader('feedback', (element) => {
    if (element.name === 'record') {
      records += 1;
      if (records > MOST_RECORDS) refuse(`It has more than ${MOST_RECORDS} records.`);
      take(recordOf(element, records, parts.get('policy_published')));
    } else if (element.name === 'report_metadata' || element.name === 'policy_published') parts.set(element.name, element);
  });
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const piece of pieces) reader.push(decoded(() => decoder.decode(piece, { stream: true })));
  reader.push(decoded(() => decoder.decode()));
  reader.end();
  const [about, policy] = [parts.get('report_metadata'), parts.get('policy_published')];
  if (about === undefined || policy === undefined)
    refuse('It is no aggregate report of DMARC: the XML has no <report_metadata> or no <policy_published>.');
  return headOf(about, policy);
}

function decoded(decode: () => string): string {
  try {
    return decode();
  } catch (cause) {
    return refuse('Its text is not UTF-8, so it is damaged or no report.', cause);
  }
}

function headOf(about: XmlElement, policy: XmlElement): ReportHead {
  const range = child(about, 'date_range');
  return {
    reporter: value(about, 'org_name') || value(about, 'email') || 'unknown',
    contact: value(about, 'email') || null,
    reportId: value(about, 'report_id'),
    domain: domainIn(policy, 'domain'),
    begin: timeIn(range, 'begin'),
    end: timeIn(range, 'end'),
    policy: Object.fromEntries(POLICY.map((name) => [name, value(policy, name)]).filter(([, text]) => text !== '')),
    errors: all(about, 'error')
      .map(({ text }) => text.trim())
      .filter((text) => text !== '')
      .slice(0, MOST_ERRORS),
  };
}

function recordOf(record: XmlElement, number: number, policy: XmlElement | undefined): ReportRecord {
  const row = child(record, 'row');
  const evaluated = child(row, 'policy_evaluated');
  const results = child(record, 'auth_results');
  const source = canonicalAddress(plainAddress(value(row, 'source_ip')));
  if (isIP(source) === 0) refuse(`Record ${number} of the report does not say from which address the mail came.`);
  const count = value(row, 'count');
  if (!/^\d{1,13}$/.test(count) || Number(count) > MOST_COUNT)
    refuse(`Record ${number} of the report does not say how many messages it is about.`);
  const disposition = value(evaluated, 'disposition').toLowerCase();
  const passed = (name: string) => all(results, name).filter((one) => resultIn(one, 'result') === 'pass');
  return {
    domain: domainIn(child(record, 'identifiers'), 'header_from') || domainIn(policy, 'domain'),
    source,
    messages: Number(count),
    dkim: resultIn(evaluated, 'dkim'),
    spf: resultIn(evaluated, 'spf'),
    disposition: DISPOSITIONS.find((one) => one === disposition) ?? 'other',
    signatures: passed('dkim').map((one) => ({
      domain: domainIn(one, 'domain'),
      selector: value(one, 'selector').toLowerCase(),
    })),
    spfDomains: passed('spf').map((one) => domainIn(one, 'domain')),
  };
}

function all(parent: XmlElement | undefined, name: string): readonly XmlElement[] {
  return parent?.children.filter((one) => one.name === name) ?? [];
}

function child(parent: XmlElement | undefined, name: string): XmlElement | undefined {
  return parent?.children.find((one) => one.name === name);
}

function value(parent: XmlElement | undefined, name: string): string {
  return child(parent, name)?.text.trim() ?? '';
}

function domainIn(parent: XmlElement | undefined, name: string): string {
  return value(parent, name).toLowerCase().replace(/\.$/, '').slice(0, 255);
}

function resultIn(parent: XmlElement | undefined, name: string): Result {
  return value(parent, name).toLowerCase() === 'pass' ? 'pass' : 'fail';
}

function timeIn(parent: XmlElement | undefined, name: string): number | null {
  const seconds = value(parent, name);
  return /^\d{1,11}(?:\.\d{1,9})?$/.test(seconds) && Number(seconds) < LATEST ? Math.floor(Number(seconds)) * 1000 : null;
}
