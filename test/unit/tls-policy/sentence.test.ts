/** The sentence for each cell of what can be demanded of a host: RFC 7672 §2.2, RFC 8461 §5. */
import { describe, expect, test } from 'vitest';
import { data, inEnglish } from '../../../src/system/phrase.ts';
import { decideTls, type TlsFacts } from '../../../src/tls-policy/decision.ts';
import { explainDecision } from '../../../src/tls-policy/sentence.ts';
import { recordOf } from '../../support/chains.ts';

const records = [recordOf(`3 1 1 ${'ab'.repeat(32)}`)];
const DANE = {
  off: { kind: 'none', why: 'off' },
  insecure: { kind: 'none', why: 'insecure' },
  absent: { kind: 'none', why: 'absent' },
  unusable: { kind: 'unusable', base: 'mx.test', records },
  records: { kind: 'records', base: 'mx.test', records, hash: 'h' },
  failed: { kind: 'failed', name: '_25._tcp.mx.test', why: data('SERVFAIL') },
} as const;
const STS = {
  none: { mode: 'none', names: true },
  testing: { mode: 'testing', names: true },
  enforced: { mode: 'enforce', names: true },
  foreign: { mode: 'enforce', names: false },
} as const;
const PLAIN: TlsFacts = {
  ...{ mx: 'mx.test', domain: 'd.test', expanded: 'd.test', named: 'proven', dane: DANE.absent, level: 'opportunistic' },
  modes: { dane: 'on', mtaSts: 'on' },
  message: { requireTls: false, tlsOptional: false },
};
type Change = Partial<Omit<TlsFacts, 'dane' | 'sts'>> & { readonly dane?: keyof typeof DANE; readonly sts?: keyof typeof STS };

function sentence({ dane = 'absent', sts, ...rest }: Change): string {
  const facts: TlsFacts = { ...PLAIN, ...rest, dane: DANE[dane], ...(sts !== undefined && { sts: STS[sts] }) };
  return inEnglish(explainDecision(facts, decideTls(facts)));
}

const OFFERED =
  'mx.test gets mail over TLS if it offers TLS, with any certificate, and else in clear text, because nobody demands more, and';
const MATCH = 'mx.test gets mail only over TLS, with a certificate that matches the TLSA records of mx.test';
const SIGNED = 'these records are signed with DNSSEC (RFC 7672)';
const HALF = 'DANE protects the host alone, as the MX records of d.test are not signed';
const UNUSABLE = 'its TLSA records at mx.test are signed with DNSSEC, but none of them can be used (RFC 7672)';
const STS_ENFORCED = 'the MTA-STS policy of d.test names this host and is enforced (RFC 8461)';
const VALID = 'mx.test gets mail only over TLS, with a valid certificate for mx.test';
const ANY = 'mx.test gets mail only over TLS, with any certificate';
const FOREIGN = 'mx.test gets no mail, because the MTA-STS policy of d.test is enforced and does not name this host (RFC 8461)';
const FAILED =
  'mx.test gets no mail, because its TLSA records could not be looked up at _25._tcp.mx.test (SERVFAIL), and without them nobody knows what DANE demands (RFC 7672)';

describe('what the DNS and the domain’s policy lead to', () => {
  test.each<readonly [Change, string]>([
    [{}, `${OFFERED} it has no TLSA records, and no MTA-STS policy of d.test is known`],
    [{ dane: 'insecure' }, `${OFFERED} its addresses are not signed with DNSSEC, and no MTA-STS policy of d.test is known`],
    [{ dane: 'off' }, `${OFFERED} the resolver of this relay does not validate DNSSEC, and no MTA-STS policy of d.test is known`],
    [{ sts: 'none' }, `${OFFERED} it has no TLSA records, and the MTA-STS policy of d.test has the mode none`],
    [
      { sts: 'testing' },
      `${OFFERED} it has no TLSA records, and the MTA-STS policy of d.test has the mode testing; if the policy that is only tested were obeyed, it would get mail only over TLS, with a valid certificate for mx.test`,
    ],
    [{ sts: 'enforced' }, `${VALID}, because ${STS_ENFORCED}`],
    [{ sts: 'foreign' }, FOREIGN],
    [{ dane: 'unusable' }, `${ANY}, because ${UNUSABLE}`],
    [{ dane: 'unusable', sts: 'enforced' }, `${VALID}, because ${UNUSABLE}, and ${STS_ENFORCED}`],
    [{ dane: 'unusable', sts: 'foreign' }, FOREIGN],
    [{ dane: 'records' }, `${MATCH}, because ${SIGNED}`],
    [
      { dane: 'records', sts: 'enforced' },
      `${MATCH}, because ${SIGNED}, and where DANE decides, the MTA-STS policy of d.test is not applied`,
    ],
    [
      { dane: 'records', sts: 'foreign' },
      `${MATCH}, because ${SIGNED}, and where DANE decides, the MTA-STS policy of d.test is not applied`,
    ],
    [{ dane: 'records', sts: 'testing' }, `${MATCH}, because ${SIGNED}`],
    [{ dane: 'records', named: 'unproven' }, `${MATCH}, because ${SIGNED}, and ${HALF}`],
    [
      { dane: 'records', named: 'unproven', sts: 'enforced' },
      `${MATCH} and a valid certificate for mx.test, because ${SIGNED}, and ${HALF}, and ${STS_ENFORCED}`,
    ],
    [{ dane: 'records', named: 'unproven', sts: 'foreign' }, FOREIGN],
    [{ dane: 'failed' }, FAILED],
    [{ dane: 'failed', sts: 'enforced' }, FAILED],
  ])('%j', (change, expected) => {
    expect(sentence(change)).toBe(expected);
  });
});

describe('what the operator asks for', () => {
  const asked = (what: string) => `this relay is configured to demand ${what}`;
  test.each<readonly [Change, string]>([
    [{ level: 'none' }, 'mx.test gets mail in clear text, because this relay is configured to use no TLS for it'],
    [{ level: 'encrypt' }, `${ANY}, because ${asked('TLS')}`],
    [{ level: 'encrypt', sts: 'enforced' }, `${VALID}, because ${STS_ENFORCED}, and ${asked('TLS')}`],
    [{ level: 'verify' }, `${VALID}, because ${asked('a valid certificate')}`],
    [
      { level: 'verify', names: ['a.test', '*.b.test'] },
      `mx.test gets mail only over TLS, with a valid certificate for a.test or *.b.test, because ${asked('a valid certificate')}`,
    ],
    [
      { level: 'verify', names: ['a.test'], sts: 'enforced' },
      `${VALID} and a valid certificate for a.test, because ${STS_ENFORCED}, and ${asked('a valid certificate')}`,
    ],
    [
      { level: 'verify', dane: 'records' },
      `${MATCH} and a valid certificate for mx.test, because ${SIGNED}, and ${asked('a valid certificate')}`,
    ],
    [{ level: 'dane', dane: 'records' }, `${MATCH}, because ${SIGNED}, and ${asked('DANE')}`],
    [{ level: 'dane' }, `mx.test gets no mail, because ${asked('DANE')}, and it has no TLSA records`],
    [
      { level: 'dane', dane: 'insecure' },
      `mx.test gets no mail, because ${asked('DANE')}, and its addresses are not signed with DNSSEC`,
    ],
    [
      { level: 'dane', dane: 'off' },
      `mx.test gets no mail, because ${asked('DANE')}, and the resolver of this relay does not validate DNSSEC`,
    ],
    [
      { level: 'dane', dane: 'unusable' },
      `mx.test gets no mail, because ${asked('DANE')}, and none of its TLSA records at mx.test can be used`,
    ],
    [
      { level: 'dane', dane: 'records', named: 'unproven' },
      `mx.test gets no mail, because ${asked('DANE')}, and the MX records of d.test are not signed with DNSSEC`,
    ],
    [{ level: 'encrypt', named: 'operator' }, `${ANY}, because ${asked('TLS')}`],
    [{ named: 'operator' }, `${OFFERED} a route of this relay names the host`],
    [{ dane: 'off', modes: { dane: 'off', mtaSts: 'off' } }, `${OFFERED} DANE is off here, and MTA-STS is off here`],
    [
      { dane: 'records', sts: 'foreign', modes: { dane: 'audit', mtaSts: 'audit' } },
      `${OFFERED} DANE is only evaluated here, and MTA-STS is only evaluated here; if the policies that are only evaluated were obeyed, it would get mail only over TLS, with a certificate that matches the TLSA records of mx.test`,
    ],
    [
      { sts: 'foreign', modes: { dane: 'on', mtaSts: 'audit' } },
      `${OFFERED} it has no TLSA records, and MTA-STS is only evaluated here; if the policies that are only evaluated were obeyed, it would get no mail`,
    ],
  ])('%j', (change, expected) => {
    expect(sentence(change)).toBe(expected);
  });
});

test('a message that asks for TLS, or for none of the policies, has its part in the sentence', () => {
  const required = { requireTls: true, tlsOptional: false };
  expect(sentence({ message: required })).toBe(`${VALID}, because the message asks for it (REQUIRETLS)`);
  expect(sentence({ message: required, named: 'unproven' })).toBe(
    'mx.test gets no mail, because the message asks for verified TLS (REQUIRETLS), and nothing proves that this is a host of d.test',
  );
  expect(sentence({ message: { requireTls: false, tlsOptional: true }, dane: 'records' })).toBe(
    `${OFFERED} the message asks that no policies count`,
  );
});
