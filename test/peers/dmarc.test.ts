/** mailauth's evaluation of DMARC and ours, on the same zones: RFC 9989 §4.10. */
import { evaluateDmarc } from 'mailauth/lib/dmarc/index.js';
import { describe, expect, test } from 'vitest';
import { gatherDmarc, isAligned, policyOf, walkTree } from '../../src/alignment/alignment.ts';
import { DMARC_CASES, type DmarcZone, type DomainIs, dmarcDns } from '../support/dmarc-zones.ts';

type Question = {
  readonly domain: string;
  readonly zone: DmarcZone;
  readonly domainIs?: DomainIs | undefined;
  /** A name that DKIM has verified. */
  readonly signer?: string;
};

/** By mailauth, strict about the form of records: where the policy is from, what it asks, and the result. */
async function byMailauth({ domain, zone, domainIs, signer }: Question) {
  const dns = dmarcDns(zone, domainIs);
  const resolver = async (name: string, type: string) => {
    if (type === 'CNAME') {
      if (domainIs === 'dangling') return ['gone.example'];
      throw Object.assign(new Error('no alias'), { code: 'ENOTFOUND' });
    }
    const answer = await (type === 'TXT' ? dns.txt(name) : dns.a(name));
    if (answer.kind === 'found') return type === 'TXT' ? answer.values.map((text) => [text]) : answer.values;
    const code = { none: 'ENODATA', nxdomain: 'ENOTFOUND', temporary: 'ESERVFAIL' }[answer.kind];
    throw Object.assign(new Error(code), { code });
  };
  const dkimDomains = signer === undefined ? [] : [{ domain: signer }];
  const { response } = await evaluateDmarc({ headerFrom: `x@${domain}`, dkimDomains, resolver, strict: true } as never);
  if (response === false) throw new Error(`no response for ${domain}`);
  const { status, policy, policyDomain } = response as unknown as {
    status: { result: string };
    policy?: string;
    policyDomain?: string;
  };
  const { result } = status;
  return { result, policy: result === 'none' ? 'none' : result === 'temperror' ? 'unknown' : `${policyDomain}: ${policy}` };
}

async function byUs({ domain, zone, domainIs, signer }: Question) {
  const dns = dmarcDns(zone, domainIs);
  const facts = await gatherDmarc(domain, dns);
  const found = policyOf(facts);
  if (found.kind !== 'found') return { result: found.kind === 'none' ? 'none' : 'temperror', policy: found.kind };
  const aligned = signer !== undefined && isAligned(facts.walk, await walkTree(signer, dns), found.record.dkim);
  const result = aligned === undefined ? 'temperror' : aligned ? 'pass' : 'fail';
  return { result, policy: aligned === undefined ? 'unknown' : `${found.at}: ${found.action}` };
}

test.each(DMARC_CASES)('mailauth has the same policy: $promise', async ({ policy, ...question }) => {
  expect((await byMailauth(question)).policy).toBe(policy);
});

describe('every combination of two records, a signature and what the DNS says', () => {
  const PLACES = ['a.b.shop.test', 'b.shop.test', 'shop.test', 'test'];
  const POLICIES = ['p=reject', 'p=none; sp=reject', 'p=quarantine; np=reject', 'p=reject; sp=none; np=quarantine', 'p=x', ''];
  const OTHERS = ['', 'psd=n', 'psd=y', 't=y; adkim=s', 'psd=y; rua=mailto:x@y.test; t=y'];
  const SIGNERS = [undefined, 'a.b.shop.test', 'shop.test', 'c.shop.test', 'other.test'];
  const records = POLICIES.flatMap((policy) => OTHERS.map((other) => `v=DMARC1; ${policy}; ${other}`));

  test.each(PLACES.flatMap((one, i) => PLACES.slice(i + 1).map((two) => [one, two] as const)))(
    'at %s and %s',
    async (one, two) => {
      const differences: unknown[] = [];
      let step = 0;
      for (const lower of records) {
        for (const upper of [...records, 'fault'] as const) {
          // Each pair of records has another signer and another kind of name in turn: 5 and 4 have no common divisor.
          step += 1;
          const signer = SIGNERS[step % SIGNERS.length];
          const domainIs = (['there', 'empty', 'missing', 'dangling'] as const)[step % 4];
          const zone = { [one]: [lower], [two]: upper === 'fault' ? 'fault' : [upper] } as const;
          const question = { domain: 'a.b.shop.test', zone, domainIs, ...(signer === undefined ? {} : { signer }) };
          const [ours, theirs] = [await byUs(question), await byMailauth(question)];
          if (ours.result !== theirs.result || ours.policy !== theirs.policy) differences.push({ question, ours, theirs });
        }
      }
      expect(differences).toEqual([]);
    },
  );
});
