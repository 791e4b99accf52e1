/** Credentials over the API, with what the command line says about the same mistakes. */
import { expect, test } from 'vitest';
import { keepLastLogin } from '../../../src/control/control.ts';
import { createCredentials } from '../../../src/credentials/credentials.ts';
import { holdKey, loginKey } from '../../../src/policy/policy.ts';
import { MINUTE } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { NOW } from '../../support/store-rig.ts';

const SHOP = { name: 'Shop', kind: 'application', senders: ['@shop.example'] };

test('a credential is added, its password is answered once, and it can log in', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('POST', '/credentials', SHOP);
  expect(status).toBe(201);
  expect(body).toEqual({ name: 'shop', password: expect.any(String) });
  const { verify } = createCredentials({ store: console.store.credentials, cacheFor: 0 });
  expect((await verify('shop', body.password)).result).toBe('ok');
  const shown = await console.ask('GET', '/credentials/shop');
  expect(shown.body).toMatchObject({
    name: 'shop',
    senders: ['@shop.example'],
    profile: 'app',
    lastLogin: null,
    revision: expect.any(Number),
  });
  expect(JSON.stringify(shown.body)).not.toContain(body.password);
  expect((await console.ask('POST', '/credentials', SHOP)).status).toBe(409);
});

test('what sends chooses the values that nobody gave', async () => {
  await using console = await startTestConsole();
  const kinds = ['exchange', 'mailServer', 'application', 'device', 'person'];
  for (const kind of kinds)
    await console.ask('POST', '/credentials', { name: kind, kind, senders: ['@x.example'], password: 'p' });
  const { body } = await console.ask('GET', '/credentials');
  const of = (name: string) => body.items.find((one: { name: string }) => one.name === name.toLowerCase());
  expect(kinds.map((kind) => of(kind).mailServer)).toEqual([true, true, false, false, false]);
  expect(of('device').limits).toEqual([{ kind: 'messages', count: 100, per: 'day' }]);
  expect(of('exchange').limits).toEqual([]);
  expect((await console.ask('GET', '/credentials/person')).body.profile).toBe('person');
});

test('all wrong values are told at once, in the sentences of the command line, and nothing is added', async () => {
  await using console = await startTestConsole();
  const wrong = {
    ...{ name: '', senders: ['@x.example', 'nobody'], limits: ['bytes=1/day', '3/week'] },
    ...{ expiresAt: '2027-02-31', rewrite: 'x', profile: 'robot', contact: 'y', password: '' },
  };
  const { status, body } = await console.ask('POST', '/credentials', wrong);
  expect(status).toBe(422);
  const told = Object.fromEntries(body.errors.map(({ pointer, detail }: Record<string, string>) => [pointer!, detail]));
  expect(Object.keys(told).sort()).toEqual([
    ...['/contact', '/expiresAt', '/limits/0', '/limits/1', '/name', '/password', '/profile', '/rewrite', '/senders/1'],
  ]);
  expect(told['/senders/1']).toBe('senders must be a mail address such as admin@example.net, not "nobody"');
  expect(told['/limits/1']).toMatch(/^limits must be a limit such as 1000\/day/);
  expect(told['/expiresAt']).toMatch(/^expiresAt must be a date such as 2027-12-31/);
  expect((await console.ask('GET', '/credentials')).body.items).toEqual([]);
  const unknown = await console.ask('POST', '/credentials', { ...SHOP, sender: 'x' });
  expect(unknown.status).toBe(422);
  expect(unknown.body.errors).toMatchObject([{ pointer: '/sender' }]);
  expect((await console.ask('POST', '/credentials', { name: 'shop' })).body.errors[0].pointer).toBe('/senders');
});

test('a change keeps what it does not name; limits are taken as they are shown', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/credentials', SHOP);
  const limits = [{ kind: 'recipients', count: 7, per: 'hour' }];
  const set = await console.ask('PATCH', '/credentials/shop', { limits, disabled: true, contact: 'anna@shop.example' });
  expect(set.body).toMatchObject({ limits, disabled: true, contact: 'anna@shop.example', senders: ['@shop.example'] });
  const back = await console.ask('PATCH', '/credentials/shop', { limits: null, disabled: false, contact: null });
  expect(back.body).toMatchObject({ defaultLimits: true, disabled: false, contact: null });
  expect(back.body.revision).toBeGreaterThan(set.body.revision);
  expect((await console.ask('PATCH', '/credentials/bob', { disabled: true })).status).toBe(404);
});

test('a new password replaces the old one, and a removed credential is gone', async () => {
  await using console = await startTestConsole();
  const { body: first } = await console.ask('POST', '/credentials', SHOP);
  const { body: second } = await console.ask('POST', '/credentials/shop/password', {});
  const { verify } = createCredentials({ store: console.store.credentials, cacheFor: 0 });
  expect((await verify('shop', first.password)).result).not.toBe('ok');
  expect((await verify('shop', second.password)).result).toBe('ok');
  expect((await console.ask('DELETE', '/credentials/shop')).status).toBe(204);
  expect((await console.ask('GET', '/credentials/shop')).status).toBe(404);
});

test('settings to copy name this relay and the user, and never a password', async () => {
  await using console = await startTestConsole();
  const { body: login } = await console.ask('POST', '/credentials', SHOP);
  const { body } = await console.ask('GET', '/credentials/shop/client');
  expect(body).toMatchObject({ host: 'relay.example.net', user: 'shop', ports: [{ port: 465 }, { port: 587 }] });
  expect(body.recipes.postfix).toContain('[relay.example.net]:587 shop:PASSWORD');
  expect(body.powershell).toContain("-SmartHosts 'relay.example.net' -Port 587");
  expect(JSON.stringify(body)).not.toContain(login.password);
});

test('a sender is tried by the code that judges mail', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/credentials', SHOP);
  const tried = async (body: object) => (await console.ask('POST', '/credentials/shop/check-sender', body)).body;
  expect(await tried({ reversePath: 'a@shop.example' })).toEqual({ allowed: true, reply: null, sentAs: null });
  expect(await tried({ reversePath: 'root@web1' })).toEqual({
    ...{ allowed: false, sentAs: null },
    reply: '553 5.7.1 The login shop may not send as <root@web1>',
  });
  expect((await tried({ reversePath: 'a@shop.example', from: 'b@other.example' })).reply).toMatch(/^550 5\.7\.1 .*From: b@other/);
  await console.ask('PATCH', '/credentials/shop', { rewrite: 'noreply@shop.example' });
  expect(await tried({ reversePath: 'root@web1' })).toMatchObject({ allowed: true, sentAs: 'noreply@shop.example' });
});

test('the last login is shown, and forgotten with the credential', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/credentials', SHOP);
  await keepLastLogin(console.store, 'SHOP', { at: NOW, ip: '192.0.2.1', tls: 'TLSv1.3', mechanism: 'PLAIN' });
  const at = new Date(NOW).toISOString();
  const shown = { at, ip: '192.0.2.1', tls: 'TLSv1.3', mechanism: 'PLAIN' };
  expect((await console.ask('GET', '/credentials')).body.items[0].lastLogin).toEqual(shown);
  await console.ask('DELETE', '/credentials/shop');
  await console.ask('POST', '/credentials', SHOP);
  expect((await console.ask('GET', '/credentials/shop')).body.lastLogin).toBeNull();
});

test('mail of a credential is held, and released', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/credentials', SHOP);
  expect((await console.ask('POST', '/credentials/shop/release', {})).status).toBe(409);
  const held = await console.ask('POST', '/credentials/shop/hold', {});
  expect(held.body).toMatchObject({ state: 'held', by: 'operator', heldRecipients: 0 });
  const released = await console.ask('POST', '/credentials/shop/release', { trust: 3600 });
  expect(released.body).toMatchObject({ name: 'shop', state: 'releasing', discarded: 0 });
});

test('more than 100 held recipients are thrown away only with the password again', async () => {
  let now = NOW;
  await using console = await startTestConsole({ now: () => now });
  await console.ask('POST', '/credentials', SHOP);
  await console.ask('POST', '/credentials/shop/hold', {});
  let recipients = 100;
  const provider = holdKey({ user: loginKey('shop'), sender: '' });
  Object.assign(console.store.messages, { heldByProvider: async () => [{ provider, recipients, oldestAt: NOW }] });
  now += 11 * MINUTE;
  const ask = (body: object) => console.ask('POST', '/credentials/shop/release', body);
  recipients = 101;
  expect((await ask({ discard: true })).body.type).toBe('/api/problems#confirm-first');
  recipients = 100;
  expect((await ask({ discard: true })).status).toBe(200);
});
