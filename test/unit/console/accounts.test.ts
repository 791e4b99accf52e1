/** Accounts, sessions, tokens and changes over the API. */
import { expect, test } from 'vitest';
import { DAY, MINUTE } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { NOW } from '../../support/store-rig.ts';

test('a new account gets a link, whose code sets its password once', async () => {
  await using console = await startTestConsole();
  const made = await console.ask('POST', '/accounts', { name: 'Bea', role: 'operator' });
  expect(made).toMatchObject({ status: 201, body: { name: 'bea', role: 'operator' } });
  const { code } = made.body;
  const as = 'none';
  const wrong = await console.ask('POST', '/setup/look', { code: `${code.slice(0, -1)}0` }, { as });
  expect([wrong.status, console.failures.length]).toEqual([404, 1]);
  expect((await console.ask('POST', '/setup/look', { code }, { as })).body).toEqual({ account: 'bea' });
  expect((await console.ask('POST', '/setup', { code, password: 'short' }, { as })).status).toBe(422);
  const password = 'a long enough password';
  const two = await Promise.all([1, 2].map(() => console.ask('POST', '/setup', { code, password }, { as })));
  expect(two.map(({ status }) => status).sort()).toEqual([201, 404]);
  expect((await console.ask('POST', '/session', { name: 'bea', password }, { as })).status).toBe(201);
  expect(console.events.map(({ event }) => event)).toEqual(['consoleSetup', 'consoleLogin']);
});

test('of two who use the setup code at once one is the first administrator', async () => {
  await using console = await startTestConsole();
  for (const name of ['admin', 'operator', 'reader']) await console.store.console.removeAccount(name, { force: true });
  const { code } = await console.control.accounts.setup();
  const take = (name: string) =>
    console.ask('POST', '/setup', { code: code.toLowerCase(), name, password: 'a long enough password' }, { as: 'none' });
  const both = await Promise.all([take('one'), take('two')]);
  expect(both.map(({ status }) => status).sort()).toEqual([201, 404]);
  expect(await console.control.accounts.list()).toMatchObject([{ role: 'admin', hasPassword: true }]);
});

test('the last administrator cannot be made less', async () => {
  await using console = await startTestConsole();
  for (const [method, body] of [
    ['PATCH', { role: 'reader' }],
    ['PATCH', { disabled: true }],
    ['DELETE', undefined],
  ] as const)
    expect((await console.ask(method, '/accounts/admin', body)).status).toBe(409);
});

test('a change only goes on if the account is as the caller saw it', async () => {
  await using console = await startTestConsole();
  const etag = (await console.ask('GET', '/accounts/reader')).headers.get('etag')!;
  const same = await console.ask('GET', '/accounts/reader', undefined, { headers: { 'if-none-match': etag } });
  expect([same.status, same.body, same.headers.get('etag')]).toEqual([304, '', etag]);
  const change = (body: unknown, match: string) =>
    console.ask('PATCH', '/accounts/reader', body, { headers: { 'if-match': match } });
  const both = await Promise.all([change({ role: 'operator' }, etag), change({ disabled: true }, etag)]);
  expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
  expect((await change({ disabled: false }, '*')).status).toBe(200);
  expect((await change({ disabled: true }, '"other"')).body.type).toBe('/api/problems#changed-meanwhile');
});

test('everybody sees and ends the own sessions, and an administrator all', async () => {
  await using console = await startTestConsole();
  await console.people.session('reader', 'another');
  const as = 'reader';
  const mine = await console.ask('GET', '/sessions?account=admin', undefined, { as });
  expect(mine.body.items.map(({ account, current }: any) => [account, current])).toEqual(
    expect.arrayContaining([
      ['reader', true],
      ['reader', false],
    ]),
  );
  const all = (await console.ask('GET', '/sessions')).body.items;
  expect(all).toHaveLength(4);
  const foreign = all.find(({ account }: any) => account === 'operator').id;
  expect((await console.ask('DELETE', `/sessions/${foreign}`, undefined, { as })).status).toBe(404);
  expect((await console.ask('DELETE', '/sessions', undefined, { as })).body).toEqual({ ended: 1 });
  expect((await console.ask('GET', '/session', undefined, { as })).body.signedIn).toBe(true);
  expect((await console.ask('DELETE', `/sessions/${foreign}`)).status).toBe(204);
  expect((await console.ask('GET', '/session', undefined, { as: 'operator' })).body.signedIn).toBe(false);
});

test('a token is shown once, does what its scopes say, from its networks, until its end', async () => {
  let now = NOW;
  await using console = await startTestConsole({ now: () => now });
  const make = (more = {}) => console.ask('POST', '/tokens', { name: 'ci', scopes: ['metrics:read'], ...more });
  const { status, body } = await make();
  expect(status).toBe(201);
  expect(body.token).toMatch(/^smh_[0-9A-Za-z]{49}$/);
  expect(JSON.stringify((await console.ask('GET', '/tokens')).body)).not.toContain(body.token);
  const used = async (token: string) => (await console.ask('GET', '/status', undefined, { as: { token } })).status;
  expect(await used(body.token)).toBe(200);
  expect(await used(`${body.token.slice(0, -1)}!`)).toBe(401);
  expect((await console.ask('GET', '/tokens')).body.items[0]).toMatchObject({ lastUsedIp: '127.0.0.1', account: 'admin' });
  expect(await used((await make({ networks: ['192.0.2.0/24'] })).body.token)).toBe(401);
  expect((await make({ networks: ['nowhere'] })).body.errors[0].pointer).toBe('/networks');
  expect((await make({ expiresAt: 'soon' })).body.errors[0].pointer).toBe('/expiresAt');
  now += 90 * DAY;
  expect(await used(body.token)).toBe(401);
});

test('a token is worth no more than the account that made it', async () => {
  await using console = await startTestConsole();
  await console.people.account('bea', { role: 'reader', credentials: ['shop'] });
  await console.people.token('writes', { account: 'bea', scopes: ['credentials:write', 'metrics:read'] });
  const ask = (path: string) => console.ask('GET', path, undefined, { as: { token: 'writes' } });
  expect((await ask('/credentials')).status).toBe(403);
  expect((await ask('/status')).status).toBe(200);
  await console.store.console.changeAccount('bea', { disabled: true });
  expect((await ask('/status')).status).toBe(401);
});

test('each change is in the list once, with who made it and from where', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/accounts', { name: 'bea', role: 'reader' });
  await console.ask('PATCH', '/accounts/bea', { disabled: true });
  const { body } = await console.ask('GET', '/changes?limit=1');
  expect(body.items).toMatchObject([
    {
      ...{ actor: 'admin', way: 'session', address: '127.0.0.1', action: 'account.set', target: 'bea' },
      ...{ before: { disabled: false }, after: { disabled: true } },
    },
  ]);
  const older = await console.ask('GET', `/changes?limit=500&before=${body.next}&action=account`);
  expect(older.body).toMatchObject({ items: [{ action: 'account.add', target: 'bea' }], next: null });
  for (const query of ['limit=0', 'limit=501', 'before=x', 'since=x', 'unknown=1'])
    expect((await console.ask('GET', `/changes?${query}`)).status, query).toBe(422);
});

test('a request with the same Idempotency-Key is done once and answered twice, and its secret is not readable in the store', async () => {
  await using console = await startTestConsole();
  const make = (body: unknown, key = 'a key') => console.ask('POST', '/tokens', body, { headers: { 'idempotency-key': key } });
  const body = { name: 'ci', scopes: ['metrics:read'] };
  const both = await Promise.all([make(body), make(body)]);
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
  const first = both.find(({ status }) => status === 201)!;
  const again = await make(body);
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  expect(again.body).toEqual(first.body);
  expect((await make({ ...body, name: 'other' })).body.type).toBe('/api/problems#key-reused');
  expect((await make({ ...body, scopes: [] }, 'another')).status).toBe(422);
  expect((await make({ ...body, name: 'ci of tuesday' }, 'another')).status).toBe(201);
  expect((await make(body, 'a third')).body.detail).toBe('admin has a token named ci already: give another name.');
  expect((await make(body, '')).status).toBe(400);
  expect((await console.ask('GET', '/tokens')).body.items.map(({ name }: any) => name)).toEqual(
    expect.arrayContaining(['ci', 'ci of tuesday']),
  );
});

test('what is dangerous needs the password again', async () => {
  let now = NOW;
  await using console = await startTestConsole({ now: () => now });
  now += 11 * MINUTE;
  for (const [method, path, body] of [
    ['POST', '/accounts', { name: 'bea', role: 'reader' }],
    ['POST', '/tokens', { name: 'ci', scopes: ['metrics:read'] }],
    ['POST', '/accounts/reader/reset', {}],
    ['DELETE', '/accounts/reader', undefined],
  ] as const)
    expect((await console.ask(method, path, body)).body.type, path).toBe('/api/problems#confirm-first');
});
