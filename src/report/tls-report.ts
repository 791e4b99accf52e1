/** A TLS report: its document (RFC 8460 §4.4), and the mail that brings it (RFC 8460 §5.3). Pure. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { domainOf } from '../smtp/envelope.ts';
import { wrap } from '../smtp/text.ts';
import { isFurtherTlsPolicies, MOST_TLS_POLICIES, type TlsFailureDetail, type TlsSessionCount } from '../store/store.ts';
import { DAY, SECOND } from '../system/clock.ts';

/** The reporter, and the subject of the report. */
export type TlsReportFacts = {
  /** The UTC day, as a number since 1970-01-01. */
  readonly day: number;
  /** The owner of this domain gets the report. */
  readonly domain: string;
  /** The organization-name of the report. */
  readonly hostname: string;
  /** The address for questions. Its domain is the submitter. */
  readonly contact: string;
};

/** The document. RFC 8460 §4.4 names its members. */
type TlsReport = ReturnType<typeof tlsReport>;

/** A receiver may take less: RFC 8460 §5.2. */
const MOST_BYTES = 10 * 1024 * 1024;

/** @param results of one domain and day. Results of several recipient domains under one policy are added. */
export function tlsReport(facts: TlsReportFacts, results: readonly TlsSessionCount[]) {
  const { day, hostname, contact } = facts;
  return {
    'organization-name': hostname,
    'date-range': { 'start-datetime': timestamp(day * DAY), 'end-datetime': timestamp((day + 1) * DAY - SECOND) },
    'contact-info': contact,
    'report-id': tlsReportId(facts),
    policies: byPolicy(results).map(policyResult),
  };
}

/** Every copy, every try and every process has the same ID. */
export function tlsReportId({ day, domain, hostname, contact }: TlsReportFacts): string {
  const unique = createHash('sha256').update(`${day} ${domain} ${hostname}`).digest('hex').slice(0, 24);
  return `${unique}@${domainOf(contact)}`;
}

/** Without fractions of a second, as the example of RFC 8460 §B has it. */
const timestamp = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** Sums of the same policy. */
function byPolicy(results: readonly TlsSessionCount[]): readonly TlsSessionCount[] {
  const sums = new Map<string, TlsSessionCount>();
  for (const result of results) {
    const { key } = result.policy;
    const before = sums.get(key);
    const sum = before && { ok: before.ok + result.ok, failed: before.failed + result.failed };
    sums.set(key, before === undefined ? result : { ...before, ...sum, failures: added(before.failures, result.failures) });
  }
  return [...sums.values()];
}

function added(some: readonly TlsFailureDetail[], others: readonly TlsFailureDetail[]): readonly TlsFailureDetail[] {
  const sums = new Map<string, TlsFailureDetail>();
  for (const failure of [...some, ...others]) {
    const { count, ...kind } = failure;
    const key = JSON.stringify(kind);
    sums.set(key, { ...kind, count: count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()];
}

function policyResult({ policy, ok, failed, failures }: TlsSessionCount) {
  const { type, domain, strings, mxHosts } = policy;
  return {
    policy: {
      'policy-type': type,
      ...(strings.length === 0 ? {} : { 'policy-string': strings }),
      'policy-domain': domain,
      ...(mxHosts.length === 0 ? {} : { 'mx-host': mxHosts }),
    },
    summary: { 'total-successful-session-count': ok, 'total-failure-session-count': failed },
    ...(failures.length === 0 ? {} : { 'failure-details': failures.map(failureDetail) }),
  };
}

/** Unknown fields are left out, because readers take an empty text for a wrong address. */
function failureDetail({ type, sendingIp, mx, helo, receivingIp, reason, count }: TlsFailureDetail) {
  return {
    'result-type': type,
    ...(sendingIp === null ? {} : { 'sending-mta-ip': sendingIp }),
    ...(mx === null ? {} : { 'receiving-mx-hostname': mx }),
    ...(helo === null ? {} : { 'receiving-mx-helo': helo }),
    ...(receivingIp === null ? {} : { 'receiving-ip': receivingIp }),
    'failed-session-count': count,
    ...(reason === null ? {} : { 'failure-reason-code': reason }),
  };
}

/** The compressed document. `leftOut` names the parts that would make it too large. */
type PackedTlsReport = { readonly bytes: Buffer; readonly leftOut: 'nothing' | 'details' | 'details and texts' };

/** A report that is too large loses the details of its failures, then the texts of its policies. It keeps its counts. */
export async function packTlsReport(report: TlsReport, mostBytes = MOST_BYTES): Promise<PackedTlsReport> {
  const whole = await compress(JSON.stringify(report));
  if (whole.length <= mostBytes) return { bytes: whole, leftOut: 'nothing' };
  const counted = report.policies.map(withoutDetails);
  const bytes = await compress(JSON.stringify({ ...report, policies: counted }));
  if (bytes.length <= mostBytes) return { bytes, leftOut: 'details' };
  const bare = counted.map(withoutText);
  return { bytes: await compress(JSON.stringify({ ...report, policies: bare })), leftOut: 'details and texts' };
}

/** Another thread compresses, so that a large report does not delay mail. */
const compress = promisify<string, Buffer>(gzip);

type PolicyResult = ReturnType<typeof policyResult>;

/** Each result type keeps one detail, which says that the others are left out. */
function withoutDetails({ 'failure-details': details, ...rest }: PolicyResult): PolicyResult {
  if (details === undefined) return rest;
  const counts = new Map<string, number>();
  for (const { 'result-type': type, 'failed-session-count': count } of details) counts.set(type, count + (counts.get(type) ?? 0));
  const kept = [...counts].map(([type, count]) => ({
    ...{ 'result-type': type, 'failed-session-count': count },
    'failure-reason-code': 'details-left-out',
  }));
  return { ...rest, 'failure-details': kept };
}

function withoutText({ policy, ...rest }: PolicyResult): PolicyResult {
  const { 'policy-string': _, 'mx-host': __, ...named } = policy;
  return { ...rest, policy: named };
}

/** RFC 8460 §5.1. */
function fileName({ day, domain, contact }: TlsReportFacts, reportId: string): string {
  const [unique] = reportId.split('@', 1);
  return [domainOf(contact), domain, (day * DAY) / SECOND, ((day + 1) * DAY) / SECOND - 1, `${unique}.json.gz`].join('!');
}

/** The header fields that only such mail has: RFC 8460 §5.3. TLS-Required is No, so that a failing policy does not stop the report: RFC 8689 §3. */
export function tlsReportHeader({ domain, contact }: TlsReportFacts, reportId: string) {
  const submitter = domainOf(contact);
  return {
    subject: `Report Domain: ${domain} Submitter: ${submitter} Report-ID: <${reportId}>`,
    fields: [
      ['TLS-Report-Domain', domain],
      ['TLS-Report-Submitter', submitter],
      ['TLS-Required', 'No'],
    ] as const,
  };
}

/** Sentences about the parts that are left out. */
function leftOutOf(results: readonly TlsSessionCount[], { leftOut }: PackedTlsReport): readonly string[] {
  const size = {
    nothing: [],
    details: ['the details of failures'],
    'details and texts': ['details of failures, texts of policies'],
  };
  return [
    ...size[leftOut].map((what) => `Left out, because the report would be too large: ${what}. The numbers are complete.`),
    ...(results.some(({ policy }) => isFurtherTlsPolicies(policy))
      ? [
          `Sessions under more than ${MOST_TLS_POLICIES} policies, or under very long ones, are counted without the text of the policy.`,
        ]
      : []),
  ];
}

/** The content of its mail with the fields that describe it, CRLF throughout. */
export function tlsReportContent(facts: TlsReportFacts, results: readonly TlsSessionCount[], packed: PackedTlsReport): Buffer {
  const { domain, hostname, contact } = facts;
  const report = tlsReport(facts, results);
  const reportId = report['report-id'];
  const name = fileName(facts, reportId);
  const [date] = report['date-range']['start-datetime'].split('T', 1);
  const [ok, failed] = (['total-successful-session-count', 'total-failure-session-count'] as const).map((key) =>
    report.policies.reduce((sum, { summary }) => sum + summary[key], 0),
  );
  const text = [
    `This is a report about TLS between the mail server ${hostname} and the mail servers of ${domain} on ${date} (UTC), as RFC 8460 describes it.`,
    '',
    `Sessions as the policy wants them: ${ok}`,
    `Sessions that failed: ${failed}`,
    ...leftOutOf(results, packed),
    '',
    `The attached file has the details. Questions go to ${contact}.`,
  ].flatMap((line) => wrap(line, ''));
  const boundary = `=_${createHash('sha256').update(reportId).digest('hex').slice(0, 32)}`;
  const lines = [
    'Content-Type: multipart/report; report-type=tlsrpt;',
    ` boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    'Content-Transfer-Encoding: 7bit',
    '',
    ...text,
    `--${boundary}`,
    'Content-Type: application/tlsrpt+gzip;',
    ...parameter('name', name),
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment;',
    ...parameter('filename', name),
    '',
    ...(packed.bytes.toString('base64').match(/.{1,76}/g) ?? []),
    `--${boundary}--`,
  ];
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
}

/** A file name contains two domains, so it may be long. A line may have 998 octets: RFC 5322 §2.1.1. */
const parameter = (name: string, value: string): readonly string[] => [` ${name}="${value}"`];
