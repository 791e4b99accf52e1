/** The records of one sending domain beside what the DNS has, each with what an operator should do. RFC 6376 §3.6.1, RFC 7208 §3, RFC 9989 §4 */
import { isSpf, wantedSpf } from '../alignment/alignment.ts';
import { type DnsAnswer, presentText } from '../dns/dns.ts';
import { dkimRecord, zoneLine } from '../signing/signing.ts';
import type { Phrase } from '../system/phrase.ts';
import type { DomainFacts } from './domain.ts';
import type { Finding } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

const TTL = 3600;

/** `wanted`: whole and unquoted. null: it is somebody else's to say. `found`: all that stands there; null: the DNS gave no answer. */
export type CheckedRecord = {
  readonly purpose: 'dkim' | 'spf' | 'dmarc' | 'mx';
  readonly name: string;
  readonly type: 'TXT' | 'MX';
  /** Seconds. */
  readonly ttl: number;
  readonly wanted: string | null;
  /** `wanted` as a line of a zone file, with strings of at most 255 octets. */
  readonly line: string | null;
  readonly found: readonly string[] | null;
  readonly result: Finding['result'];
  readonly advice: string;
  /** `advice`, to be said in another language. */
  readonly phrase: Phrase | null;
};

type Stands = {
  readonly facts: DomainFacts;
  readonly findings: readonly Finding[];
  readonly hostname: string;
  /** What stands at the names of the keys, and at that of DMARC. */
  readonly texts: ReadonlyMap<string, DnsAnswer<string>>;
};

/** The names to look up for `describeRecords`. */
export function namesOfTexts({ spf: { domain }, dkim }: DomainFacts): readonly string[] {
  return [...dkim.keys.map(({ key }) => dkimRecord(key).name), `_dmarc.${domain}`];
}

/** In the order in which an operator sets them. */
export function describeRecords({ facts, findings, hostname, texts }: Stands): readonly CheckedRecord[] {
  const { spf, dkim, mail } = facts;
  const { domain } = spf;
  const said = (check: string, subject: string) => {
    const found = findings.find((one) => one.check === check && one.subject === subject);
    return { result: found?.result ?? 'unknown', advice: found?.advice ?? '', phrase: found?.phrases.advice ?? null } as const;
  };
  const txt = (record: Pick<CheckedRecord, 'purpose' | 'name'>, wanted: string, found: CheckedRecord['found']) => ({
    ...{ ...record, type: 'TXT' as const, ttl: TTL, wanted: presentText(wanted), found: found?.map(presentText) ?? null },
    line: zoneLine({ name: record.name, type: 'TXT', ttl: TTL, value: wanted }),
  });
  const at = (name: string) => answerOf(texts.get(name));
  const dmarc = `_dmarc.${domain}`;
  const records = answerOf(spf.txt)?.filter(isSpf) ?? null;
  const policies = at(dmarc);
  return [
    ...dkim.keys.map(({ key }) => {
      const { name, value } = dkimRecord(key);
      return { ...txt({ purpose: 'dkim', name }, value, at(name)), ...said('dkim', name) };
    }),
    {
      ...txt({ purpose: 'spf', name: domain }, wantedSpf(records?.[0], { domain, hostname }), records),
      ...said('spf', domain),
    },
    {
      // A policy that works is the domain's own affair.
      ...txt({ purpose: 'dmarc', name: dmarc }, wantedPolicy(policies, said('dmarc', domain).result), policies),
      ...said('dmarc', domain),
    },
    ...(mail === undefined
      ? []
      : [
          {
            ...({ purpose: 'mx', name: domain, type: 'MX', ttl: TTL, wanted: null, line: null } as const),
            found: answerOf(mail.mx)?.map(({ preference, exchange }) => `${preference} ${exchange}.`) ?? null,
            ...said('mx', domain),
          },
        ]),
  ];
}

function wantedPolicy(found: readonly string[] | null, result: Finding['result']): string {
  return result === 'ok' && found?.[0] !== undefined ? found[0] : 'v=DMARC1; p=none';
}

function answerOf<T>(answer: DnsAnswer<T> | undefined): readonly T[] | null {
  return answer === undefined || answer.kind === 'temporary' ? null : valuesOf(answer);
}
