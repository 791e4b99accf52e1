/** Compares each DKIM key with its published record: RFC 6376 §3.6.1. */
import type { Dns } from '../dns/dns.ts';
import { dkimRecord, lookUpRecord, type PublishedRecord, zoneLine } from '../signing/signing.ts';
import type { DkimKey } from '../store/store.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

type PublishedKey = { readonly key: DkimKey; readonly published: PublishedRecord };

export type DkimFacts = {
  readonly domain: string;
  /** The keys of the domain itself. */
  readonly keys: readonly PublishedKey[];
  /** The keys that sign its mail: its own active ones, else those of the nearest domain above that has some. */
  readonly signing: readonly PublishedKey[];
};

export async function gatherDkim(domain: string, keys: readonly DkimKey[], dns: Dns): Promise<DkimFacts> {
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

export function checkDkim(facts: DkimFacts): readonly Finding[] {
  const { domain, keys, signing } = facts;
  if (keys.length === 0 && signing.length > 0) return [checkKeysAbove(domain, signing)];
  if (keys.length === 0)
    return [
      about('dkim', domain)('error', 'no key', 'a key', `Mail of ${domain} leaves unsigned: smarthost domain add ${domain}`),
    ];
  return keys.map((one) => checkKey(facts, one));
}

/** What is wrong with the record of such a key is said for its own domain. */
function checkKeysAbove(domain: string, signing: readonly PublishedKey[]): Finding {
  const say = about('dkim', domain);
  const by = signing[0]!.key.domain;
  const found = `no key of its own, so the key of ${by} signs`;
  const states = signing.map(({ published }) => published.state);
  if (states.includes('published')) return say('ok', found, 'a key that verifies');
  if (states.includes('unknown')) return say('unknown', found, 'a key that verifies', ASK_AGAIN);
  return say(
    'error',
    `${found}, which does not verify`,
    'a key that verifies',
    `Publish the record of the key: smarthost domain show ${by}`,
  );
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
  if (facts.signing.some((one) => one.published.state === 'published'))
    return say('warning', found, wanted, `${publish}; another key of ${key.domain} verifies.`);
  return say('error', found, wanted, `${publish}: until then receivers cannot verify our signatures.`);
}

const FOUND: Readonly<Record<PublishedRecord['state'], string>> = {
  published: 'published',
  absent: 'no record',
  different: 'a record with another key',
  unknown: 'the DNS gave no answer',
};
