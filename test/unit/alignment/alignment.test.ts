/** Which DMARC policy holds for a domain, and which names are aligned with it: RFC 9989 §4.4, §4.10. */
import { describe, expect, test } from 'vitest';
import { gatherDmarc, isAligned, organizationOf, policyOf, walkTree } from '../../../src/alignment/alignment.ts';
import { DMARC_CASES, type DmarcZone, dmarcDns } from '../../support/dmarc-zones.ts';

describe('the policy of a domain', () => {
  test.each(DMARC_CASES)('$promise', async ({ domain, zone, domainIs, policy, organization }) => {
    const dns = dmarcDns(zone, domainIs);
    const facts = await gatherDmarc(domain, dns);
    const found = policyOf(facts);
    expect(found.kind === 'found' ? `${found.at}: ${found.action}` : found.kind).toBe(policy);
    expect(organizationOf(facts.walk)).toBe(organization);
    expect(dns.asked.length).toBeLessThanOrEqual(8);
  });

  test('a long name continues with its last seven labels, so that it needs eight questions', async () => {
    const dns = dmarcDns({});
    await walkTree('a.b.c.d.e.f.g.h.i.j.test', dns);
    const names = ['a.b.c.d.e.f.g.h.i.j.test', 'e.f.g.h.i.j.test', 'f.g.h.i.j.test', 'g.h.i.j.test', 'h.i.j.test', 'i.j.test'];
    expect(dns.asked).toEqual([...names, 'j.test', 'test'].map((name) => `_dmarc.${name}`));
  });

  test('whether the domain exists is asked only if the policy depends on it', async () => {
    const asked: string[] = [];
    const gather = (domain: string, record: string) => {
      const dns = dmarcDns({ 'shop.test': [record] });
      const a = (name: string) => {
        asked.push(name);
        return dns.a(name);
      };
      return gatherDmarc(domain, { ...dns, a });
    };
    await gather('a.shop.test', 'v=DMARC1; p=reject; sp=none');
    await gather('a.shop.test', 'v=DMARC1; p=reject; np=reject');
    await gather('shop.test', 'v=DMARC1; p=reject; np=none');
    expect(asked).toEqual([]);
    await gather('a.shop.test', 'v=DMARC1; p=reject; np=none');
    expect(asked).toEqual(['a.shop.test']);
  });

  test('a domain literal has no policy, and nothing is asked', async () => {
    const dns = dmarcDns({});
    expect(policyOf(await gatherDmarc('[192.0.2.1]', dns))).toEqual({ kind: 'none' });
    expect(dns.asked).toEqual([]);
  });
});

describe('alignment', () => {
  const SHOP: DmarcZone = { 'shop.test': ['v=DMARC1; p=reject'] };
  const BOTH: DmarcZone = { ...SHOP, 'a.shop.test': ['v=DMARC1; p=none; psd=n'] };
  const SUFFIX: DmarcZone = { test: ['v=DMARC1; p=none; psd=y'] };

  test.each<[promise: string, from: string, verified: string, DmarcZone, relaxed: boolean | undefined]>([
    ['the same name', 'shop.test', 'shop.test', {}, true],
    ['a name below', 'shop.test', 'mail.shop.test', SHOP, true],
    ['a name above', 'mail.shop.test', 'shop.test', SHOP, true],
    ['two names of one organization', 'a.shop.test', 'b.c.shop.test', SHOP, true],
    ['another organization', 'shop.test', 'other.test', SHOP, false],
    ['a name with the same end', 'shop.test', 'workshop.test', SHOP, false],
    ['without any record', 'a.shop.test', 'shop.test', {}, false],
    ['a part that is an organization of its own', 'shop.test', 'a.shop.test', BOTH, false],
    ['inside of that part', 'a.shop.test', 'x.a.shop.test', BOTH, true],
    ['two names below one public suffix', 'shop.test', 'other.test', SUFFIX, false],
    ['one organization below it', 'a.shop.test', 'b.shop.test', SUFFIX, true],
    ['no answer for a name below', 'shop.test', 'a.shop.test', { ...SHOP, 'a.shop.test': 'fault' }, undefined],
    ['no answer for a name elsewhere', 'shop.test', 'a.other.test', { ...SHOP, 'other.test': 'fault' }, false],
    ['no answer for From', 'a.shop.test', 'shop.test', { ...SHOP, 'a.shop.test': 'fault' }, undefined],
    ['no answer for From, the other is elsewhere', 'a.shop.test', 'other.test', { 'a.shop.test': 'fault' }, false],
    ['no answer for both', 'a.shop.test', 'b.shop.test', { 'shop.test': 'fault' }, undefined],
    ['no answer for both, with nothing in common', 'shop.test', 'shop.example', { test: 'fault', example: 'fault' }, false],
    ['no answer, but the same name', 'shop.test', 'shop.test', { 'shop.test': 'fault' }, true],
  ])('relaxed: %s', async (_, from, verified, zone, relaxed) => {
    const [ours, theirs] = [await walkTree(from, dmarcDns(zone)), await walkTree(verified, dmarcDns(zone))];
    expect(isAligned(ours, theirs, 'relaxed')).toBe(relaxed);
    expect(isAligned(ours, theirs, 'strict')).toBe(from === verified);
  });
});
