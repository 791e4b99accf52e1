import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Dns } from '../../../src/dns/dns.ts';
import { checkPublished, createDkimKeys, dkimRecord, importDkimKey, zoneLine } from '../../../src/signing/signing.ts';
import { data } from '../../../src/system/phrase.ts';

const NOW = Date.UTC(2026, 10, 21);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

describe('createDkimKeys', () => {
  test('makes an RSA-2048 and an Ed25519 key, pending, named by the day', async () => {
    const keys = await createDkimKeys({ domain: 'sender.test', now: NOW });
    expect(
      keys.map(({ selector, algorithm, state, domain, createdAt }) => ({ selector, algorithm, state, domain, createdAt })),
    ).toEqual([
      { selector: 's20261121r', algorithm: 'rsa-sha256', state: 'pending', domain: 'sender.test', createdAt: NOW },
      { selector: 's20261121e', algorithm: 'ed25519-sha256', state: 'pending', domain: 'sender.test', createdAt: NOW },
    ]);
    expect(createPublicKey(keys[0]!.privateKey).asymmetricKeyDetails?.modulusLength).toBe(2048);
  });

  test('takes a selector', async () => {
    const keys = await createDkimKeys({ domain: 'sender.test', selector: 'mail', now: NOW });
    expect(keys.map(({ selector }) => selector)).toEqual(['mail', 'mail-ed']);
  });

  test.each([
    ['sender.test', 'a b'],
    ['sender.test', 'x"; drop'],
    ['sender.test', '-x'],
    ['Sender.test', 'x'],
    ['a..b', 'x'],
    ['münchen.test', 'x'],
  ])('refuses domain %s with selector %s', async (domain, selector) => {
    await expect(createDkimKeys({ domain, selector, now: NOW })).rejects.toThrow(/cannot be a selector|is not a domain name/);
  });
});

describe('importDkimKey', () => {
  const take = (pem: string) => importDkimKey({ domain: 'sender.test', selector: 'old', pem, now: NOW });

  test('takes PKCS#1 and PKCS#8 alike, and Ed25519', () => {
    const [pkcs1, pkcs8] = (['pkcs1', 'pkcs8'] as const).map((type) => take(rsa.export({ type, format: 'pem' }) as string));
    expect(pkcs1).toEqual(pkcs8);
    const ed = take(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    expect(ed.algorithm).toBe('ed25519-sha256');
  });

  test('says in a sentence why a key cannot be used', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey.export({
      type: 'pkcs1',
      format: 'pem',
    }) as string;
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const locked = rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string;
    const open = createPublicKey(rsa).export({ type: 'spki', format: 'pem' }) as string;
    expect(() => take(short)).toThrow('This RSA key has 768 bits');
    expect(() => take(ec)).toThrow('DKIM knows RSA and Ed25519 keys, this is ec');
    expect(() => take(locked)).toThrow('This private key is encrypted');
    expect(() => take(open)).toThrow('This is a public key');
    expect(() => take('junk')).toThrow('This is not a private key in PEM form');
  });
});

describe('RFC 6376 §3.6.1: the record', () => {
  test('is what openssl says of the same key', async () => {
    const [rsaKey, edKey] = await createDkimKeys({ domain: 'sender.test', selector: 's', now: NOW });
    const der = (pem: string) => execFileSync('openssl', ['pkey', '-pubout', '-outform', 'DER'], { input: pem });
    expect(dkimRecord(rsaKey!)).toEqual({
      name: 's._domainkey.sender.test',
      type: 'TXT',
      ttl: 3600,
      value: `v=DKIM1; k=rsa; p=${der(rsaKey!.privateKey).toString('base64')}`,
    });
    // RFC 8463 §4: the bare 32 bytes
    const bare = der(edKey!.privateKey).subarray(-32).toString('base64');
    expect(dkimRecord(edKey!)).toMatchObject({ name: 's-ed._domainkey.sender.test', value: `v=DKIM1; k=ed25519; p=${bare}` });
  });

  test('stands on one zone line, in strings of at most 255', async () => {
    const [key] = await createDkimKeys({ domain: 'sender.test', selector: 's', now: NOW });
    const record = dkimRecord(key!);
    const line = zoneLine(record);
    expect(line).toMatch(/^s\._domainkey\.sender\.test\. 3600 IN TXT "[^"]{255}" "[^"]{1,255}"$/);
    expect([...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text).join('')).toBe(record.value);
  });
});

describe('checkPublished', () => {
  const key = importDkimKey({
    domain: 'sender.test',
    selector: 's',
    pem: rsa.export({ type: 'pkcs8', format: 'pem' }) as string,
    now: NOW,
  });
  const { name, value } = dkimRecord(key);
  const seen = (...values: string[]): Pick<Dns, 'txt'> => ({
    txt: async (asked) => (asked === name ? { kind: 'found', values } : { kind: 'none' }),
  });

  test('compares the public key and nothing else', async () => {
    expect(await checkPublished(key, seen(value))).toBe('published');
    expect(await checkPublished(key, seen(value.replace('v=DKIM1; k=rsa; ', '').replace('MII', 'M I\tI ')))).toBe('published');
    expect(await checkPublished(key, seen(`${value}; t=y; x=unknown;`))).toBe('published');
    expect(await checkPublished(key, seen('v=spf1 -all', value))).toBe('different'); // a verifier may take the first
    expect(await checkPublished(key, seen('v=DKIM1; k=rsa; p='))).toBe('different');
    expect(await checkPublished(key, seen('v=DKIM1; k=rsa; p=AAAA'))).toBe('different');
  });

  test('never takes a missing answer for a missing record', async () => {
    expect(await checkPublished(key, { txt: async () => ({ kind: 'nxdomain' }) })).toBe('absent');
    expect(await checkPublished(key, { txt: async () => ({ kind: 'none' }) })).toBe('absent');
    expect(await checkPublished(key, { txt: async () => ({ kind: 'temporary', why: data('SERVFAIL') }) })).toBe('unknown');
  });
});
