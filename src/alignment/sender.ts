/** Gathers what the verdict about mail of a domain follows from: its DMARC policy, the keys that sign, and SPF of our addresses. RFC 9989 §5.3 */
import type { Dns } from '../dns/dns.ts';
import { lookUpRecord, type PublishedRecord } from '../signing/signing.ts';
import type { DkimKey } from '../store/store.ts';
import { type DmarcFacts, gatherDmarc } from './dmarc-policy.ts';
import { gatherSpf, type SpfFacts, spfPasses } from './spf.ts';
import { type TreeWalk, walkTree } from './tree-walk.ts';
import type { Passes, SenderFacts } from './verdict.ts';

export type PublishedKey = { readonly key: DkimKey; readonly published: PublishedRecord };

export type DkimFacts = {
  readonly domain: string;
  /** The keys of the domain itself. */
  readonly keys: readonly PublishedKey[];
  /** The keys that sign its mail: its own active ones, else those of the nearest domain above that has some. */
  readonly signing: readonly PublishedKey[];
};

async function gatherDkim(domain: string, keys: readonly DkimKey[], dns: Dns): Promise<DkimFacts> {
  const look = (wanted: readonly DkimKey[]) =>
    Promise.all(wanted.map(async (key) => ({ key, published: await lookUpRecord(key, dns) })));
  const own = await look(keys.filter((key) => key.domain === domain));
  const active = own.filter(isActive);
  if (active.length > 0) return { domain, keys: own, signing: active };
  const above = keys.filter((key) => key.state === 'active' && domain.endsWith(`.${key.domain}`));
  const nearest = Math.max(...above.map((key) => key.domain.length));
  return { domain, keys: own, signing: await look(above.filter((key) => key.domain.length === nearest)) };
}

const isActive = ({ key }: PublishedKey) => key.state === 'active';

export type SenderQuestion = {
  readonly domain: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly keys: readonly DkimKey[];
  readonly dns: Dns;
  /** Most milliseconds for the evaluation of SPF. */
  readonly timeout: number;
};

export type GatheredSender = {
  readonly spf: SpfFacts;
  readonly dkim: DkimFacts;
  readonly dmarc: DmarcFacts;
  /** Of the domain whose keys sign. */
  readonly signer: TreeWalk;
};

/** For mail whose envelope sender has the domain of From. Rejects only if a look-up does. */
export async function gatherSender(question: SenderQuestion): Promise<GatheredSender> {
  const { domain, keys, dns } = question;
  const [spf, dkim, dmarc] = await Promise.all([gatherSpf(question), gatherDkim(domain, keys, dns), gatherDmarc(domain, dns)]);
  const by = dkim.signing[0]?.key.domain ?? domain;
  const signer = by === domain ? dmarc.walk : await walkTree(by, dns);
  return { spf, dkim, dmarc, signer };
}

/** What the verdict of receivers follows from. The envelope sender and From have the same domain. */
export function senderOf({ spf, dkim, dmarc, signer }: GatheredSender): SenderFacts {
  return {
    from: dmarc,
    spf: { walk: dmarc.walk, results: spfPasses(spf) },
    keys: dkim.signing.map(({ published }) => ({ walk: signer, result: PASSES[published.state] })),
  };
}

/** What a look at the record of a key says about its signatures. */
export const PASSES: Readonly<Record<PublishedRecord['state'], Passes>> = {
  published: 'pass',
  absent: 'fail',
  different: 'fail',
  unknown: 'unknown',
};
