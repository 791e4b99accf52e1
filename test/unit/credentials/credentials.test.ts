import { hash } from 'argon2';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createCredentials, generatePassword, hashPassword, normalizeName } from '../../../src/credentials/credentials.ts';
import type { Credential } from '../../../src/store/store.ts';
import { cpuClock } from '../../support/cpu-time.ts';
import { CREDENTIAL, PASSWORD } from '../../support/submission-rig.ts';

const NAME = CREDENTIAL.name;
let stored: Credential;
beforeAll(async () => {
  stored = { ...CREDENTIAL, hash: await hashPassword(PASSWORD) };
});

function rig(options: { cacheFor?: number; parallel?: number; patience?: number } = {}, change: Partial<Credential> = {}) {
  let time = 1_000_000;
  const records = new Map([[NAME, { ...stored, ...change }]]);
  const get = vi.fn(async (name: string) => records.get(name));
  const renewHash = vi.fn(async (name: string, from: string, hash: string) => {
    if (records.get(name)?.hash !== from) return false;
    records.set(name, { ...records.get(name)!, hash });
    return true;
  });
  const clocks = { now: () => time, monotonic: () => time };
  const credentials = createCredentials({ store: { get, renewHash }, cacheFor: 300_000, ...clocks, ...options });
  return { credentials, records, get, renewHash, pass: (ms: number) => (time += ms) };
}
/** Milliseconds of processor. */
const timed = async (work: () => Promise<unknown>) => {
  const start = cpuClock();
  await work();
  return cpuClock() - start;
};

describe('a login', () => {
  test('is right, wrong, or unknown; ASCII case of names does not matter', async () => {
    const { credentials } = rig();
    expect(await credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'ok', credential: { name: NAME } });
    expect(await credentials.verify(NAME.toUpperCase(), PASSWORD)).toMatchObject({ result: 'ok', credential: { name: NAME } });
    expect(await credentials.verify(NAME, `${PASSWORD} `)).toEqual({ result: 'wrong' });
    expect(await credentials.verify('nobody', PASSWORD)).toEqual({ result: 'wrong' });
    expect(await credentials.verify('../../x\0', PASSWORD)).toEqual({ result: 'wrong' });
    expect(await credentials.verify('', '')).toEqual({ result: 'wrong' });
    expect(await credentials.verify('constructor', PASSWORD)).toEqual({ result: 'wrong' });
  });

  test('is reported as disabled or expired only if the password is right', async () => {
    const disabled = rig({}, { disabled: true }).credentials;
    expect(await disabled.verify(NAME, PASSWORD)).toEqual({ result: 'disabled' });
    expect(await disabled.verify(NAME, 'x')).toEqual({ result: 'wrong' });
    const { credentials, pass } = rig({}, { expiresAt: 1_000_001 });
    expect(await credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'ok' });
    pass(1);
    expect(await credentials.verify(NAME, PASSWORD)).toEqual({ result: 'expired' });
  });

  test('takes as long for an unknown name as for a wrong password', async () => {
    const { credentials } = rig({ cacheFor: 0 });
    await credentials.verify('warm', 'up');
    const wrong: number[] = [];
    const unknown: number[] = [];
    for (let i = 0; i < 8; i++) {
      wrong.push(await timed(() => credentials.verify(NAME, `wrong ${i}`)));
      unknown.push(await timed(() => credentials.verify(`nobody ${i}`, 'x')));
    }
    const median = (list: number[]) => list.sort((a, b) => a - b)[4]!;
    expect(median(unknown)).toBeGreaterThan(median(wrong) / 2);
    expect(median(unknown)).toBeLessThan(median(wrong) * 2);
  });

  test('with more than 1024 octets is wrong and not hashed', async () => {
    const { credentials, get } = rig();
    expect(await credentials.verify(NAME, 'ü'.repeat(513))).toEqual({ result: 'wrong' });
    expect(get).not.toHaveBeenCalled();
  });

  test('is unavailable if the store fails, or has an invalid entry', async () => {
    const cause = new Error('disk');
    const failing = createCredentials({ store: { get: () => Promise.reject(cause), renewHash: async () => true }, cacheFor: 0 });
    expect(await failing.verify(NAME, PASSWORD)).toEqual({ result: 'unavailable', cause });
    const absurd = stored.hash.replace('m=19456', 'm=4194304');
    expect(await rig({}, { hash: absurd }).credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'unavailable' });
    expect(await rig({}, { hash: 'secret' }).credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'unavailable' });
  });
});

describe('storms', () => {
  test('forty logins of one pair at once run argon2 once, and later ones not at all', async () => {
    const { credentials, get } = rig();
    const once = await timed(() => credentials.verify(NAME, PASSWORD));
    credentials.forget();
    const fresh = rig();
    const forty = await timed(() => Promise.all(Array.from({ length: 40 }, () => fresh.credentials.verify(NAME, PASSWORD))));
    expect(forty).toBeLessThan(once * 10 + 100);
    expect(fresh.get).toHaveBeenCalledTimes(1);
    expect(await timed(() => fresh.credentials.verify(NAME, PASSWORD))).toBeLessThan(once);
    expect(get).toHaveBeenCalledTimes(1);
  });

  test('logins that wait too long are told to try again', async () => {
    const { credentials } = rig({ parallel: 1, patience: 1 });
    const results = await Promise.all(Array.from({ length: 5 }, (_, i) => credentials.verify(NAME, `wrong ${i}`)));
    expect(results.map(({ result }) => result).sort()).toEqual(['busy', 'busy', 'busy', 'busy', 'wrong']);
    expect(await credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'ok' });
  });
});

describe('the cache', () => {
  test('a new password, and a disabled or removed credential, take effect within 2 s', async () => {
    const { credentials, records, pass } = rig();
    await credentials.verify(NAME, PASSWORD);
    records.set(NAME, { ...stored, hash: await hashPassword('other') });
    pass(2000);
    expect(await credentials.verify(NAME, PASSWORD)).toEqual({ result: 'wrong' });
    records.set(NAME, { ...stored, disabled: true });
    pass(2000);
    expect(await credentials.verify(NAME, PASSWORD)).toEqual({ result: 'disabled' });
    expect(credentials.current(stored)).toBeUndefined();
    records.delete(NAME);
    credentials.forget();
    expect(await credentials.verify(NAME, PASSWORD)).toEqual({ result: 'wrong' });
    expect(await credentials.current(stored)).toBeUndefined();
  });

  test('a session stays valid while password and credential are the same, with the current rights', async () => {
    const { credentials, records, pass } = rig({}, { expiresAt: 1_010_000 });
    const held = records.get(NAME)!;
    expect(await credentials.current(held)).toEqual(held); // asked for
    expect(credentials.current(held)).toEqual(held); // remembered
    const richer = { ...held, senders: ['*'], revision: 1 };
    records.set(NAME, richer);
    expect(await credentials.renewed(held)).toEqual(richer);
    expect(credentials.current(held)).toEqual(richer);
    records.set(NAME, { ...held, generation: 'second' });
    credentials.forget();
    expect(await credentials.current(held)).toBeUndefined();
    records.set(NAME, held);
    expect(await credentials.renewed(held)).toEqual(held);
    pass(10_000);
    expect(await credentials.current(held)).toBeUndefined();
  });

  test('a pair is hashed again when its time is over', async () => {
    const { credentials, pass } = rig({ cacheFor: 1000 });
    const first = await timed(() => credentials.verify(NAME, PASSWORD));
    expect(await timed(() => credentials.verify(NAME, PASSWORD))).toBeLessThan(first / 2);
    pass(1000);
    expect(await timed(() => credentials.verify(NAME, PASSWORD))).toBeGreaterThan(first / 4);
  });

  test('a hash with old parameters is replaced at login', async () => {
    const old = await hash(PASSWORD, { type: 2, memoryCost: 8192, timeCost: 2, parallelism: 1 });
    const { credentials, records, renewHash } = rig({}, { hash: old });
    expect(await credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'ok' });
    await expect.poll(() => renewHash.mock.calls.length).toBe(1);
    expect(records.get(NAME)?.hash).toContain('m=19456');
    expect(await credentials.current({ ...stored, hash: old })).toBeDefined(); // sessions stay
    expect(await credentials.verify(NAME, PASSWORD)).toMatchObject({ result: 'ok' });
    expect(await credentials.verify(NAME, 'x')).toEqual({ result: 'wrong' });
  });
});

describe('names and passwords', () => {
  test('a generated password is long, and never the same', () => {
    const passwords = new Set(Array.from({ length: 100 }, generatePassword));
    expect(passwords.size).toBe(100);
    for (const password of passwords) expect(password).toMatch(/^[a-km-np-z2-9]{24}$/);
  });

  test('names keep characters outside of ASCII, and have no control characters', () => {
    expect(normalizeName('Anna@ÄXAMPLE.org')).toBe('anna@Äxample.org');
    expect(normalizeName('DOMAIN\\User')).toBe('domain\\user');
    for (const name of ['', 'a\nb', 'a\0', 'a\u2028b', 'a\x7f', 'x'.repeat(1025), '\ud800'])
      expect(() => normalizeName(name)).toThrow();
  });
});
