/** Zones with DMARC records, and the policy that holds in each: for our reader and for a foreign one. RFC 9989 §4.10 */
import type { DnsAnswer } from '../../src/dns/dns.ts';
import { data } from '../../src/system/phrase.ts';

/** TXT records at `_dmarc` below each name. */
export type DmarcZone = Readonly<Record<string, readonly string[] | 'fault'>>;

export type DmarcCase = {
  readonly promise: string;
  readonly domain: string;
  readonly zone: DmarcZone;
  /** Where the policy is from and what it asks; `none` without DMARC; `unknown` after a failed look-up. */
  readonly policy: `${string}: ${'none' | 'quarantine' | 'reject'}` | 'none' | 'unknown';
  /** Undefined: not known. */
  readonly organization: string | undefined;
  /** What the A look-up of the domain says. `dangling`: an alias to a name that does not exist. */
  readonly domainIs?: DomainIs;
};

export type DomainIs = 'there' | 'empty' | 'missing' | 'dangling' | 'fault';

const of = (...tags: string[]) => [['v=DMARC1', ...tags].join('; ')];
const reject = of('p=reject');
const LONG = 'a.b.c.d.e.f.g.h.i.j.test';
const [NP, RUA] = [of('p=reject', 'sp=quarantine', 'np=none'), 'rua=mailto:dmarc@shop.test'];

type Row = readonly [
  promise: string,
  domain: string,
  zone: DmarcZone,
  policy: DmarcCase['policy'],
  organization: string | undefined,
  domainIs?: DomainIs,
];

const ROWS: readonly Row[] = [
  // which record counts
  ['no record at all', 'a.shop.test', {}, 'none', 'a.shop.test'],
  ['a record of its own', 'shop.test', { 'shop.test': reject }, 'shop.test: reject', 'shop.test'],
  [
    'its own before that above',
    'a.shop.test',
    { 'a.shop.test': of('p=none'), 'shop.test': reject },
    'a.shop.test: none',
    'shop.test',
  ],
  ['the parent', 'a.shop.test', { 'shop.test': reject }, 'shop.test: reject', 'shop.test'],
  [
    'the shortest name above',
    'a.b.shop.test',
    { 'b.shop.test': of('p=none'), 'shop.test': reject },
    'shop.test: reject',
    'shop.test',
  ],
  [
    'psd=n above ends the walk',
    'a.b.shop.test',
    { 'b.shop.test': of('p=none', 'psd=n'), 'shop.test': reject },
    'b.shop.test: none',
    'b.shop.test',
  ],
  [
    'psd=n of its own',
    'a.shop.test',
    { 'a.shop.test': of('p=none', 'psd=n'), 'shop.test': reject },
    'a.shop.test: none',
    'a.shop.test',
  ],
  [
    'the organization lies below psd=y',
    'a.b.shop.test',
    { 'b.shop.test': of('p=none'), 'shop.test': of('p=reject', 'psd=y') },
    'b.shop.test: none',
    'b.shop.test',
  ],
  [
    'a record above psd=y is not asked for',
    'a.shop.test',
    { 'shop.test': of('p=none', 'psd=y'), test: reject },
    'shop.test: none',
    'a.shop.test',
  ],
  ['a public suffix alone', 'a.b.shop.test', { test: of('p=reject', 'psd=y') }, 'test: reject', 'shop.test'],
  [
    'records below the organization do not count',
    'a.b.shop.test',
    { 'b.shop.test': of('p=none'), test: of('p=reject', 'psd=y') },
    'test: reject',
    'shop.test',
  ],
  [
    'psd=y at the domain itself',
    'shop.test',
    { 'shop.test': of('p=reject', 'psd=y'), test: of('p=none') },
    'shop.test: reject',
    'shop.test',
  ],
  [
    'psd=u is no boundary',
    'a.b.shop.test',
    { 'b.shop.test': of('p=none', 'psd=u'), 'shop.test': reject },
    'shop.test: reject',
    'shop.test',
  ],
  ['psd=Y in upper case', 'a.shop.test', { test: of('P=reject', 'p=reject', 'psd=Y') }, 'test: reject', 'shop.test'],
  // several, or none that is valid
  ['two records count as none', 'shop.test', { 'shop.test': [...reject, ...of('p=none')] }, 'none', 'shop.test'],
  [
    'two records: that above holds',
    'a.shop.test',
    { 'a.shop.test': [...reject, ...reject], 'shop.test': reject },
    'shop.test: reject',
    'shop.test',
  ],
  [
    'two records above: that below holds',
    'a.b.shop.test',
    { 'b.shop.test': reject, 'shop.test': [...reject, ...reject] },
    'b.shop.test: reject',
    'b.shop.test',
  ],
  ['other texts beside it', 'shop.test', { 'shop.test': ['v=spf1 -all', 'hello', ...reject] }, 'shop.test: reject', 'shop.test'],
  ['a later version', 'shop.test', { 'shop.test': ['v=DMARC2; p=reject'] }, 'none', 'shop.test'],
  ['a version in lower case', 'shop.test', { 'shop.test': ['v=dmarc1; p=reject'] }, 'none', 'shop.test'],
  ['a version that is not first', 'shop.test', { 'shop.test': ['p=reject; v=DMARC1'] }, 'none', 'shop.test'],
  [
    'a tag twice',
    'a.shop.test',
    { 'a.shop.test': of('p=none', 'p=none'), 'shop.test': reject },
    'shop.test: reject',
    'shop.test',
  ],
  // how it is written
  ['blanks around signs', 'shop.test', { 'shop.test': ['V = DMARC1 ;\tp = Reject ;; '] }, 'shop.test: reject', 'shop.test'],
  [
    'unknown tags',
    'shop.test',
    { 'shop.test': of('x=1', 'p=reject', 'pct=0', 'rf=afrf', 'ri=1', '__proto__=1', 'nonsense', '=', '1=') },
    'shop.test: reject',
    'shop.test',
  ],
  ['a blank inside of a value', 'shop.test', { 'shop.test': of('p=re ject') }, 'none', 'shop.test'],
  // no valid policy
  ['no p', 'shop.test', { 'shop.test': of() }, 'none', 'shop.test'],
  ['no p, reports wanted', 'shop.test', { 'shop.test': of(RUA) }, 'shop.test: none', 'shop.test'],
  ['no p, a URI that is none', 'shop.test', { 'shop.test': of('rua=dmarc@shop.test, mailto:a b') }, 'none', 'shop.test'],
  [
    'no p, one URI of several',
    'shop.test',
    { 'shop.test': of('rua=x,mailto:d%40x@shop.test!10m') },
    'shop.test: none',
    'shop.test',
  ],
  ['an invalid p', 'shop.test', { 'shop.test': of('p=maybe') }, 'none', 'shop.test'],
  [
    'an invalid p, reports wanted',
    'a.shop.test',
    { 'shop.test': of('p=maybe', 'sp=reject', RUA) },
    'shop.test: none',
    'shop.test',
  ],
  ['an invalid sp', 'shop.test', { 'shop.test': of('p=reject', 'sp=') }, 'none', 'shop.test'],
  ['an invalid np, reports wanted', 'shop.test', { 'shop.test': of('p=reject', 'np=x', RUA) }, 'shop.test: none', 'shop.test'],
  ['no p: that above is not asked instead', 'a.shop.test', { 'a.shop.test': of(), 'shop.test': reject }, 'none', 'shop.test'],
  // p, sp, np
  ['sp holds below', 'a.shop.test', { 'shop.test': of('p=reject', 'sp=none') }, 'shop.test: none', 'shop.test'],
  [
    'sp does not hold for the domain itself',
    'shop.test',
    { 'shop.test': of('p=reject', 'sp=none', 'np=none') },
    'shop.test: reject',
    'shop.test',
    'missing',
  ],
  ['np: the domain exists', 'a.shop.test', { 'shop.test': NP }, 'shop.test: quarantine', 'shop.test', 'there'],
  ['np: the domain exists without A records', 'a.shop.test', { 'shop.test': NP }, 'shop.test: quarantine', 'shop.test', 'empty'],
  ['np: the domain does not exist', 'a.shop.test', { 'shop.test': NP }, 'shop.test: none', 'shop.test', 'missing'],
  [
    'np: an alias exists, though its target does not',
    'a.shop.test',
    { 'shop.test': NP },
    'shop.test: quarantine',
    'shop.test',
    'dangling',
  ],
  ['np: no answer', 'a.shop.test', { 'shop.test': NP }, 'unknown', 'shop.test', 'fault'],
  [
    'no answer, but np says the same',
    'a.shop.test',
    { 'shop.test': of('p=none', 'sp=reject', 'np=reject') },
    'shop.test: reject',
    'shop.test',
    'fault',
  ],
  [
    'without np, sp holds for what does not exist',
    'a.shop.test',
    { 'shop.test': of('p=none', 'sp=reject') },
    'shop.test: reject',
    'shop.test',
    'missing',
  ],
  ['without both, p', 'a.shop.test', { 'shop.test': reject }, 'shop.test: reject', 'shop.test', 'missing'],
  ['np of a public suffix', 'shop.test', { test: of('p=none', 'np=reject', 'psd=y') }, 'test: reject', 'shop.test', 'missing'],
  // t
  ['t=y: reject', 'shop.test', { 'shop.test': of('p=reject', 't=y') }, 'shop.test: quarantine', 'shop.test'],
  ['t=y: quarantine', 'shop.test', { 'shop.test': of('p=quarantine', 't=Y') }, 'shop.test: none', 'shop.test'],
  ['t=y: none', 'shop.test', { 'shop.test': of('p=none', 't=y') }, 'shop.test: none', 'shop.test'],
  ['t=y: sp', 'a.shop.test', { 'shop.test': of('p=none', 'sp=reject', 't=y') }, 'shop.test: quarantine', 'shop.test'],
  ['t=n', 'shop.test', { 'shop.test': of('p=reject', 't=n') }, 'shop.test: reject', 'shop.test'],
  // long names
  [
    'eleven labels: the last seven are asked',
    LONG,
    { 'e.f.g.h.i.j.test': reject },
    'e.f.g.h.i.j.test: reject',
    'e.f.g.h.i.j.test',
  ],
  [
    'eleven labels: those between are not',
    LONG,
    { 'b.c.d.e.f.g.h.i.j.test': reject, 'd.e.f.g.h.i.j.test': reject },
    'none',
    LONG,
  ],
  [
    'eight labels: the last seven are its parent',
    'd.e.f.g.h.i.j.test',
    { 'e.f.g.h.i.j.test': reject },
    'e.f.g.h.i.j.test: reject',
    'e.f.g.h.i.j.test',
  ],
  [
    'eleven labels below a public suffix of seven',
    LONG,
    { 'e.f.g.h.i.j.test': of('p=reject', 'psd=y') },
    'e.f.g.h.i.j.test: reject',
    'd.e.f.g.h.i.j.test',
  ],
  ['one label', 'test', { test: reject }, 'test: reject', 'test'],
  // look-ups that fail
  ['no answer for the domain', 'a.shop.test', { 'a.shop.test': 'fault', 'shop.test': reject }, 'unknown', undefined],
  ['no answer above', 'a.b.shop.test', { 'b.shop.test': reject, 'shop.test': 'fault' }, 'unknown', undefined],
  [
    'no answer above a record of its own',
    'a.shop.test',
    { 'a.shop.test': reject, 'shop.test': 'fault' },
    'a.shop.test: reject',
    undefined,
  ],
  [
    'no answer above the end of the walk',
    'a.shop.test',
    { 'shop.test': of('p=reject', 'psd=n'), test: 'fault' },
    'shop.test: reject',
    'shop.test',
  ],
];

export const DMARC_CASES: readonly DmarcCase[] = ROWS.map(([promise, domain, zone, policy, organization, domainIs]) => ({
  promise,
  domain,
  zone,
  policy,
  organization,
  ...(domainIs === undefined ? {} : { domainIs }),
}));

/** A DNS with such a zone, and the TXT questions that it was asked. */
export function dmarcDns(zone: DmarcZone, domainIs: DomainIs = 'there') {
  const asked: string[] = [];
  return {
    asked,
    txt: async (name: string): Promise<DnsAnswer<string>> => {
      asked.push(name);
      const values = name.startsWith('_dmarc.') ? zone[name.slice('_dmarc.'.length)] : undefined;
      if (values === undefined) return { kind: 'nxdomain' };
      return values === 'fault' ? { kind: 'temporary', why: data('SERVFAIL') } : { kind: 'found', values };
    },
    a: async (name: string): Promise<DnsAnswer<string> & { readonly name?: string }> => ADDRESS[domainIs](name),
  };
}

const ADDRESS: Readonly<Record<DomainIs, (name: string) => DnsAnswer<string> & { readonly name?: string }>> = {
  there: (name) => ({ kind: 'found', values: ['192.0.2.1'], name }),
  empty: (name) => ({ kind: 'none', name }),
  missing: (name) => ({ kind: 'nxdomain', name }),
  dangling: () => ({ kind: 'nxdomain', name: 'gone.example' }),
  fault: () => ({ kind: 'temporary', why: data('SERVFAIL') }),
};
