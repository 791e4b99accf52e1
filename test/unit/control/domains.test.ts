/** The actions of an operator on domains and their keys, on a real store. */
import { expect, test } from 'vitest';
import { testControl } from '../../support/control.ts';
import { newMessage, put } from '../../support/store-rig.ts';

const refused = (kind: string, subject: string) => expect.objectContaining({ name: 'ControlError', kind, subject });

test('a domain is added once, and its keys can be rotated', async () => {
  const { control, told } = await testControl();
  const { domains } = control;
  const records = await domains.add('example.org', 'mail');
  expect(records.map(({ name }) => name)).toEqual(['mail._domainkey.example.org', 'mail-ed._domainkey.example.org']);
  await expect(domains.add('example.org')).rejects.toEqual(refused('exists', 'domain'));
  await domains.rotate('example.org');
  const [{ keys }] = (await domains.list()) as [any];
  expect(keys.map(({ state }: { state: string }) => state).sort()).toEqual(['active', 'active', 'pending', 'pending']);
  expect(await domains.records('example.org')).toHaveLength(4);
  expect(told()).toEqual(['keys', 'keys']);
});

test('ensure keeps the keys of domains that have some', async () => {
  const { control, told } = await testControl();
  const { records: first, made } = await control.domains.ensure(['example.org']);
  expect([made, told()]).toEqual([['example.org'], ['keys']]);
  const { records: both, made: more } = await control.domains.ensure(['example.org', 'example.net', 'example.org']);
  expect(
    both
      .slice(0, 2)
      .map(({ value }) => value)
      .sort(),
  ).toEqual(first.map(({ value }) => value).sort());
  expect(both).toHaveLength(4);
  expect([more, told()]).toEqual([['example.net'], ['keys']]);
});

test('two calls of ensure at the same time get the same keys', async () => {
  const { control } = await testControl();
  const [one, two] = await Promise.all([control.domains.ensure(['example.org']), control.domains.ensure(['example.org'])]);
  expect(one.records).toHaveLength(2);
  expect(two.records).toEqual(one.records);
  expect([...one.made, ...two.made]).toEqual(['example.org']);
});

test('an invalid selector or key is refused, and the error says which one it is', async () => {
  const { control, told } = await testControl();
  await expect(control.domains.add('example.org', 'a b')).rejects.toEqual(refused('invalid', 'selector'));
  await expect(control.domains.takeOver('example.org', 'mail', 'no key')).rejects.toEqual(refused('invalid', 'key'));
  expect(await control.domains.list()).toEqual([]);
  expect(told()).toEqual([]);
});

test('a missing domain is not found', async () => {
  const { domains } = (await testControl()).control;
  for (const deed of ['show', 'records', 'rotate', 'remove'] as const)
    await expect(domains[deed]('example.net')).rejects.toEqual(refused('not found', 'domain'));
});

test('a key whose signature is on queued mail stays as retiring, and its selector is in use', async () => {
  const { control, store, told } = await testControl();
  await control.domains.add('example.org', 'mail');
  await put(store, newMessage({ signatures: ['mail._domainkey.example.org'] }));
  expect(await control.domains.remove('example.org', { force: true })).toMatchObject({
    removed: false,
    retiring: [{ selector: 'mail', state: 'retiring' }],
  });
  await expect(control.domains.add('example.org', 'mail')).rejects.toEqual(refused('exists', 'selector'));
  expect(told()).toEqual(['keys', 'keys', 'keys']); // the pair, and each of it
});

test('the given DNS says whether the records are published', async () => {
  const answer = { kind: 'nxdomain', secure: false, trusted: true, ttl: 0 } as const;
  const { control } = await testControl({ txt: async (name) => ({ ...answer, name }) });
  await control.domains.add('example.org');
  const { keys } = await control.domains.show('example.org');
  expect(keys.map(({ published }) => published)).toEqual(['absent', 'absent']);
});
