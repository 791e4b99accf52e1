/** The actions of an operator on credentials, on a real store. */
import { expect, test } from 'vitest';
import { checkPassword, newUser } from '../../../src/control/control.ts';
import { createCredentials } from '../../../src/credentials/credentials.ts';
import type { Store } from '../../../src/store/store.ts';
import { testControl } from '../../support/control.ts';

const verify = async ({ credentials }: Store, name: string, password: string) =>
  (await createCredentials({ store: credentials, cacheFor: 0 }).verify(name, password)).result;
const refused = (kind: string, subject: string) => expect.objectContaining({ name: 'ControlError', kind, subject });

test('a user may be named in any spelling, and a generated password is returned once', async () => {
  const { control, store } = await testControl();
  const { name, password } = await control.users.add(await newUser('Anna@Example.org', {}));
  expect(name).toBe('anna@example.org');
  expect(await verify(store, 'anna@example.org', password!)).toBe('ok');
  expect(await control.users.show('ANNA@example.org')).toMatchObject({ name, senders: [name], defaultLimits: true });
  expect(await control.users.setPassword('Anna@example.org', 'correct horse')).toEqual({ name, password: null });
  expect(await verify(store, name, 'correct horse')).toBe('ok');
});

test('every change is reported once, a refused one is not', async () => {
  const { control, told } = await testControl();
  const anna = await newUser('anna@example.org', {});
  await control.users.add(anna, 'first');
  expect(told()).toEqual(['credentials']);
  await expect(control.users.add(anna, 'second')).rejects.toEqual(refused('exists', 'user'));
  await expect(control.users.checkFree('ANNA@example.org')).rejects.toEqual(refused('exists', 'user'));
  await expect(control.users.change('anna@example.org', {}, { password: 'a\nb' })).rejects.toEqual(
    refused('invalid', 'password'),
  );
  expect(told()).toEqual([]);
  expect(await control.users.change('anna@example.org', { disabled: true })).toMatchObject({ disabled: true });
  await control.users.setPassword('anna@example.org');
  expect(await control.users.remove('anna@example.org')).toEqual({ name: 'anna@example.org', removed: true });
  expect(told()).toEqual(['credentials', 'limits', 'credentials', 'limits', 'credentials', 'limits']);
});

test('every action on a missing user says that it is not found', async () => {
  const { control, told } = await testControl();
  const { users } = control;
  await expect(users.show('bob')).rejects.toEqual(refused('not found', 'user'));
  await expect(users.change('bob', { disabled: true })).rejects.toEqual(refused('not found', 'user'));
  await expect(users.setPassword('bob')).rejects.toEqual(refused('not found', 'user'));
  await expect(users.remove('bob')).rejects.toEqual(refused('not found', 'user'));
  expect(await users.find('bob')).toBeUndefined();
  expect(told()).toEqual([]);
});

test('an invalid value is refused, and the error says which one it is', async () => {
  const { control } = await testControl();
  await expect(newUser('', {})).rejects.toEqual(refused('invalid', 'name'));
  await expect(newUser('scanner', {})).rejects.toEqual(refused('invalid', 'senders'));
  await expect(newUser('@example.org', {})).rejects.toEqual(refused('invalid', 'senders'));
  await expect(control.users.show('a\u0007b')).rejects.toEqual(refused('invalid', 'name'));
  for (const password of ['', 'x'.repeat(1025), 'a\u0000']) expect(() => checkPassword(password)).toThrow(/^a password /);
});

test('the effective limits are those of the current settings', async () => {
  const { control, set } = await testControl();
  await control.users.add(await newUser('anna@example.org', {}), 'first');
  set({ limits: { messages: [], recipients: [{ kind: 'recipients', count: 7, per: 'hour' }], newRecipients: [] } });
  const [anna] = await control.users.list();
  expect(anna!.limits).toEqual([{ kind: 'recipients', count: 7, per: 'hour' }]);
  expect(anna!.used).toMatchObject([{ kind: 'recipients', used: 0 }]);
});
