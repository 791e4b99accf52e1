/** The keys that sign now, as the store has them, ready for use: a key is parsed once, not for every message. */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Emit } from '../events/events.ts';
import type { DkimKey, OperationStore } from '../store/store.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';

export type LoadedKey = {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimKey['algorithm'];
  /** `selector._domainkey.domain` */
  readonly name: string;
  readonly key: KeyObject;
};

type KeyRing = {
  /**
   * Active keys of the domain or of its nearest parent that has some, RSA first; one of each algorithm, the newest.
   * A promise only where the store had to be asked.
   */
  keysFor(domain: string): readonly LoadedKey[] | Promise<readonly LoadedKey[]>;
  /** The store was changed: ask it at the next use. */
  forget(): void;
};

type KeyRingOptions = {
  readonly operation: Pick<OperationStore, 'dkimKeys'>;
  readonly warn: Emit;
  readonly now?: Clock;
};

/** A change of keys by a command is seen within this time. */
const KEEP = 2 * SECOND;
/** Verifiers refuse what is shorter: RFC 8301 §3.2. */
const MIN_RSA_BITS = 1024;
const GOOD_RSA_BITS = 2048;

export function createKeyRing({ operation, warn, now = systemClock }: KeyRingOptions): KeyRing {
  let active = new Map<string, readonly DkimKey[]>();
  let ready = new Map<string, LoadedKey>();
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    const at = now();
    const mine = loading;
    try {
      const keys = await operation.dkimKeys();
      active = newestActive(keys);
      const current = new Set(keys.map((key) => key.privateKey));
      ready = new Map([...ready].filter(([pem]) => current.has(pem)));
      if (loading === mine) loadedAt = at;
    } finally {
      if (loading === mine) loading = undefined;
    }
  }

  function pick(domain: string): readonly LoadedKey[] {
    // Only domains that the operator gave a key are found, so this walk never ends at a public suffix.
    for (let name = domain; name !== ''; name = parentOf(name)) {
      const keys = active.get(name);
      if (keys !== undefined) return keys.map(prepare);
    }
    return [];
  }

  function prepare(key: DkimKey): LoadedKey {
    const known = ready.get(key.privateKey);
    if (known !== undefined && known.selector === key.selector && known.domain === key.domain) return known;
    const signing = toSigningKey(key, warn);
    ready.set(key.privateKey, signing);
    return signing;
  }

  return {
    keysFor(domain) {
      const age = now() - loadedAt;
      if (age >= 0 && age < KEEP) return pick(domain);
      loading ??= Promise.resolve().then(load);
      return loading.then(() => pick(domain));
    },
    forget() {
      loadedAt = Number.NEGATIVE_INFINITY;
      loading = undefined; // what is under way may have read the old state
    },
  };
}

/** By domain, RSA before Ed25519: a verifier that looks at one signature only must find the one it understands. */
function newestActive(keys: readonly DkimKey[]): Map<string, readonly DkimKey[]> {
  const byDomain = new Map<string, DkimKey[]>();
  const newestFirst = keys.filter(({ state }) => state === 'active').sort((a, b) => b.createdAt - a.createdAt);
  for (const key of newestFirst) {
    const same = byDomain.get(key.domain) ?? [];
    if (same.some(({ algorithm }) => algorithm === key.algorithm)) continue;
    if (key.algorithm === 'rsa-sha256') same.unshift(key);
    else same.push(key);
    byDomain.set(key.domain, same);
  }
  return byDomain;
}

function toSigningKey({ domain, selector, algorithm, privateKey }: DkimKey, warn: KeyRingOptions['warn']): LoadedKey {
  const name = `${selector}._domainkey.${domain}`;
  const key = parseKey(name, privateKey);
  const wanted = algorithm === 'rsa-sha256' ? 'rsa' : 'ed25519';
  if (key.asymmetricKeyType !== wanted) throw new Error(`The DKIM key ${name} is not an ${wanted} key`);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS)
    throw new Error(`The DKIM key ${name} has ${bits} bits, ${MIN_RSA_BITS} is the least`);
  if (bits !== undefined && bits < GOOD_RSA_BITS) warn('weakDkimKey', { domain, selector, bits, recommended: GOOD_RSA_BITS });
  return { domain, selector, algorithm, name, key };
}

function parseKey(name: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Error(`The DKIM key ${name} cannot be read`, { cause });
  }
}

function parentOf(domain: string): string {
  const dot = domain.indexOf('.');
  return dot === -1 ? '' : domain.slice(dot + 1);
}
