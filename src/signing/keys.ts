/** Making and taking over DKIM keys: RSA of RFC 6376, Ed25519 of RFC 8463. */
import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { DkimKey, DkimKeyState } from '../store/store.ts';

const generate = promisify(generateKeyPair);
const RSA_BITS = 2048;
const MIN_RSA_BITS = 1024;

/**
 * An RSA-2048 and an Ed25519 key. The first keys of a domain sign at once (an unpublished key is as good as no signature); their
 * successors are pending until the DNS has them. The selectors are `s20261121r` and `s20261121e` by the date, or SELECTOR and
 * SELECTOR-ed.
 */
export async function createDkimKeys(options: {
  domain: string;
  selector?: string;
  now: number;
  state?: DkimKeyState;
}): Promise<readonly DkimKey[]> {
  const { domain, selector, now, state = 'pending' } = options;
  const day = new Date(now).toISOString().slice(0, 10).replaceAll('-', '');
  const names = selector === undefined ? [`s${day}r`, `s${day}e`] : [selector, `${selector}-ed`];
  const facts = { domain: checkedDomain(domain), state, createdAt: now } as const;
  const [rsa, ed25519] = await Promise.all([generate('rsa', { modulusLength: RSA_BITS }), generate('ed25519')]);
  return [
    { ...facts, selector: checkedSelector(names[0]!), algorithm: 'rsa-sha256', privateKey: toPem(rsa.privateKey) },
    { ...facts, selector: checkedSelector(names[1]!), algorithm: 'ed25519-sha256', privateKey: toPem(ed25519.privateKey) },
  ];
}

/**
 * A key that exists already; state as for new ones.
 * @param options.pem PKCS#1 or PKCS#8: RSA of at least 1024 bits, or Ed25519.
 * @throws Error with a sentence for the operator.
 */
export function importDkimKey(options: {
  domain: string;
  selector: string;
  pem: string;
  now: number;
  state?: DkimKeyState;
}): DkimKey {
  const { domain, selector, pem, now, state = 'pending' } = options;
  const key = readPem(pem);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new Error(`This RSA key has ${bits} bits; verifiers refuse less than ${MIN_RSA_BITS}, and 2048 is recommended`);
  }
  return {
    domain: checkedDomain(domain),
    selector: checkedSelector(selector),
    algorithm: key.asymmetricKeyType === 'rsa' ? 'rsa-sha256' : 'ed25519-sha256',
    privateKey: toPem(key),
    state,
    createdAt: now,
  };
}

function readPem(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    if (pem.includes('ENCRYPTED')) throw new Error('This private key is encrypted: decrypt it first', { cause });
    if (pem.includes('PUBLIC KEY')) throw new Error('This is a public key; the private key is needed to sign', { cause });
    throw new Error('This is not a private key in PEM form (PKCS#1 or PKCS#8)', { cause });
  }
  const type = key.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ed25519')
    throw new Error(`DKIM knows RSA and Ed25519 keys, this is ${type ?? 'something else'}`);
  return key;
}

/** A selector is one or more labels: RFC 6376 §3.1. */
function checkedSelector(selector: string): string {
  if (selector.length > 63 || !/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(selector)) {
    throw new Error(`"${selector}" cannot be a selector: letters, digits and hyphens, at most 63`);
  }
  return selector.toLowerCase();
}

/** Keys are looked up by the A-labels of the From domain, so anything else would never sign. */
function checkedDomain(domain: string): string {
  if (domain.length > 253 || !/^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(domain)) {
    throw new Error(`"${domain}" is not a domain name in lower-case ASCII`);
  }
  return domain;
}

function toPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}
