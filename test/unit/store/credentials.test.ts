/** Credentials, failed logins, keys, certificates, back-off and small values. */
import { expect, test } from 'vitest';
import type { DkimKey, NewCredential, Pace, StoredCertificate } from '../../../src/store/store.ts';
import { DAY, MINUTE } from '../../../src/system/clock.ts';
import { dataDir, NOW, testStore } from '../../support/store-rig.ts';

const credential: NewCredential = {
  name: 'Jörg@Example.org',
  hash: '$argon2id$…',
  senders: ['@example.org', '*'],
  mailServer: true,
  limits: [{ kind: 'newRecipients', count: 5, per: 'day' }],
  disabled: false,
  expiresAt: NOW + DAY,
  rewrite: 'device@example.org',
  createdAt: NOW,
};

const FRESH = { generation: expect.stringMatching(/^[0-9a-f]{18}$/), revision: 0 };

test('a credential is kept whole, and found without ASCII case only', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  expect(await store.credentials.add(credential)).toBe(true);
  expect(await store.credentials.add({ ...credential, name: 'JöRG@example.ORG' })).toBe(false);
  expect(
    await store.credentials.add({ ...credential, name: 'JÖRG@example.org', limits: null, expiresAt: null, rewrite: null }),
  ).toBe(true);
  await store.close();
  const again = await testStore({ dataDir: path });
  expect(await again.credentials.get('jörg@example.org')).toEqual({ ...credential, ...FRESH });
  expect((await again.credentials.list()).map(({ name, limits }) => [name, limits])).toEqual(
    expect.arrayContaining([
      ['Jörg@Example.org', credential.limits],
      ['JÖRG@example.org', null],
    ]),
  );
});

test('only the named fields change', async () => {
  const { credentials } = await testStore();
  await credentials.add(credential);
  expect(await credentials.update('JöRG@EXAMPLE.org', { disabled: true, limits: null })).toBe(true);
  expect(await credentials.get(credential.name)).toEqual({ ...credential, ...FRESH, disabled: true, limits: null, revision: 1 });
  expect(await credentials.update('nobody', { disabled: true })).toBe(false);
  expect(await credentials.remove('jörg@example.org')).toBe(true);
  expect(await credentials.remove('jörg@example.org')).toBe(false);
  expect(await credentials.get(credential.name)).toBeUndefined();
});

test('another password and another credential of the same name are another generation; another hash of the same password is not', async () => {
  const { credentials } = await testStore();
  const { name } = credential;
  const seen = new Set<string>();
  const generation = async () => (await credentials.get(name))!.generation;
  await credentials.add(credential);
  seen.add(await generation());
  await credentials.update(name, { disabled: true, hash: credential.hash });
  expect(await credentials.renewHash(name.toUpperCase().replace('Ö', 'ö'), credential.hash, 'again')).toBe(true);
  expect(await credentials.renewHash(name, credential.hash, 'of a password that was changed meanwhile')).toBe(false);
  expect(await credentials.get(name)).toMatchObject({ hash: 'again', revision: 1 });
  seen.add(await generation());
  expect(seen.size).toBe(1);
  await credentials.update(name, { hash: 'other' });
  seen.add(await generation());
  await credentials.remove(name);
  await credentials.add({ ...credential, hash: 'other' });
  seen.add(await generation());
  expect(seen.size).toBe(3);
});

test('failures survive a restart, and are forgotten when their windows have ended', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const count = { key: '192.0.2.1', inMinute: 2, minuteEndsAt: NOW + MINUTE, inDay: 3, dayEndsAt: NOW + DAY };
  await store.credentials.putFailures(
    [
      { ...count, inMinute: 1 },
      { ...count, key: 'alice 192.0.2.1' },
    ],
    NOW,
  );
  await store.credentials.putFailures([count], NOW);
  await store.close();
  const { credentials } = await testStore({ dataDir: path });
  expect(await credentials.failures(NOW + 30_000)).toEqual([count, { ...count, key: 'alice 192.0.2.1' }]);
  expect((await credentials.failures(NOW + 90_000)).map(({ inMinute, inDay }) => [inMinute, inDay])).toEqual(
    Array(2).fill([0, 3]),
  );
  await credentials.forgetFailures('192.0.2.1');
  expect(await credentials.failures(NOW + 90_000)).toHaveLength(1);
  expect(await credentials.failures(NOW + DAY)).toEqual([]);
  expect(await credentials.failures(NOW - DAY)).toEqual([]); // a window that ends farther ahead than it is long
  await credentials.putFailures([{ ...count, dayEndsAt: NOW + 3 * DAY }], NOW + 2 * DAY);
  expect(await credentials.failures(NOW)).toEqual([]); // the other one is gone from the disk
});

const key = (selector: string, domain = 'example.org'): DkimKey => ({
  domain,
  selector,
  algorithm: 'rsa-sha256',
  privateKey: 'PEM',
  state: 'pending',
  createdAt: NOW,
});

test('DKIM keys are added together or not at all', async () => {
  const { operation } = await testStore();
  expect(await operation.addDkimKeys([key('a'), key('b')])).toBe(true);
  expect(await operation.addDkimKeys([key('c'), key('b')])).toBe(false);
  expect(await operation.addDkimKeys([key('a', 'example.net')])).toBe(true);
  expect(await operation.setDkimKeyState(key('a'), 'active')).toBe(true);
  expect((await operation.dkimKeys('example.org')).map(({ selector, state }) => [selector, state])).toEqual([
    ['a', 'active'],
    ['b', 'pending'],
  ]);
  expect(await operation.dkimKeys()).toHaveLength(3);
  expect(await operation.removeDkimKey({ ...key('a'), state: 'active' })).toBe(true);
  expect(await operation.removeDkimKey({ ...key('a'), state: 'active' })).toBe(false);
  expect(await operation.dkimKeys()).toEqual([key('a', 'example.net'), key('b')]);
});

test('a DKIM key of the same domain and selector that was added later is not changed in the name of the older one', async () => {
  const { operation } = await testStore();
  const { state: _, ...older } = key('a');
  const added = { ...key('a'), createdAt: NOW + 1 };
  await operation.addDkimKeys([added]);
  expect(await operation.setDkimKeyState(older, 'active')).toBe(false);
  expect(await operation.removeDkimKey(older)).toBe(false);
  expect(await operation.dkimKeys()).toEqual([added]);
  expect(await operation.setDkimKeyState({ ...added, state: 'retiring' }, 'active')).toBe(false);
  const { state, ...inAnyState } = added;
  expect([state, await operation.setDkimKeyState(inAnyState, 'active')]).toEqual(['pending', true]);
});

test('one certificate a key type, the last that was put', async () => {
  const { operation } = await testStore();
  const first: StoredCertificate = { keyType: 'rsa', certificate: 'C', key: 'K', source: 'self-signed', createdAt: NOW };
  await operation.putCertificate(first);
  await operation.putCertificate({ ...first, keyType: 'ecdsa' });
  await operation.putCertificate({ ...first, source: 'acme', certificate: 'D' });
  expect(await operation.certificates()).toEqual([
    { ...first, keyType: 'ecdsa' },
    { ...first, source: 'acme', certificate: 'D' },
  ]);
});

test('back-off is kept by key', async () => {
  const { operation } = await testStore();
  const pace: Pace = { key: 'mx.example.net', concurrency: 1.5, blockedUntil: NOW + MINUTE, reason: '421 4.7.0', failures: 3 };
  await operation.putPace({ ...pace, failures: 1 });
  await operation.putPace(pace);
  expect(await operation.paces()).toEqual([pace]);
  await operation.removePace(pace.key);
  expect(await operation.paces()).toEqual([]);
});

test('small values are found by name and by prefix, and null removes them', async () => {
  const { operation } = await testStore();
  await operation.setValue('acme.challenge.a', '1');
  await operation.setValue('acme.challenge.b_', '2');
  await operation.setValue('acme%', '3');
  expect(await operation.value('acme.challenge.a')).toBe('1');
  expect(await operation.values('acme.challenge.')).toEqual([
    { name: 'acme.challenge.a', value: '1' },
    { name: 'acme.challenge.b_', value: '2' },
  ]);
  await operation.setValue('acme.challenge.a', null);
  expect(await operation.value('acme.challenge.a')).toBeUndefined();
});

test('expired leases leave no entry', async () => {
  const { operation } = await testStore();
  for (const name of ['notice.anna', 'notice.bob']) await operation.takeLease(name, 'a', NOW + MINUTE, NOW);
  await operation.takeLease('renewal', 'a', NOW + 3 * MINUTE, NOW + 2 * MINUTE);
  expect((await operation.values('lease.')).map(({ name }) => name)).toEqual(['lease.renewal']);
});

test('of two that ask at once for a lease one gets it', async () => {
  const path = dataDir();
  const [a, b] = await Promise.all([testStore({ dataDir: path }), testStore({ dataDir: path })]);
  const both = await Promise.all([
    a?.operation.takeLease('renewal', 'a', NOW + MINUTE, NOW),
    b?.operation.takeLease('renewal', 'b', NOW + MINUTE, NOW),
  ]);
  expect(both.filter((taken) => taken)).toHaveLength(1);
  const [winner, loser] = both[0] === true ? ['a', 'b'] : ['b', 'a'];
  expect(await a?.operation.takeLease('renewal', winner ?? '', NOW + 2 * MINUTE, NOW + 1)).toBe(true);
  expect(await a?.operation.takeLease('renewal', loser ?? '', NOW + 2 * MINUTE, NOW + MINUTE)).toBe(false);
  await a?.operation.takeLease('renewal', winner ?? '', NOW, NOW + MINUTE);
  expect(await b?.operation.takeLease('renewal', loser ?? '', NOW + 2 * MINUTE, NOW + MINUTE)).toBe(true);
});
