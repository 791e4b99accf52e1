/** Compares each DKIM key with its published record: RFC 6376 §3.6.1. */
import type { DkimFacts, PublishedKey } from '../alignment/alignment.ts';
import { dkimRecord, type PublishedRecord, zoneLine } from '../signing/signing.ts';
import { data, type Phrase, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

export function checkDkim(facts: DkimFacts): readonly Finding[] {
  const { domain, keys, signing } = facts;
  if (keys.length === 0 && signing.length > 0) return [checkKeysAbove(domain, signing)];
  if (keys.length === 0)
    return [
      about('dkim', domain)(
        'error',
        phrase`no key`,
        phrase`a key`,
        phrase`Mail of ${domain} leaves unsigned: smarthost domain add ${domain}`,
      ),
    ];
  return keys.map((one) => checkKey(facts, one));
}

/** What is wrong with the record of such a key is said for its own domain. */
function checkKeysAbove(domain: string, signing: readonly PublishedKey[]): Finding {
  const say = about('dkim', domain);
  const by = signing[0]!.key.domain;
  const found = phrase`no key of its own, so the key of ${by} signs`;
  const states = signing.map(({ published }) => published.state);
  if (states.includes('published')) return say('ok', found, phrase`a key that verifies`);
  if (states.includes('unknown')) return say('unknown', found, phrase`a key that verifies`, ASK_AGAIN);
  return say(
    'error',
    phrase`${found}, which does not verify`,
    phrase`a key that verifies`,
    phrase`Publish the record of the key: smarthost domain show ${by}`,
  );
}

function checkKey(facts: DkimFacts, { key, published: { state: published, wrong } }: DkimFacts['keys'][number]): Finding {
  const { name } = dkimRecord(key);
  const say = about('dkim', name);
  const wanted = data(zoneLine(dkimRecord(key)));
  const found = phrase`${wrong ?? FOUND[published]} (${key.algorithm}, ${key.state})`;
  if (published === 'published') return say('ok', found, phrase`the record of our key`);
  if (published === 'unknown') return say('unknown', found, wanted, ASK_AGAIN);
  if (key.state === 'retiring')
    return say('warning', found, wanted, phrase`Queued mail still has its signature: keep the record until the key is removed.`);
  const publish = published === 'absent' ? phrase`Publish this record` : phrase`Replace what is published by this record`;
  if (key.state === 'pending') return say('warning', found, wanted, phrase`${publish}: then the key begins to sign.`);
  // A second signature that cannot be verified does no harm beside one that can.
  if (facts.signing.some((one) => one.published.state === 'published'))
    return say('warning', found, wanted, phrase`${publish}; another key of ${key.domain} verifies.`);
  return say('error', found, wanted, phrase`${publish}: until then receivers cannot verify our signatures.`);
}

const FOUND: Readonly<Record<PublishedRecord['state'], Phrase>> = {
  published: phrase`published`,
  absent: phrase`no record`,
  different: phrase`a record with another key`,
  unknown: phrase`the DNS gave no answer`,
};
