/** Compares each DKIM key with its published record: RFC 6376 §3.6.1. */
import type { Dns } from '../dns/dns.ts';
import { dkimRecord, lookUpRecord, type PublishedRecord, zoneLine } from '../signing/signing.ts';
import type { DkimKey } from '../store/store.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

export type DkimFacts = {
  readonly domain: string;
  readonly keys: readonly { readonly key: DkimKey; readonly published: PublishedRecord }[];
};

export async function gatherDkim(domain: string, keys: readonly DkimKey[], dns: Dns): Promise<DkimFacts> {
  const own = keys.filter((key) => key.domain === domain);
  return { domain, keys: await Promise.all(own.map(async (key) => ({ key, published: await lookUpRecord(key, dns) }))) };
}

/** True if receivers can verify a signature that we make now; undefined if the DNS did not answer. */
export function isSigned({ keys }: DkimFacts): boolean | undefined {
  const active = keys.filter(({ key }) => key.state === 'active');
  if (active.some(({ published }) => published.state === 'published')) return true;
  return active.some(({ published }) => published.state === 'unknown') ? undefined : false;
}

export function checkDkim(facts: DkimFacts): readonly Finding[] {
  const { domain, keys } = facts;
  if (keys.length === 0)
    return [
      about('dkim', domain)('error', 'no key', 'a key', `Mail of ${domain} leaves unsigned: smarthost domain add ${domain}`),
    ];
  return keys.map((one) => checkKey(facts, one));
}

function checkKey(facts: DkimFacts, { key, published: { state: published, wrong } }: DkimFacts['keys'][number]): Finding {
  const { name } = dkimRecord(key);
  const say = about('dkim', name);
  const wanted = zoneLine(dkimRecord(key));
  const found = `${wrong ?? FOUND[published]} (${key.algorithm}, ${key.state})`;
  if (published === 'published') return say('ok', found, 'the record of our key');
  if (published === 'unknown') return say('unknown', found, wanted, ASK_AGAIN);
  if (key.state === 'retiring')
    return say('warning', found, wanted, 'Queued mail still has its signature: keep the record until the key is removed.');
  const publish = published === 'absent' ? 'Publish this record' : 'Replace what is published by this record';
  if (key.state === 'pending') return say('warning', found, wanted, `${publish}: then the key begins to sign.`);
  // A second signature that cannot be verified does no harm beside one that can.
  if (isSigned(facts)) return say('warning', found, wanted, `${publish}; another key of ${key.domain} verifies.`);
  return say('error', found, wanted, `${publish}: until then receivers cannot verify our signatures.`);
}

const FOUND: Readonly<Record<PublishedRecord['state'], string>> = {
  published: 'published',
  absent: 'no record',
  different: 'a record with another key',
  unknown: 'the DNS gave no answer',
};
