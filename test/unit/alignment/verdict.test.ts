/** What receivers think of mail with a domain in From: every combination of policy, SPF and signature. RFC 9989 §5.3 */
import { describe, expect, test } from 'vitest';
import { gatherDmarc, judgeSender, type Passes, type SenderVerdict, walkTree } from '../../../src/alignment/alignment.ts';
import { type DmarcZone, type DomainIs, dmarcDns } from '../../support/dmarc-zones.ts';

type Sender = {
  readonly from?: string;
  readonly zone: DmarcZone;
  readonly domainIs?: DomainIs;
  readonly spf?: readonly Passes[];
  readonly envelope?: string;
  readonly keys?: readonly (readonly [domain: string, result: Passes])[];
};

async function judge({ from = 'shop.test', zone, domainIs, spf = ['fail'], envelope = from, keys = [] }: Sender) {
  const dns = dmarcDns(zone, domainIs);
  return judgeSender({
    from: await gatherDmarc(from, dns),
    spf: { walk: await walkTree(envelope, dns), results: spf },
    keys: await Promise.all(keys.map(async ([domain, result]) => ({ walk: await walkTree(domain, dns), result }))),
  });
}

const policy = (tags: string): DmarcZone => ({ 'shop.test': [`v=DMARC1; ${tags}`] });

describe('without alignment, the policy decides', () => {
  test.each<[string, DmarcZone, SenderVerdict]>([
    ['none', policy('p=none'), 'weak'],
    ['no record', {}, 'weak'],
    ['a record without a policy', policy('p=x'), 'weak'],
    ['quarantine', policy('p=quarantine'), 'spam'],
    ['reject', policy('p=reject'), 'rejected'],
    ['reject that is tested', policy('p=reject; t=y'), 'spam'],
    ['no answer', { 'shop.test': 'fault' }, 'unknown'],
  ])('%s', async (_, zone, verdict) => {
    expect(await judge({ zone })).toBe(verdict);
    expect(await judge({ zone, keys: [['other.example', 'pass']], envelope: 'other.example', spf: ['pass'] })).toBe(verdict);
  });
});

describe('SPF and signature under p=reject', () => {
  const lists: readonly (readonly Passes[])[] = [
    ['pass'],
    ['fail'],
    ['unknown'],
    ['pass', 'fail'],
    ['fail', 'unknown'],
    ['pass', 'unknown'],
  ];
  const cases = lists.flatMap((spf) => lists.map((keys) => ({ spf, keys })));

  test.each(cases)('SPF $spf, keys $keys', async ({ spf, keys }) => {
    const has = (list: readonly Passes[], result: Passes) => list.includes(result);
    const expected = has(keys, 'pass')
      ? 'ok'
      : has(keys, 'unknown')
        ? 'unknown'
        : has(spf, 'pass')
          ? 'fragile'
          : has(spf, 'unknown')
            ? 'unknown'
            : 'rejected';
    expect(await judge({ zone: policy('p=reject'), spf, keys: keys.map((result) => ['shop.test', result]) })).toBe(expected);
  });
});

test.each<[promise: string, Sender, SenderVerdict]>([
  ['a key of the parent is enough', { from: 'a.shop.test', zone: policy('p=reject'), keys: [['shop.test', 'pass']] }, 'ok'],
  ['but not with adkim=s', { from: 'a.shop.test', zone: policy('p=reject; adkim=s'), keys: [['shop.test', 'pass']] }, 'rejected'],
  [
    'adkim=s is not for SPF',
    { from: 'a.shop.test', zone: policy('p=reject; adkim=s'), envelope: 'shop.test', spf: ['pass'] },
    'fragile',
  ],
  ['aspf=s is', { from: 'a.shop.test', zone: policy('p=quarantine; aspf=s'), envelope: 'shop.test', spf: ['pass'] }, 'spam'],
  [
    'without a record, the key of a parent is of another organization',
    { from: 'a.shop.test', zone: {}, keys: [['shop.test', 'pass']] },
    'weak',
  ],
  [
    'no answer for the record, but the very name has signed',
    { zone: { 'shop.test': 'fault' }, keys: [['shop.test', 'pass']] },
    'ok',
  ],
  [
    'no answer above, and only a parent has signed',
    { from: 'a.shop.test', zone: { 'shop.test': 'fault' }, keys: [['shop.test', 'pass']] },
    'unknown',
  ],
  [
    'no answer for the record, and a stranger has signed',
    { zone: { 'shop.test': 'fault' }, keys: [['other.example', 'pass']] },
    'unknown',
  ],
  [
    'whether the domain exists is not known, and the policy hangs on it',
    { from: 'a.shop.test', zone: policy('p=none; np=reject'), domainIs: 'fault' },
    'unknown',
  ],
  [
    'the same, but the parent has signed',
    { from: 'a.shop.test', zone: policy('p=none; np=reject'), domainIs: 'fault', keys: [['shop.test', 'pass']] },
    'ok',
  ],
  ['our addresses are not known', { zone: policy('p=reject'), spf: [] }, 'unknown'],
  ['they do not matter for another organization', { zone: policy('p=reject'), spf: [], envelope: 'other.example' }, 'rejected'],
])('%s', async (_, sender, verdict) => {
  expect(await judge(sender)).toBe(verdict);
});
