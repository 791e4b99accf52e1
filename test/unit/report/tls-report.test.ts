/** The document of a TLS report, and the content of its mail: RFC 8460 §4.4, §5.3. */
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { packTlsReport, tlsReport, tlsReportContent, tlsReportHeader } from '../../../src/report/tls-report.ts';
import { furtherTlsPolicies, type TlsFailureDetail, type TlsSessionCount } from '../../../src/store/store.ts';
import { DAY } from '../../../src/system/clock.ts';
import { expectTlsReport } from '../../support/tls-report-schema.ts';

const facts = {
  day: Date.UTC(2026, 10, 27) / DAY,
  domain: 'dest.example',
  hostname: 'relay.example.net',
  contact: 'postmaster@relay.example.net',
};
const NOWHERE = { sendingIp: null, mx: null, helo: null, receivingIp: null, reason: null };
const failure = (rest: Partial<TlsFailureDetail> = {}): TlsFailureDetail => ({
  ...{ type: 'certificate-host-mismatch', sendingIp: '2001:db8::1', mx: 'mx.dest.example', helo: 'mx.dest.example' },
  ...{ receivingIp: '192.0.2.25', reason: 'no such name', count: 2 },
  ...rest,
});
const STS = {
  key: 'sts',
  type: 'sts',
  domain: 'dest.example',
  strings: ['version: STSv1', 'mode: enforce', 'mx: *.dest.example', 'max_age: 86400'],
  mxHosts: ['*.dest.example'],
} as const;
const TLSA = { key: 'tlsa', type: 'tlsa', domain: 'mx.dest.example', strings: ['3 1 1 0A0B'], mxHosts: [] } as const;
const NONE = { key: 'none', type: 'no-policy-found', domain: 'dest.example', strings: [], mxHosts: [] } as const;
const count = (rest: Partial<TlsSessionCount>): TlsSessionCount => ({
  ...{ day: facts.day, domain: 'dest.example', ok: 5, failed: 0, failures: [], policy: NONE },
  ...rest,
});

test('a report of each kind of policy has the form of RFC 8460, without unknown fields', () => {
  const results = [
    count({ policy: STS, failed: 3, failures: [failure(), failure({ type: 'starttls-not-supported', ...NOWHERE, count: 1 })] }),
    count({ policy: TLSA }),
    count({}),
  ];
  const report = expectTlsReport(JSON.stringify(tlsReport(facts, results)));
  expect(report).toEqual({
    'organization-name': 'relay.example.net',
    'date-range': { 'start-datetime': '2026-11-27T00:00:00Z', 'end-datetime': '2026-11-27T23:59:59Z' },
    'contact-info': 'postmaster@relay.example.net',
    'report-id': expect.stringMatching(/^[0-9a-f]{24}@relay\.example\.net$/),
    policies: [
      {
        policy: {
          'policy-type': 'sts',
          'policy-string': STS.strings,
          'policy-domain': 'dest.example',
          'mx-host': ['*.dest.example'],
        },
        summary: { 'total-successful-session-count': 5, 'total-failure-session-count': 3 },
        'failure-details': [
          {
            'result-type': 'certificate-host-mismatch',
            'sending-mta-ip': '2001:db8::1',
            'receiving-mx-hostname': 'mx.dest.example',
            'receiving-mx-helo': 'mx.dest.example',
            'receiving-ip': '192.0.2.25',
            'failed-session-count': 2,
            'failure-reason-code': 'no such name',
          },
          { 'result-type': 'starttls-not-supported', 'failed-session-count': 1 },
        ],
      },
      {
        policy: { 'policy-type': 'tlsa', 'policy-string': ['3 1 1 0A0B'], 'policy-domain': 'mx.dest.example' },
        summary: { 'total-successful-session-count': 5, 'total-failure-session-count': 0 },
      },
      {
        policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'dest.example' },
        summary: { 'total-successful-session-count': 5, 'total-failure-session-count': 0 },
      },
    ],
  });
});

test('several recipient domains with the same TLSA records are one policy with the sums', () => {
  const some = count({ domain: 'a.example', policy: TLSA, failed: 2, failures: [failure()] });
  const others = count({
    domain: 'b.example',
    policy: TLSA,
    ok: 1,
    failed: 3,
    failures: [failure(), failure({ reason: null, count: 1 })],
  });
  const { policies } = expectTlsReport(JSON.stringify(tlsReport({ ...facts, domain: 'mx.dest.example' }, [some, others])));
  expect(policies).toHaveLength(1);
  expect(policies[0]!.summary).toEqual({ 'total-successful-session-count': 6, 'total-failure-session-count': 5 });
  expect(policies[0]!['failure-details']!.map((one) => one['failed-session-count'])).toEqual([4, 1]);
});

test('the report ID is the same each time, and another one for another domain or day', () => {
  const idOf = (rest: Partial<typeof facts>) => tlsReport({ ...facts, ...rest }, [])['report-id'];
  expect(idOf({})).toBe(idOf({}));
  expect(
    new Set([idOf({}), idOf({ day: facts.day + 1 }), idOf({ domain: 'x.example' }), idOf({ hostname: 'y.example' })]).size,
  ).toBe(4);
});

describe('a report that is too large', () => {
  const random = (seed: string) =>
    Array.from({ length: 100 }, (_, i) =>
      createHash('sha256')
        .update(seed + i)
        .digest('hex'),
    );
  const strings = random('record');
  const failures = random('name').map((name) => failure({ mx: `${name.slice(0, 60)}.dest.example`, count: 1 }));
  const results = [
    count({ policy: { ...TLSA, strings }, failed: 101, failures: [...failures, failure({ type: 'tlsa-invalid', count: 1 })] }),
    count({}),
  ];
  const packed = (mostBytes: number) => packTlsReport(tlsReport(facts, results), mostBytes);
  const documentOf = async (mostBytes: number) => expectTlsReport(gunzipSync((await packed(mostBytes)).bytes).toString());

  test('has one detail for each result type, which says so, and all counts', async () => {
    expect((await packed(100_000)).leftOut).toBe('nothing');
    expect((await packed(6000)).leftOut).toBe('details');
    const { policies } = await documentOf(6000);
    expect(policies[0]!['failure-details']).toEqual([
      { 'result-type': 'certificate-host-mismatch', 'failed-session-count': 100, 'failure-reason-code': 'details-left-out' },
      { 'result-type': 'tlsa-invalid', 'failed-session-count': 1, 'failure-reason-code': 'details-left-out' },
    ]);
    expect(policies[0]!.policy['policy-string']).toHaveLength(100);
    expect(policies[0]!.summary['total-failure-session-count']).toBe(101);
  });

  test('has no texts of policies where those alone are too large', async () => {
    expect((await packed(1000)).leftOut).toBe('details and texts');
    const { policies } = await documentOf(1000);
    expect(policies.map(({ policy }) => policy)).toEqual([
      { 'policy-type': 'tlsa', 'policy-domain': 'mx.dest.example' },
      { 'policy-type': 'no-policy-found', 'policy-domain': 'dest.example' },
    ]);
    expect(policies[0]!.summary['total-failure-session-count']).toBe(101);
  });

  test('names in its text the parts that are left out', async () => {
    const textOf = async (mostBytes: number, all = results) =>
      tlsReportContent(facts, all, await packed(mostBytes))
        .toString('latin1')
        .replaceAll('\r\n', ' ');
    expect(await textOf(100_000)).not.toContain('eft out');
    expect(await textOf(6000)).toContain('Left out, because the report would be too large: the details of failures. The numbers');
    expect(await textOf(1000)).toContain('details of failures, texts of policies. The numbers are complete.');
    const further = [...results, count({ policy: furtherTlsPolicies('tlsa', 'dest.example') })];
    expect(await textOf(100_000, further)).toContain('are counted without the text of the policy.');
  });
});

test('the mail is a multipart/report with the document in it, under a name that says all', async () => {
  const results = [count({ policy: STS, failed: 2, failures: [failure()] })];
  const report = tlsReport(facts, results);
  const content = tlsReportContent(facts, results, await packTlsReport(report)).toString('latin1');
  const [unique] = report['report-id'].split('@');
  const name = `relay.example.net!dest.example!1795737600!1795823999!${unique}.json.gz`;
  expect(content).toMatch(/^Content-Type: multipart\/report; report-type=tlsrpt;\r\n boundary="([^"]+)"\r\n\r\n/);
  expect(content).toContain(`Content-Type: application/tlsrpt+gzip;\r\n name="${name}"\r\nContent-Transfer-Encoding: base64\r\n`);
  expect(content).toContain(`Content-Disposition: attachment;\r\n filename="${name}"\r\n`);
  expect(content).toContain('Sessions that failed: 2\r\n');
  expect(content).not.toMatch(/[^\r]\n|[^\x00-\x7f]/);
  const [, encoded = ''] = /\.json\.gz"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(content) ?? [];
  expectTlsReport(gunzipSync(Buffer.from(encoded, 'base64')).toString());
  expect(tlsReportHeader(facts, report['report-id'])).toEqual({
    subject: `Report Domain: dest.example Submitter: relay.example.net Report-ID: <${report['report-id']}>`,
    fields: [
      ['TLS-Report-Domain', 'dest.example'],
      ['TLS-Report-Submitter', 'relay.example.net'],
      ['TLS-Required', 'No'],
    ],
  });
});
