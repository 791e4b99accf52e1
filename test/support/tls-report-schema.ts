/** What a TLS report may hold, member by member: RFC 8460 §4.4, §4.3 and its errata. Nothing else is allowed. */
import { isIP } from 'node:net';
import { expect } from 'vitest';
import { toAsciiDomain } from '../../src/smtp/domain.ts';

type Check = (value: unknown) => boolean;
type Members = Readonly<Record<string, { readonly check: Check; readonly optional?: true }>>;

const text: Check = (value) => typeof value === 'string' && value !== '' && !/[\x00-\x1f\x7f]/.test(value);
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const domain: Check = (value) => typeof value === 'string' && toAsciiDomain(value) === value;
const pattern: Check = (value) => typeof value === 'string' && domain(value.replace(/^\*\./, ''));
const address: Check = (value) => typeof value === 'string' && isIP(value) !== 0;
const moment: Check = (value) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) && !Number.isNaN(Date.parse(value));
const mailbox: Check = (value) => typeof value === 'string' && /^[^@\s]+@[^@\s]+$/.test(value) && domain(value.split('@')[1]);
const oneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every(check);
const optional = (check: Check) => ({ check, optional: true }) as const;
const must = (check: Check) => ({ check });

const object =
  (members: Members): Check =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const keys = Object.keys(value);
    expect(
      keys.filter((key) => !Object.hasOwn(members, key)),
      'unknown members',
    ).toEqual([]);
    for (const [key, { check, optional: maybe }] of Object.entries(members)) {
      const one = (value as Record<string, unknown>)[key];
      if (one === undefined && maybe) continue;
      expect(check(one), `${key}: ${JSON.stringify(one)}`).toBe(true);
    }
    return true;
  };

const FAILURE = object({
  'result-type': must(
    oneOf(
      ...['starttls-not-supported', 'certificate-host-mismatch', 'certificate-expired', 'certificate-not-trusted'],
      ...['validation-failure', 'tlsa-invalid', 'dnssec-invalid', 'dane-required'],
      ...['sts-policy-fetch-error', 'sts-policy-invalid', 'sts-webpki-invalid'],
    ),
  ),
  'sending-mta-ip': optional(address),
  'receiving-mx-hostname': optional(domain),
  'receiving-mx-helo': optional(text),
  'receiving-ip': optional(address),
  'failed-session-count': must(count),
  'additional-information': optional((value) => typeof value === 'string' && URL.canParse(value)),
  'failure-reason-code': optional(text),
});

const POLICY = object({
  policy: must(
    object({
      'policy-type': must(oneOf('tlsa', 'sts', 'no-policy-found')),
      'policy-string': optional(listOf(text)),
      'policy-domain': must(domain),
      'mx-host': optional(listOf(pattern)),
    }),
  ),
  summary: must(object({ 'total-successful-session-count': must(count), 'total-failure-session-count': must(count) })),
  'failure-details': optional(listOf(FAILURE)),
});

const REPORT = object({
  'organization-name': must(text),
  'date-range': must(object({ 'start-datetime': must(moment), 'end-datetime': must(moment) })),
  'contact-info': must(mailbox),
  'report-id': must(text),
  policies: must(listOf(POLICY)),
});

export type TlsReportDocument = {
  readonly 'organization-name': string;
  readonly 'date-range': { readonly 'start-datetime': string; readonly 'end-datetime': string };
  readonly 'contact-info': string;
  readonly 'report-id': string;
  readonly policies: readonly {
    readonly policy: { readonly 'policy-type': string; readonly 'policy-domain': string; readonly 'policy-string'?: string[] };
    readonly summary: { readonly 'total-successful-session-count': number; readonly 'total-failure-session-count': number };
    readonly 'failure-details'?: readonly { readonly 'result-type': string; readonly 'failed-session-count': number }[];
  }[];
};

/** @param json a whole document. Fails the test where it is not as the standard says, or its sums do not fit. */
export function expectTlsReport(json: string): TlsReportDocument {
  const report = JSON.parse(json) as TlsReportDocument;
  expect(REPORT(report)).toBe(true);
  for (const { summary, 'failure-details': details } of report.policies) {
    if (details === undefined) continue;
    const sum = details.reduce((all, one) => all + one['failed-session-count'], 0);
    expect(sum, 'the details say as many failures as the summary').toBe(summary['total-failure-session-count']);
  }
  return report;
}
