/** What the doctor says of the resolver's honesty, of roots, exceptions and mail that waits, and the list as receivers see it. */
import { describe, expect, test } from 'vitest';
import { describeFindings, summaryOf } from '../../../src/commands/doctor-text.ts';
import { isUnmetReply } from '../../../src/delivery/delivery.ts';
import { type Basis, unmetBy } from '../../../src/delivery/unmet.ts';
import type { Validated } from '../../../src/dns/dns.ts';
import { checkRoots } from '../../../src/doctor/secured-delivery.ts';
import { replyLine } from '../../../src/smtp/reply.ts';
import { data, phrase } from '../../../src/system/phrase.ts';
import { countRoots } from '../../../src/system/trust.ts';
import { diagnose, of, type Patient, RIGHT_ANSWERS } from '../../support/doctor.ts';

const failed: Validated = { kind: 'failed', why: data('SERVFAIL'), server: '127.0.0.1' };
const silent: Validated = { kind: 'silent', why: data('no answer') };
const answered = (authenticated: boolean, octets = 100) =>
  ({ kind: 'answered', authenticated, octets, server: '127.0.0.1' }) as const;

describe('a resolver that says AD is asked four more questions', () => {
  type Answers = typeof RIGHT_ANSWERS;
  test.each<readonly [string, { readonly [K in keyof Answers]?: Validated }, string, RegExp, RegExp]>([
    [
      'fails for TLSA records that do not exist',
      { absent: failed },
      'warning',
      /SERVFAIL/,
      /hosts without TLSA records would wait/,
    ],
    ['does not prove that there are none', { absent: answered(false) }, 'warning', /not validated/, /unbound/],
    ['says AD to everything', { unsigned: answered(true) }, 'warning', /claims/, /unbound/],
    ['fails for names that are not signed', { unsigned: failed }, 'warning', /SERVFAIL/, /not signed/],
    ['passes on what is forged', { bogus: answered(true) }, 'warning', /an answer/, /forged/],
    [
      'gives no long answers',
      { large: { ...failed, why: data('over TCP 127.0.0.1: ECONNREFUSED') } },
      'warning',
      /over TCP/,
      /TCP port 53/,
    ],
    [
      'gives a short answer where a long one was expected',
      { large: answered(false, 600) },
      'unknown',
      /600 octets/,
      /shows nothing/,
    ],
    ['is not reached', { bogus: silent }, 'unknown', /no answer/, /again/],
  ])('one that %s', async (_, change, result, found, advice) => {
    const findings = of(await diagnose({ probes: { dnssec: async () => ({ ...RIGHT_ANSWERS, ...change }) } }), 'dnssec');
    expect(findings).toEqual([expect.objectContaining({ result })]);
    expect(findings[0]!.found).toMatch(found);
    expect(findings[0]!.advice).toMatch(advice);
  });
  test('one that answers them all as it should validates, and one that does not say AD is not asked', async () => {
    expect(of(await diagnose(), 'dnssec')).toMatchObject([{ result: 'ok', found: 'answers are validated' }]);
    const zone = { 'signed.test': { A: ['192.0.2.1'] } };
    const dnssec = () => Promise.reject(new Error('nobody asks'));
    expect(of(await diagnose({ zone, probes: { dnssec } }), 'dnssec')).toMatchObject([{ result: 'warning' }]);
  });
});

const RIGHT = { tls: 'opportunistic', dane: 'on', exceptions: [], delays: [], requireTls: 'offer' } as const;
const secured = (change: Partial<NonNullable<Patient['options']>['secured']>) => ({
  options: { secured: { ...RIGHT, ...change } },
});
const END = Date.UTC(2026, 11, 31);
test.each<readonly [string, string, Patient, string, RegExp, RegExp]>([
  ['DANE that is ready', 'dane', {}, 'ok', /ready/, /^$/],
  ['DANE that is off', 'dane', secured({ dane: 'off' }), 'warning', /off/, /delivery\.dane: on/],
  ['DANE that is only audited', 'dane', secured({ dane: 'audit' }), 'warning', /audit/, /delivery\.dane: on/],
  ['no exception', 'tlsExceptions', {}, 'ok', /none/, /^$/],
  [
    'an exception that ends',
    'tlsExceptions',
    secured({ exceptions: [{ subject: 'domain: a.test', what: phrase`DANE is ignored`, until: END, isOver: false }] }),
    ...(['warning', /DANE is ignored, until 2026-12-31/, /Remove it/] as const),
  ],
  [
    'an exception that is over',
    'tlsExceptions',
    secured({ exceptions: [{ subject: 'domain: a.test', what: phrase`DANE is ignored`, until: END, isOver: true }] }),
    ...(['ok', /over since 2026-12-31/, /^$/] as const),
  ],
  [
    'an exception without an end',
    'tlsExceptions',
    secured({ exceptions: [{ subject: 'domain: a.test', what: phrase`TLS is none instead of opportunistic`, isOver: false }] }),
    ...(['warning', /without an end/, /`until`/] as const),
  ],
  [
    'no TLS at all',
    'tlsExceptions',
    secured({ tls: 'none' }),
    ...(['warning', /no TLS with any host.*REQUIRETLS comes back/, /delivery\.tls: opportunistic/] as const),
  ],
  ['no mail that waits for TLS', 'policyDelays', {}, 'ok', /none/, /^$/],
  [
    'mail that waits because of a policy',
    'policyDelays',
    secured({ delays: [{ domain: 'a.test', recipients: 3, reply: '451 4.7.5 mx.a.test does not meet …' }] }),
    ...(['warning', /3 recipients wait: 451 4\.7\.5/, /smarthost tls check a\.test --connect/] as const),
  ],
  [
    'mail that waits because records cannot be looked up',
    'policyDelays',
    secured({
      delays: [
        {
          domain: 'a.test',
          recipients: 3,
          reply:
            '451 4.7.5 mx.a.test does not meet its own DANE policy (RFC 7672): looking up its records at _25._tcp.mx.a.test failed: SERVFAIL',
        },
      ],
    }),
    ...(['warning', /SERVFAIL/, /--connect\. If other resolvers .*qname-minimisation-strict: no/] as const),
  ],
  ['roots of both', 'roots', {}, 'ok', /140 of Node, 140 of the system/, /^$/],
  [
    'no roots of the system',
    'roots',
    { probes: { roots: () => ({ bundled: 140, system: 0, old: false }) } },
    'warning',
    /0 of the system/,
    /ca-certificates/,
  ],
])('%s', async (_, check, patient, result, found, advice) => {
  const findings = of(await diagnose(patient), check);
  expect(findings).toEqual([expect.objectContaining({ result })]);
  expect(findings[0]!.found).toMatch(found);
  expect(findings[0]!.advice).toMatch(advice);
});

test('the roots of this machine are counted', () => {
  const { bundled, has } = countRoots('ISRG Root X1');
  expect(bundled).toBeGreaterThan(100);
  expect(has).toBe(true);
  expect(countRoots('No Such Authority').has).toBe(false);
  expect(checkRoots({ bundled, system: 1, old: false })).toMatchObject({ result: 'warning' });
});

test('every reply about what a host’s TLS lacks is known as such, and no other', () => {
  const basis: Basis = {
    domain: 'a.test',
    dane: { kind: 'none', why: 'absent' },
    mayBeProven: false,
    isHidden: false,
    asksDane: true,
    isDecidedByDane: false,
    isCounted: true,
    isStrict: false,
  };
  const fault = { type: 'validation-failure', reason: 'no-tlsa-match', detail: 'x' } as const;
  for (const source of ['dane', 'mta-sts', 'operator', 'requiretls'] as const)
    for (const type of ['validation-failure', 'starttls-not-supported'] as const) {
      const { verdict } = unmetBy({ ...fault, type }, source, basis, { mx: 'mx.a.test', ip: '192.0.2.1' });
      expect(isUnmetReply(replyLine(verdict.reply))).toBe(true);
    }
  expect(isUnmetReply('451 4.7.5 Encryption failed with mx.a.test')).toBe(false);
  expect(isUnmetReply('450 4.7.1 You do not meet our policy')).toBe(false);
});

describe('as receivers and testers see you', () => {
  const list = async (patient: Patient = {}) =>
    of(await diagnose(patient), 'receivers').map(({ subject, result, found }) => [subject, result, found]);
  const policy = { '_mta-sts.dest.test': { TXT: ['v=STSv1; id=1'] } };
  test('everything is right but IPv6, which this machine has not', async () => {
    const found = await list({ zone: policy });
    expect(found.map(([subject]) => subject)).toEqual([
      ...['TLS versions', 'DNSSEC and DANE', 'MTA-STS', 'root certificates', 'clock', 'reverse names', 'DKIM of the host name'],
      ...['SPF and DMARC', 'exceptions', 'TLS reports', 'IPv6', 'REQUIRETLS'],
    ]);
    expect(found.filter(([, result]) => result !== 'ok')).toEqual([['IPv6', 'warning', 'no public IPv6 address']]);
  });
  test.each<readonly [string, Patient, string]>([
    ['DNSSEC and DANE', secured({ dane: 'audit' }), 'see dane'],
    ['DNSSEC and DANE', { zone: { 'signed.test': { A: ['192.0.2.1'] } } }, 'see dnssec, dane'],
    ['exceptions', secured({ exceptions: [{ subject: 'mx: a.test', what: phrase`x`, isOver: false }] }), 'see tlsExceptions'],
    ['REQUIRETLS', secured({ requireTls: 'off' }), 'off'],
    ['reverse names', { zone: { '203.0.113.5': { PTR: ['other.test'] } } }, 'see ptr, helo'],
  ])('%s is not: %j', async (subject, patient, words) => {
    const line = (await list(patient)).find(([name]) => name === subject)!;
    expect(line[1]).not.toBe('ok');
    expect(line[2]).toBe(words);
  });
  test('an exception that ends is none there', async () => {
    const line = (
      await list(secured({ exceptions: [{ subject: 'mx: a.test', what: phrase`x`, until: END, isOver: false }] }))
    ).find(([name]) => name === 'exceptions');
    expect(line![1]).toBe('ok');
  });
  test('is a part of its own in the text, and counts for nothing in the sum', async () => {
    const findings = await diagnose({ zone: policy });
    const text = describeFindings(findings);
    expect(text.match(/^As receivers and testers see you:$/gm)).toHaveLength(1);
    expect(text.indexOf('TLS versions: TLS 1.3 and 1.2')).toBeGreaterThan(text.indexOf('As receivers'));
    expect(summaryOf(findings)).toBe(summaryOf(findings.filter(({ check }) => check !== 'receivers')));
  });
});
