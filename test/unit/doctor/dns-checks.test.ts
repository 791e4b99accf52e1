/** Every verdict on host name, addresses, sending domains and block lists, from the records of a real DNS server. */
import { describe, expect, test } from 'vitest';
import { createDkimKeys, dkimRecord } from '../../../src/signing/signing.ts';
import { data } from '../../../src/system/phrase.ts';
import { ADDRESS, DOMAIN, diagnose, HOST, KEYS, of, type Patient } from '../../support/doctor.ts';

const STS = { '_mta-sts.dest.test': { TXT: ['v=STSv1; id=1'] } };

/** A part of the domain, without a key of its own. */
const SUB = `a.${DOMAIN}`;
const V6 = '2001:db9::5';
const rsa = dkimRecord(KEYS.find(({ domain, algorithm }) => domain === DOMAIN && algorithm === 'rsa-sha256')!).name;
const ed = dkimRecord(KEYS.find(({ domain, algorithm }) => domain === DOMAIN && algorithm === 'ed25519-sha256')!).name;
const failing = (type: string) => ({ fault: { [type]: 'servfail' as const } });

test('finds no problem if everything is set as init says', async () => {
  const findings = await diagnose();
  const bad = findings.filter(({ check, result }) => result !== 'ok' && !['outbound25', 'mtaSts', 'receivers'].includes(check));
  expect(bad).toEqual([]);
  const checks = [
    'a',
    'aaaa',
    'ptr',
    'helo',
    'spf',
    'dkim',
    'dmarc',
    'alignment',
    'mx',
    'blockList',
    'dnssec',
    'clock',
    'disk',
    'store',
  ];
  expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(checks));
});

type Case = readonly [
  promise: string,
  check: string,
  subject: string,
  patient: Patient,
  result: string,
  found: RegExp,
  advice: RegExp,
];

const unused = { machine: () => [ADDRESS, V6] };

describe.each<Case>([
  ['no A record', 'a', HOST, { zone: { [HOST]: { TXT: ['v=spf1 a -all'] } } }, 'error', /no such record/, /Publish A records/],
  ['no host name', 'a', HOST, { without: [HOST] }, 'error', /no such record/, /Publish A/],
  [
    'another A record',
    'a',
    HOST,
    { zone: { [HOST]: { A: ['198.51.100.1'] } } },
    'error',
    /198\.51\.100\.1/,
    /203\.0\.113\.5 too/,
  ],
  ['a private A record', 'a', HOST, { zone: { [HOST]: { A: ['10.0.0.1'] } } }, 'error', /10\.0\.0\.1/, /not reachable/],
  ['NAT', 'a', HOST, { probes: { machine: () => [] } }, 'unknown', /203\.0\.113\.5/, /NAT/],
  ['SERVFAIL for A', 'a', HOST, { zone: { [HOST]: failing('A') } }, 'unknown', /gave no answer \(SERVFAIL\)/, /again/],
  ['an unpublished IPv6 address', 'aaaa', HOST, { probes: unused }, 'error', /no such record/, /AAAA/],
  ['no IPv6', 'aaaa', HOST, {}, 'ok', /none is needed/, /^$/],
  [
    'no PTR',
    'ptr',
    ADDRESS,
    { without: [ADDRESS] },
    'error',
    /does not exist/,
    /Ask the provider of 203\.0\.113\.5 .* to relay\.sender\.test/,
  ],
  [
    'a generic PTR',
    'ptr',
    ADDRESS,
    { zone: { [ADDRESS]: { PTR: ['5.isp.test'] } } },
    'error',
    /5\.isp\.test\./,
    /Ask the provider/,
  ],
  [
    'a PTR whose name has another address',
    'ptr',
    ADDRESS,
    { zone: { [HOST]: { A: ['198.51.100.1'] } } },
    'error',
    /does not have this address/,
    /Add 203/,
  ],
  ['no answer for PTR', 'ptr', ADDRESS, { zone: { [ADDRESS]: failing('PTR') } }, 'unknown', /no answer/, /again/],
  ['IPv6 without PTR in auto', 'ptr', V6, { probes: unused }, 'warning', /not exist/, /IPv6 is not used/],
  [
    'IPv6 without PTR that is to be used',
    'ptr',
    V6,
    { probes: unused, options: { delivery: { port: 1, ip: 'v6-first', source: [], allowPrivate: [] } } },
    'error',
    /not exist/,
    /provider/,
  ],
  [
    'a local host name',
    'helo',
    'relay.local',
    { options: { hostname: 'relay.local' } },
    'error',
    /relay\.local/,
    /public|look up/,
  ],
  ['a host name that does not fit', 'helo', HOST, { without: [ADDRESS] }, 'error', /EHLO/, /A\/AAAA and PTR/],
  ['IPv6 that is not used', 'helo', HOST, { probes: unused }, 'warning', /EHLO/, /not used/],
  ['no SPF', 'spf', DOMAIN, { zone: { [DOMAIN]: { MX: ['10 mx.test'] } } }, 'error', /no SPF record/, /Publish/],
  ['a fail', 'spf', DOMAIN, { zone: { [DOMAIN]: { TXT: ['v=spf1 mx -all'] } } }, 'error', /fail for 203/, /Change/],
  ['a softfail', 'spf', DOMAIN, { zone: { [DOMAIN]: { TXT: ['v=spf1 ip4:192.0.2.1 ~all'] } } }, 'warning', /softfail/, /Change/],
  ['neutral', 'spf', DOMAIN, { zone: { [DOMAIN]: { TXT: ['v=spf1 ?all'] } } }, 'warning', /neutral/, /Change/],
  [
    'nonsense',
    'spf',
    DOMAIN,
    { zone: { [DOMAIN]: { TXT: ['v=spf1 ip4:nonsense -all'] } } },
    'error',
    /permerror/,
    /cannot be evaluated/,
  ],
  ['two records', 'spf', DOMAIN, { zone: { [DOMAIN]: { TXT: ['v=spf1 -all', 'v=spf1 ~all'] } } }, 'error', /2 SPF/, /one/],
  [
    'an include without an answer',
    'spf',
    DOMAIN,
    { zone: { [DOMAIN]: { TXT: ['v=spf1 include:_spf.test -all'] }, '_spf.test': { fault: 'servfail' } } },
    'unknown',
    /temperror/,
    /again/,
  ],
  [
    'a pass by include',
    'spf',
    DOMAIN,
    { zone: { [DOMAIN]: { TXT: ['v=spf1 include:_spf.test -all'] }, '_spf.test': { TXT: ['v=spf1 ip4:203.0.113.0/24'] } } },
    'ok',
    /pass/,
    /^$/,
  ],
  ['no answer for SPF', 'spf', DOMAIN, { zone: { [DOMAIN]: failing('TXT') } }, 'unknown', /no answer/, /again/],
  ['no SPF of the host name', 'spf', HOST, { zone: { [HOST]: { A: [ADDRESS] } } }, 'warning', /no SPF/, /null sender/],
  ['an RSA key that is not published', 'dkim', rsa, { without: [rsa, ed] }, 'error', /no record/, /Publish this record/],
  [
    'another key in its place',
    'dkim',
    rsa,
    { zone: { [rsa]: { TXT: ['v=DKIM1; p=AAAA'] } }, without: [ed] },
    'error',
    /another key/,
    /Replace/,
  ],
  ['only the second key missing', 'dkim', ed, { without: [ed] }, 'warning', /no record/, /another key .* verifies/],
  ['no answer for a key', 'dkim', rsa, { zone: { [rsa]: { fault: 'servfail' } } }, 'unknown', /no answer/, /again/],
  ['no key', 'dkim', 'other.test', { options: { domains: ['other.test'] } }, 'error', /no key/, /domain add other\.test/],
  ['no DMARC', 'dmarc', DOMAIN, { without: [`_dmarc.${DOMAIN}`] }, 'warning', /no DMARC/, /Publish/],
  [
    'a DMARC record of the parent',
    'dmarc',
    HOST,
    { without: [`_dmarc.${HOST}`], zone: { '_dmarc.sender.test': { TXT: ['v=DMARC1; p=reject'] } } },
    'ok',
    /of sender\.test/,
    /^$/,
  ],
  [
    'two DMARC records',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] } } },
    'error',
    /2 DMARC/,
    /one/,
  ],
  [
    'a DMARC record without policy',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=maybe'] } } },
    'error',
    /maybe/,
    /none, quarantine or reject/,
  ],
  [
    'a DMARC record with a tag twice',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=none; p=reject'] } } },
    'error',
    /p=reject/,
    /tag occurs twice/,
  ],
  [
    'a DMARC record of which only the reports count',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=reject; sp=no; rua=mailto:d@shop.test'] } } },
    'warning',
    /sp=no/,
    /counts as p=none: sp must be/,
  ],
  [
    'a DMARC record that is tested',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=reject; t=y'] } } },
    'ok',
    /t=y \(quarantine for shop\.test\)/,
    /^$/,
  ],
  [
    'a DMARC policy for names that do not exist',
    'dmarc',
    'gone.shop.test',
    {
      zone: { [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=none; np=reject'] } },
      options: { domains: ['gone.shop.test'] },
    },
    'ok',
    /\(of shop\.test, reject for gone\.shop\.test\)/,
    /^$/,
  ],
  [
    'a DMARC policy for names that do not exist, and an alias that leads nowhere',
    'dmarc',
    'alias.shop.test',
    {
      zone: {
        [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=none; np=reject'] },
        'alias.shop.test': { CNAME: 'gone.test' },
      },
      options: { domains: ['alias.shop.test'] },
    },
    'ok',
    /\(of shop\.test, none for alias\.shop\.test\)/,
    /^$/,
  ],
  [
    'two DMARC records, though the parent has a policy',
    'dmarc',
    HOST,
    {
      zone: {
        '_dmarc.sender.test': { TXT: ['v=DMARC1; p=reject'] },
        [`_dmarc.${HOST}`]: { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] },
      },
    },
    'error',
    /2 DMARC/,
    /Keep only one at _dmarc\.relay\.sender\.test/,
  ],
  [
    'two DMARC records, and no answer above',
    'dmarc',
    HOST,
    {
      zone: {
        '_dmarc.sender.test': { fault: 'servfail' },
        [`_dmarc.${HOST}`]: { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] },
      },
    },
    'error',
    /2 DMARC/,
    /Keep only one/,
  ],
  [
    'two DMARC records of the parent',
    'dmarc',
    HOST,
    { without: [`_dmarc.${HOST}`], zone: { '_dmarc.sender.test': { TXT: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] } } },
    'error',
    /2 DMARC/,
    /Keep only one at _dmarc\.sender\.test/,
  ],
  [
    'no alignment under p=reject',
    'alignment',
    DOMAIN,
    {
      zone: { [DOMAIN]: { TXT: ['v=spf1 -all'] }, [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=reject'] } },
      without: [rsa, ed],
    },
    'error',
    /not pass/,
    /by its policy, receivers refuse this mail/,
  ],
  [
    'no answer for DMARC',
    'dmarc',
    DOMAIN,
    { zone: { [`_dmarc.${DOMAIN}`]: { fault: 'servfail' } } },
    'unknown',
    /no answer/,
    /again/,
  ],
  [
    'alignment by DKIM alone',
    'alignment',
    DOMAIN,
    { zone: { [DOMAIN]: { TXT: ['v=spf1 -all'] } } },
    'warning',
    /SPF does not pass, DKIM passes/,
    /by DKIM alone/,
  ],
  ['a key of the parent', 'dkim', SUB, { options: { domains: [SUB] } }, 'ok', /the key of shop\.test signs/, /^$/],
  [
    'a key of the parent without its record',
    'dkim',
    SUB,
    { options: { domains: [SUB] }, without: [rsa, ed] },
    'error',
    /shop\.test signs, which does not verify/,
    /domain show shop\.test/,
  ],
  [
    'no answer for the key of the parent',
    'dkim',
    SUB,
    { options: { domains: [SUB] }, zone: { [rsa]: { fault: 'servfail' }, [ed]: { fault: 'servfail' } } },
    'unknown',
    /shop\.test signs/,
    /again/,
  ],
  [
    'the key of the parent is aligned',
    'alignment',
    SUB,
    { options: { domains: [SUB] }, zone: { [SUB]: { TXT: ['v=spf1 -all'] } } },
    'warning',
    /SPF does not pass, DKIM passes, for From: …@a\.shop\.test/,
    /by DKIM alone/,
  ],
  [
    'the key of the parent, and adkim=s',
    'alignment',
    SUB,
    {
      options: { domains: [SUB] },
      zone: { [SUB]: { TXT: ['v=spf1 -all'] }, [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=reject; adkim=s'] } },
    },
    'error',
    /DKIM passes for shop\.test, which is not aligned/,
    /receivers refuse this mail.*domain add a\.shop\.test/,
  ],
  [
    'SPF for some of our addresses, and no signature',
    'alignment',
    DOMAIN,
    { probes: { machine: () => [ADDRESS, '203.0.113.6'] }, without: [rsa, ed] },
    'warning',
    /SPF passes for some of our addresses/,
    /correct SPF for all addresses, and correct DKIM too/,
  ],
  ['alignment by SPF alone', 'alignment', DOMAIN, { without: [rsa, ed] }, 'warning', /SPF passes/, /by SPF alone/],
  [
    'no alignment',
    'alignment',
    DOMAIN,
    { zone: { [DOMAIN]: { TXT: ['v=spf1 -all'] } }, without: [rsa, ed] },
    'error',
    /not pass/,
    /by its policy, receivers treat this mail as spam/,
  ],
  [
    'no answers for alignment',
    'alignment',
    DOMAIN,
    { zone: { [DOMAIN]: failing('TXT'), [rsa]: { fault: 'servfail' }, [ed]: { fault: 'servfail' } } },
    'unknown',
    /not known/,
    /again/,
  ],
  ['a null MX', 'mx', DOMAIN, { zone: { [DOMAIN]: { MX: ['0 .'] } } }, 'error', /null MX/, /no mail/],
  ['no MX but an address', 'mx', DOMAIN, { zone: { [DOMAIN]: { A: ['192.0.2.1'] } } }, 'warning', /only an address/, /MX record/],
  ['neither MX nor address', 'mx', DOMAIN, { zone: { [DOMAIN]: { TXT: ['x'] } } }, 'error', /no such record/, /publish an MX/],
  [
    'a listing',
    'blockList',
    'list.test',
    { zone: { '5.113.0.203.list.test': { A: ['127.0.0.3'], TXT: ['see list.test/5'] } } },
    'error',
    /listed \(127\.0\.0\.3\): see list\.test\/5/,
    /remove 203/,
  ],
  [
    'a refusal by code',
    'blockList',
    'list.test',
    { zone: { '5.113.0.203.list.test': { A: ['127.255.255.254'] } } },
    'unknown',
    /^query refused$/,
    /resolver of your own/,
  ],
  [
    'a refusal of the test entry',
    'blockList',
    'list.test',
    { zone: { '2.0.0.127.list.test': { A: ['127.255.255.254'] } } },
    'unknown',
    /^query refused$/,
    /resolver of your own/,
  ],
  [
    'a refusal by the DNS',
    'blockList',
    'list.test',
    { zone: { '5.113.0.203.list.test': { fault: 'refused' } } },
    'unknown',
    /^query refused$/,
    /resolver/,
  ],
  [
    'a list that is gone',
    'blockList',
    'list.test',
    { without: ['2.0.0.127.list.test'] },
    'unknown',
    /not even for the test entry/,
    /serves no more/,
  ],
  [
    'a resolver that invents answers',
    'blockList',
    'list.test',
    { zone: { '5.113.0.203.list.test': { A: ['198.51.100.9'] } } },
    'unknown',
    /no block list answers/,
    /invents/,
  ],
  [
    'no answer of a list',
    'blockList',
    'list.test',
    { zone: { '5.113.0.203.list.test': { fault: 'servfail' } } },
    'unknown',
    /no answer/,
    /now/,
  ],
  [
    'a resolver that does not validate',
    'dnssec',
    '',
    { zone: { 'signed.test': { A: ['192.0.2.1'] } } },
    'warning',
    /not validated/,
    /unbound/,
  ],
  ['a resolver that fails', 'dnssec', '', { zone: { 'signed.test': { fault: 'servfail' } } }, 'unknown', /SERVFAIL/, /again/],
  ['no DANE without validation', 'dane', '', { zone: { 'signed.test': { A: ['192.0.2.1'] } } }, 'warning', /not ready/, /dnssec/],
  [
    'HTTPS that gets out',
    'mtaSts',
    'mta-sts.dest.test',
    { zone: { '_mta-sts.dest.test': { TXT: ['v=STSv1; id=1'] } } },
    'ok',
    /was fetched/,
    /^$/,
  ],
  [
    'HTTPS that is blocked',
    'mtaSts',
    'dest.test',
    { zone: STS, probes: { policy: async () => ({ type: 'sts-policy-fetch-error', why: data('ECONNREFUSED') }) } },
    'warning',
    /ECONNREFUSED/,
    /port 443/,
  ],
  [
    'roots that are old',
    'mtaSts',
    'dest.test',
    { zone: STS, probes: { policy: async () => ({ type: 'sts-webpki-invalid', why: data('UNABLE_TO_GET_ISSUER_CERT') }) } },
    'warning',
    /ISSUER/,
    /root certificates/,
  ],
  ['no destination with a policy', 'mtaSts', 'outbound', {}, 'unknown', /no policy/, /again/],
  [
    'policies that are off',
    'mtaSts',
    'outbound',
    { zone: STS, options: { sts: { mode: 'off', held: 0, overdue: 0 } } },
    'warning',
    /off/,
    /mtaSts: on/,
  ],
  [
    'policies that are only audited',
    'mtaSts',
    'delivery.mtaSts',
    { zone: STS, options: { sts: { mode: 'audit', held: 0, overdue: 0 } } },
    'warning',
    /only logged/,
    /mtaSts: on/,
  ],
  [
    'policies that cannot be fetched again',
    'mtaSts',
    'policies',
    { zone: STS, options: { sts: { mode: 'on', held: 9, overdue: 2 } } },
    'warning',
    /2 of 9/,
    /tls policies list --failing/,
  ],
])('%s', (_, check, subject, patient, result, found, advice) => {
  test(`is ${result} for ${check}`, async () => {
    const [finding] = of(await diagnose(patient), check, subject);
    expect(finding).toMatchObject({ check, result, found: expect.stringMatching(found), advice: expect.stringMatching(advice) });
  });
});

test('an IPv6 address that is confirmed is right, and lists that know no IPv6 are not asked about it', async () => {
  const findings = await diagnose({
    probes: unused,
    zone: { [HOST]: { A: [ADDRESS], AAAA: ['2001:DB9:0::5'], TXT: ['v=spf1 a -all'] }, [V6]: { PTR: [HOST] } },
  });
  expect(
    of(findings, 'aaaa')
      .concat(of(findings, 'ptr'), of(findings, 'helo'))
      .map(({ result }) => result),
  ).toEqual(Array(4).fill('ok'));
  expect(of(findings, 'spf').map(({ result }) => result)).toEqual(['ok', 'ok']);
  expect(of(findings, 'blockList')).toHaveLength(1);
});

test('a pending and a retiring key are no errors while an active one is published', async () => {
  const [other] = await createDkimKeys({ domain: DOMAIN, selector: 'next', now: 1, state: 'active' });
  const keys = (state: 'pending' | 'retiring') => [...KEYS, { ...other!, state }];
  for (const [state, sentence] of [
    ['pending', /then the key begins to sign/],
    ['retiring', /keep the record/],
  ] as const) {
    const [finding] = of(await diagnose({ options: { keys: keys(state) } }), 'dkim', 'next._domainkey');
    expect(finding).toMatchObject({
      result: 'warning',
      wanted: expect.stringMatching(/^next\._domainkey\.shop\.test\. 3600 IN TXT "/),
      advice: expect.stringMatching(sentence),
    });
  }
});

test('the wanted record keeps the parts of the existing one', async () => {
  const [finding] = of(await diagnose({ zone: { [DOMAIN]: { TXT: ['v=spf1 ip4:192.0.2.1 -all'] } } }), 'spf', DOMAIN);
  expect(finding!.wanted).toBe('v=spf1 ip4:192.0.2.1 a:relay.sender.test -all');
});
