/** From a session to the line of the next day's report: RFC 8460 §4.3; and reports that are never about reports, RFC 8460 §3. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { data } from '../../src/system/phrase.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from '../support/chains.ts';
import { startRig } from '../support/delivery-rig.ts';
import type { ZoneRecords } from '../support/dns-server.ts';
import type { MxServerOptions } from '../support/mx-server.ts';
import { startTlsReportRig, THE_DAY } from '../support/tls-report-rig.ts';
import { expectTlsReport, type TlsReportDocument } from '../support/tls-report-schema.ts';

const wants = { TXT: ['v=TLSRPTv1; rua=mailto:tls@good.test'] };
let root: Certified;
let own: Certified;
let selfSigned: Certified;
let expired: Certified;
let named: Certified;
beforeAll(async () => {
  root = await makeAuthority('root');
  own = await makeHost({ names: ['mx0.good.test'], issuer: root });
  selfSigned = await makeHost({ names: ['mx0.good.test'] });
  expired = await makeHost({ names: ['mx0.good.test'], issuer: root, expired: true });
  named = await makeHost({ names: ['other.test'], issuer: root });
});

function documentIn(mail: Buffer): TlsReportDocument {
  const [, encoded = ''] = /\.json\.gz"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(mail.toString('latin1')) ?? [];
  return expectTlsReport(gunzipSync(Buffer.from(encoded, 'base64')).toString());
}

type Policies = NonNullable<DeliveryOptions['sts']>;
type Known = Awaited<ReturnType<Policies['policyFor']>>;
const TEXT = 'version: STSv1\r\nmode: enforce\r\nmx: mx0.good.test\r\nmax_age: 86400\r\n';
const policy = (mx = 'mx0.good.test', mode: 'enforce' | 'testing' = 'enforce'): Known => ({
  policy: { domain: 'good.test', id: '1', mode, mx: [mx], text: TEXT },
});
const held = (known: Known): Policies => ({
  policyFor: async () => known,
  heal: async () => ({ policy: known.policy, changed: false, isCurrent: true }),
});

type Case = {
  readonly tls?: () => Certified;
  readonly host?: Partial<MxServerOptions>;
  readonly tlsa?: () => ZoneRecords;
  readonly sts?: Known;
  readonly level?: DeliveryOptions['tls'];
  readonly dane?: 'audit';
  /** What the report says. */
  readonly type: 'tlsa' | 'sts' | 'no-policy-found';
  readonly ok?: number;
  readonly failure?: readonly [type: string, reason?: string];
  /** What the host calls itself; absent: by its name. */
  readonly helo?: string | null;
};

const secure = (record: string): ZoneRecords => ({ TLSA: [record], secure: true });
const CASES: Readonly<Record<string, Case>> = {
  'TLS for a domain without a policy': { tls: () => own, type: 'no-policy-found', ok: 1 },
  'TLS that an enforced policy wants': { tls: () => own, sts: policy(), type: 'sts', ok: 1 },
  'TLS that a TLSA record wants': { tls: () => own, tlsa: () => secure(tlsaOf(3, 1, 1, own)), type: 'tlsa', ok: 1 },
  'a host without STARTTLS': { type: 'no-policy-found', failure: ['starttls-not-supported'] },
  'a host that calls itself by another name': {
    host: { script: { greeting: '220 front-1.other.test ESMTP at your service' } },
    ...{ type: 'no-policy-found', failure: ['starttls-not-supported'], helo: 'front-1.other.test' },
  },
  'a host that hides its name': {
    host: { script: { greeting: `220 ${'*'.repeat(90)}` } },
    ...{ type: 'no-policy-found', failure: ['starttls-not-supported'], helo: null },
  },
  'a certificate of another name': { tls: () => named, sts: policy(), type: 'sts', failure: ['certificate-host-mismatch'] },
  'a certificate that has ended': { tls: () => expired, sts: policy(), type: 'sts', failure: ['certificate-expired'] },
  'a certificate that nobody vouches for': {
    ...{ tls: () => selfSigned, sts: policy(), type: 'sts', failure: ['certificate-not-trusted'] },
  },
  'the same where the policy is tested': {
    ...{ tls: () => selfSigned, sts: policy('mx0.good.test', 'testing'), type: 'sts', failure: ['certificate-not-trusted'] },
  },
  'a handshake that breaks': {
    tls: () => own,
    host: { script: { handshake: 'close' } },
    type: 'no-policy-found',
    failure: ['validation-failure'],
  },
  'a host that the policy does not name': {
    ...{ tls: () => own, sts: policy('mx9.good.test'), type: 'sts', failure: ['validation-failure', 'mx-mismatch'], helo: null },
  },
  'a host that a policy which is only tested does not name': {
    ...{ tls: () => own, sts: policy('mx9.good.test', 'testing'), type: 'sts', failure: ['validation-failure', 'mx-mismatch'] },
  },
  'TLSA records that cannot be looked up, where DANE is audited': {
    ...{ tls: () => own, tlsa: () => ({ fault: 'servfail' }), dane: 'audit', type: 'tlsa', failure: ['dnssec-invalid'] },
  },
  'a certificate that no TLSA record is of': {
    ...{
      tls: () => selfSigned,
      tlsa: () => secure(tlsaOf(3, 1, 1, own)),
      type: 'tlsa',
      failure: ['validation-failure', 'no-tlsa-match'],
    },
  },
  'TLSA records that nobody can use': { tls: () => own, tlsa: () => secure('0 0 1 ab'), type: 'tlsa', failure: ['tlsa-invalid'] },
  'TLSA records that cannot be looked up': {
    tls: () => own,
    tlsa: () => ({ fault: 'servfail' }),
    type: 'tlsa',
    failure: ['dnssec-invalid'],
    helo: null,
  },
  'no TLSA record where the operator demands one': {
    tls: () => own,
    level: 'dane',
    type: 'no-policy-found',
    failure: ['dane-required'],
    helo: null,
  },
  'a policy that cannot be fetched': {
    ...{
      tls: () => own,
      sts: { problem: { type: 'sts-policy-fetch-error', why: data('x') } },
      type: 'sts',
      failure: ['sts-policy-fetch-error'],
    },
  },
  'a policy that cannot be read': {
    ...{
      tls: () => own,
      sts: { problem: { type: 'sts-policy-invalid', why: data('x') } },
      type: 'sts',
      failure: ['sts-policy-invalid'],
    },
  },
  'a policy host that cannot be verified': {
    ...{
      tls: () => own,
      sts: { problem: { type: 'sts-webpki-invalid', why: data('x') } },
      type: 'sts',
      failure: ['sts-webpki-invalid'],
    },
  },
};

describe('a session leads to its line in the report of the next day', () => {
  test.each(Object.entries(CASES))(
    '%s',
    async (_, { tls, host, tlsa, sts, level, dane, type, ok = 0, failure, helo = 'mx0.good.test' }) => {
      const reports = await startTlsReportRig({ zone: { '_smtp._tls.good.test': wants } });
      const folder = await mkdtemp(join(tmpdir(), 'tls-report-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, 'root.pem'), root.pem);
      const { relay, dns, mx } = await startRig({
        hosts: [{ ...host, ...(tls && { tls: served(tls()) }) }],
        delivery: {
          results: reports.results,
          caFile: join(folder, 'root.pem'),
          ...(sts && { sts: held(sts) }),
          ...(level && { tls: level }),
          ...(dane && { dane }),
        },
      });
      dns.set('good.test', { MX: ['10 mx0.good.test'], secure: true });
      dns.set('mx0.good.test', { A: [mx.address], secure: tlsa !== undefined });
      if (tlsa !== undefined) dns.set(`_${mx.port}._tcp.mx0.good.test`, tlsa());
      await relay.send('anna@good.test');
      await reports.results.flush();
      await reports.runReports({ step: HOUR / 2 });
      const [mail, ...others] = await reports.mails();
      expect(others).toEqual([]);
      const { policies } = documentIn(mail!.bytes);
      expect(policies.map(({ policy: applied }) => applied['policy-type'])).toEqual([type]);
      const [{ policy: applied, summary, 'failure-details': details = [] }] = policies as [TlsReportDocument['policies'][0]];
      expect(applied['policy-domain']).toBe(type === 'tlsa' ? 'mx0.good.test' : 'good.test');
      expect(summary).toEqual({
        'total-successful-session-count': ok,
        'total-failure-session-count': failure === undefined ? 0 : 1,
      });
      expect(details).toHaveLength(failure === undefined ? 0 : 1);
      if (failure === undefined) return;
      const [kind, reason] = failure;
      expect(details[0]).toMatchObject({
        'result-type': kind,
        'failed-session-count': 1,
        'receiving-mx-hostname': 'mx0.good.test',
      });
      if (reason !== undefined) expect(details[0]).toMatchObject({ 'failure-reason-code': reason });
      const { 'receiving-mx-helo': said = null } = details[0] as { readonly 'receiving-mx-helo'?: string };
      expect(said).toBe(helo);
    },
  );
});

test('two relays that report to each other for three days do not report their reports', async () => {
  const [one, two] = ['a.test', 'b.test'] as const;
  const zone = Object.fromEntries(
    [one, two].map((name) => [`_smtp._tls.${name}`, { TXT: [`v=TLSRPTv1; rua=mailto:tls@${name}`] }]),
  );
  const relays = [await startTlsReportRig({ zone }), await startTlsReportRig({ zone })];
  const sides = [];
  for (const [i, reports] of relays.entries()) {
    // The hosts of the other one: its DNS knows no other.
    const { relay, dns, mx } = await startRig({ hosts: [{ tls: served(own) }], delivery: { results: reports.results } });
    const peer = i === 0 ? two : one;
    dns.set(peer, { MX: ['10 mx0.good.test'] });
    sides.push({ reports, relay, mx, peer });
  }
  const sent: number[] = [];
  for (let day = THE_DAY; day < THE_DAY + 3; day++) {
    for (const { reports, relay, mx, peer } of sides) {
      reports.time.now = day * DAY + 12 * HOUR;
      await relay.send(`anna@${peer}`);
      mx.disconnect();
      await reports.results.flush();
      await reports.runReports({ day, step: HOUR / 2 });
      const claims = await reports.store.messages.claim({ destination: peer, now: reports.time.now, limit: 99, lease: 'one#1' });
      sent.push(claims.length);
      for (const claim of claims) {
        const [outcome] = await relay.deliver(claim, new AbortController().signal);
        expect(outcome).toMatchObject({ kind: 'relayed' });
        mx.disconnect(); // so that each report has a session of its own
        const { n } = claim.recipients[0]!;
        const changes = [{ n, state: 'relayed' as const }];
        await reports.store.messages.settle({ messageId: claim.message.id, lease: 'one#1', at: reports.time.now, changes });
        const { policies } = documentIn(mx.messages.at(-1)!.data);
        expect(policies.map(({ summary }) => summary['total-successful-session-count'])).toEqual([1]);
      }
      await reports.results.flush();
    }
  }
  expect(sent).toEqual([1, 1, 1, 1, 1, 1]);
  for (const { reports } of sides) {
    const copies = await reports.store.tlsResults.tlsReports({ limit: 99 });
    expect(copies.map(({ rua }) => rua)).toEqual(Array(3).fill(copies[0]!.rua));
    expect(await reports.store.tlsResults.unreportedTlsDomains({ day: THE_DAY + 3, after: '', limit: 9 })).toEqual([]);
  }
});
