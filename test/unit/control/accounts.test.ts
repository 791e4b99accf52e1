/** Accounts, sessions, tokens and muted findings, and the rows that say who has changed them. */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { ROUTES } from '../../../src/console/routes.ts';
import { TOKEN_SCOPES } from '../../../src/control/control.ts';
import type { Store } from '../../../src/store/store.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { testControl } from '../../support/control.ts';
import { NOW } from '../../support/store-rig.ts';

const HASH = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$planted';
/** As the console reads what somebody typed. */
const codeOf = (code: string) => {
  const plain = code.replaceAll('-', '');
  return { id: plain.slice(0, 4), hash: hash('sha256', plain) };
};
const take = (store: Store, code: string, name = '') => store.console.takeLink(codeOf(code), { name, passwordHash: HASH }, NOW);
async function logIn(store: Store, account: string, secret: string) {
  const times = { createdAt: NOW, lastSeenAt: NOW, confirmedAt: NOW };
  const session = { hash: hash('sha256', secret), account, ip: '192.0.2.1', userAgent: 'b', ...times };
  expect(await store.console.addSession(session, (await store.console.account(account))!)).toBe(true);
}

test('a new account gets a code that sets its password once, and is valid for an hour', async () => {
  const { control, store } = await testControl();
  const invited = await control.accounts.add({ name: 'Anna', role: 'operator' });
  expect(invited).toEqual({
    name: 'anna',
    role: 'operator',
    code: expect.stringMatching(/^[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}$/),
    expiresAt: new Date(NOW + HOUR).toISOString(),
  });
  await expect(control.accounts.add({ name: 'anna', role: 'reader' })).rejects.toMatchObject({
    kind: 'exists',
    subject: 'account',
  });
  expect(await control.accounts.show('ANNA')).toMatchObject({ name: 'anna', hasPassword: false, secondFactor: false });
  expect([await take(store, invited.code), await take(store, invited.code)]).toEqual(['done', 'gone']);
  expect(await control.accounts.list()).toEqual([
    {
      ...{ name: 'anna', role: 'operator', credentials: null, disabled: false, hasPassword: true, secondFactor: false },
      ...{ recoveryCodes: 0, createdAt: new Date(NOW).toISOString(), passwordSetAt: new Date(NOW).toISOString() },
    },
  ]);
});

test('a reader of some credentials: they exist, and only a reader has them', async () => {
  const { control } = await testControl();
  await control.users.add({ name: 'shop', senders: ['*'] });
  await expect(control.accounts.add({ name: 'a', role: 'reader', credentials: ['nobody'] })).rejects.toMatchObject({
    subject: 'user',
  });
  await expect(control.accounts.add({ name: 'a', role: 'operator', credentials: ['shop'] })).rejects.toMatchObject({
    kind: 'invalid',
    subject: 'credentials',
  });
  await control.accounts.add({ name: 'a', role: 'reader', credentials: ['shop'] });
  expect(await control.accounts.show('a')).toMatchObject({ credentials: ['shop'] });
  expect(await control.accounts.change('a', { disabled: true })).toMatchObject({ credentials: ['shop'], disabled: true });
  expect(await control.accounts.change('a', { role: 'operator' })).toMatchObject({ role: 'operator', credentials: null });
});

test('of two changes at once each keeps what it does not name', async () => {
  const { control } = await testControl();
  await control.accounts.add({ name: 'anna', role: 'reader' });
  const { change } = control.accounts;
  await Promise.all([change('anna', { disabled: true }), change('anna', { role: 'operator' })]);
  expect(await control.accounts.show('anna')).toMatchObject({ role: 'operator', disabled: true });
});

test('a reset takes password and second factor away, ends the sessions, and the new code works', async () => {
  const { control, store } = await testControl();
  await take(store, (await control.accounts.add({ name: 'anna', role: 'admin' })).code);
  await store.console.changeAccount('anna', { totpSecret: 'JBSWY3DP', recoveryCodes: ['x'] });
  await logIn(store, 'anna', 'cookie');
  const { code } = await control.accounts.reset('anna');
  expect(await control.accounts.show('anna')).toMatchObject({ hasPassword: false, secondFactor: false, recoveryCodes: 0 });
  expect(await control.sessions.list()).toEqual([]);
  expect(await take(store, code)).toBe('done');
  await expect(control.accounts.reset('eve')).rejects.toMatchObject({ kind: 'not found', subject: 'account' });
});

test('the last admin stays, unless it is forced', async () => {
  const { control } = await testControl();
  await control.accounts.add({ name: 'anna', role: 'admin' });
  for (const action of [control.accounts.remove('anna'), control.accounts.change('anna', { role: 'reader' })])
    await expect(action).rejects.toMatchObject({
      kind: 'conflict',
      message: 'anna is the last admin: nobody could change accounts any more.',
    });
  expect(await control.accounts.remove('anna', { force: true })).toEqual({ name: 'anna', removed: true });
});

test('the code for the first admin is of no use once there is one', async () => {
  const { control, store } = await testControl();
  const { name, code } = await control.accounts.setup();
  expect(name).toBeNull();
  expect(await take(store, code, 'anna')).toBe('done');
  expect(await control.accounts.show('anna')).toMatchObject({ role: 'admin', hasPassword: true });
  await expect(control.accounts.setup()).rejects.toMatchObject({ kind: 'conflict' });
});

test('sessions are listed and ended, one or all but one', async () => {
  const { control, store } = await testControl();
  await take(store, (await control.accounts.add({ name: 'anna', role: 'admin' })).code);
  for (const secret of ['one', 'two', 'three']) await logIn(store, 'anna', secret);
  const [first, second] = await control.sessions.list('Anna');
  expect(first).toMatchObject({ account: 'anna', ip: '192.0.2.1', userAgent: 'b' });
  expect(await control.sessions.end(first!.id)).toEqual({ id: first!.id, ended: true });
  await expect(control.sessions.end(first!.id)).rejects.toMatchObject({ kind: 'not found', subject: 'session' });
  expect(await control.sessions.endAll('anna', second!.id)).toEqual({ name: 'anna', ended: 1 });
  expect((await control.sessions.list()).map(({ id }) => id)).toEqual([second!.id]);
});

test('a token that is confined to a credential has no scope that it could not use', async () => {
  const { control } = await testControl();
  await control.accounts.add({ name: 'anna', role: 'admin' });
  await control.users.add({ name: 'shop', senders: ['*'] });
  const usable = TOKEN_SCOPES.filter((scope) =>
    ROUTES.some((route) => route.scope === scope && (route.access === 'account' || route.confined === true)),
  );
  for (const scope of TOKEN_SCOPES) {
    const added = control.tokens.add({ name: scope, account: 'anna', scopes: [scope], credential: 'shop' });
    if (usable.includes(scope)) expect(await added).toMatchObject({ scopes: [scope], credential: 'shop' });
    else await expect(added).rejects.toMatchObject({ subject: 'scopes', message: expect.stringContaining(scope) });
    expect((await control.tokens.add({ name: `all ${scope}`, account: 'anna', scopes: [scope] })).scopes).toEqual([scope]);
  }
});

test('a name that a token of the account has is refused, so that `changes` tells which token it was', async () => {
  const { control, store } = await testControl();
  for (const name of ['anna', 'bert']) await control.accounts.add({ name, role: 'admin' });
  const add = (account: string) => control.tokens.add({ name: 'shop', account, scopes: ['messages:read'] });
  await add('anna');
  await expect(add('Anna')).rejects.toMatchObject({ kind: 'exists', subject: 'name', message: expect.stringContaining('anna') });
  await add('bert');
  expect((await store.audit.changes({ limit: 9, action: 'token.add' })).length).toBe(2);
});

test('a token is shown once, can be checked, and the store has its hash alone', async () => {
  const { control, store } = await testControl();
  await control.accounts.add({ name: 'anna', role: 'operator' });
  const { token, ...made } = await control.tokens.add({
    name: 'shop',
    account: 'Anna',
    scopes: ['messages:read'],
    networks: ['192.0.2.0/24'],
  });
  const [, secret = '', check = ''] = /^smh_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/.exec(token) ?? [];
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  expect([...check].reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0)).toBe(crc32(secret));
  expect(made).toMatchObject({
    account: 'anna',
    networks: ['192.0.2.0/24'],
    expiresAt: new Date(NOW + 90 * DAY).toISOString(),
    lastUsedAt: null,
  });
  expect((await store.console.token(hash('sha256', token)))?.token.id).toBe(made.id);
  expect(await control.tokens.list('anna')).toEqual([made]);
  expect(await control.tokens.list('eve')).toEqual([]);
  await expect(control.tokens.remove(made.id, 'eve')).rejects.toMatchObject({ subject: 'token' });
  expect(await control.tokens.remove(made.id)).toEqual({ id: made.id, removed: true });
  const rows = await store.audit.changes({ limit: 9 });
  expect(rows.map(({ action }) => action)).toEqual(['token.remove', 'token.add', 'account.add']);
  expect(JSON.stringify(rows)).not.toContain(token.slice(4, 20));
});

test.each([
  [{ scopes: [] }, 'scopes'],
  [{ scopes: ['all'] }, 'scopes'],
  [{ scopes: ['queue:write'] }, 'scopes'],
  [{ scopes: ['messages:read'], networks: ['example.net'] }, 'networks'],
  [{ scopes: ['messages:read'], networks: ['192.0.2.0/33'] }, 'networks'],
  [{ scopes: ['messages:read'], expiresAt: NOW }, 'expiresAt'],
  [{ scopes: ['messages:read'], credential: 'nobody' }, 'user'],
  [{ scopes: ['messages:read'], name: ' ' }, 'name'],
])('a token %j of a reader is refused for its %s', async (change, subject) => {
  const { control } = await testControl();
  await control.accounts.add({ name: 'rita', role: 'reader' });
  await expect(control.tokens.add({ name: 'x', account: 'rita', ...change })).rejects.toMatchObject({ subject });
});

test('a finding is muted with a reason and an end', async () => {
  const { control } = await testControl();
  const mute = { check: 'ptr', subject: '192.0.2.25', reason: 'asked the hoster', until: NOW + DAY };
  expect(await control.mutes.add(mute)).toMatchObject({ by: 'anna', until: new Date(NOW + DAY).toISOString() });
  expect(await control.mutes.list()).toHaveLength(1);
  await expect(control.mutes.add({ ...mute, reason: ' ' })).rejects.toMatchObject({ subject: 'reason' });
  await expect(control.mutes.add({ ...mute, until: NOW })).rejects.toMatchObject({ subject: 'until' });
  await control.mutes.remove('ptr', '192.0.2.25');
  await expect(control.mutes.remove('ptr', '192.0.2.25')).rejects.toMatchObject({ kind: 'not found', subject: 'finding' });
});
