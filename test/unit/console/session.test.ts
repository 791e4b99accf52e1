/** Logins, sessions, the second factor and one-time links. */
import { Secret, TOTP } from 'otpauth';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createConsolePasswords } from '../../../src/credentials/credentials.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { NOW } from '../../support/store-rig.ts';

const PASSWORD = 'correct horse battery';
const hashed = async (password = PASSWORD) =>
  (await createConsolePasswords().hash(password, { client: '', network: '', known: true }))!;

async function withAnna(change = {}, now = () => NOW, settings = {}) {
  const console = await startTestConsole({ now }, settings);
  await console.people.account('anna', { role: 'operator', passwordHash: await hashed(), ...change });
  const logIn = (more = {}) => console.ask('POST', '/session', { name: 'anna', password: PASSWORD, ...more }, { as: 'none' });
  /** What the browser has after a login. */
  const cookieOf = (headers: Headers) => headers.get('set-cookie')!.split(';')[0]!.split('=')[1]!;
  return { console, logIn, cookieOf };
}

test('a login gives a cookie that no script reads, and the value that changes need', async () => {
  const { console, logIn, cookieOf } = await withAnna();
  await using _ = console;
  const { status, headers, body } = await logIn();
  expect(status).toBe(201);
  expect(headers.get('set-cookie')).toMatch(/^smarthost-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=604800$/);
  expect(body).toMatchObject({
    name: 'anna',
    role: 'operator',
    credentials: null,
    secondFactor: false,
    secondFactorNeeded: false,
  });
  const session = { session: cookieOf(headers) };
  expect((await console.ask('GET', '/session', undefined, { as: session })).body).toEqual(body);
  expect(await console.ask('DELETE', '/session', undefined, { as: session })).toMatchObject({ status: 204, body: '' });
  expect((await console.ask('GET', '/session', undefined, { as: session })).body).toEqual({ signedIn: false });
  expect(console.events).toMatchObject([{ event: 'consoleLogin', account: 'anna', ip: '127.0.0.1' }]);
  expect(JSON.stringify(await console.store.console.sessions())).not.toContain(session.session);
});

test('a login ends the session that the browser had, so that a planted cookie is of no use', async () => {
  const { console, logIn, cookieOf } = await withAnna();
  await using _ = console;
  await console.people.session('anna', 'planted');
  const port = new URL(console.origin).port;
  const { headers } = await console.ask(
    'POST',
    '/session',
    { name: 'anna', password: PASSWORD },
    { as: 'none', headers: { cookie: `smarthost-${port}=planted` } },
  );
  expect(cookieOf(headers)).not.toBe('planted');
  expect((await console.ask('GET', '/session', undefined, { as: { session: 'planted' } })).body.signedIn).toBe(false);
  expect((await logIn()).status).toBe(201);
});

test('an unknown name, a wrong password and an account without one get the same answer, and are counted', async () => {
  const { console, logIn } = await withAnna();
  await using _ = console;
  const answers = [await logIn({ password: 'wrong' }), await logIn({ name: 'hunter2' }), await logIn({ name: 'reader' })];
  for (const { status, body } of answers)
    expect([status, body.type, body.detail]).toEqual([401, '/api/problems#wrong-login', 'Name or password is wrong.']);
  // People type their password in the place of their name: a name that no account has is kept nowhere.
  const names = ['anna', '(no such account)', 'reader'];
  expect(console.failures.map(({ name }) => name)).toEqual(names);
  expect(console.events.map(({ account }) => account)).toEqual(names);
  expect(console.lines.join('')).not.toContain('hunter2');
  expect(console.events.map(({ event }) => event)).toEqual(Array(3).fill('consoleLoginFailed'));
  const rows = await console.store.audit.changes({ limit: 9, action: 'session.refused' });
  expect(rows.map(({ actor, address, after }) => [actor, address, after]).reverse()).toEqual(
    names.map((name) => [name, '127.0.0.1', { reason: 'wrong password' }]),
  );
});

test('an address that has failed too often gets 429, and a session of it goes on', async () => {
  const { console, logIn } = await withAnna();
  await using _ = console;
  console.blocked.add('127.0.0.1');
  const { status, headers } = await logIn();
  expect([status, headers.get('retry-after')]).toEqual([429, '60']);
  expect((await console.ask('GET', '/status')).status).toBe(200);
});

test('wrong logins of an address are few a minute; right ones do not count', async () => {
  vi.useFakeTimers({ toFake: ['performance'] }); // the minute does not pass, however busy the machine is
  onTestFinished(() => void vi.useRealTimers());
  const { console, logIn } = await withAnna();
  await using _ = console;
  for (let i = 0; i < 7; i++) expect((await logIn()).status).toBe(201);
  for (let i = 0; i < 5; i++) expect((await logIn({ password: `wrong ${i}` })).status).toBe(401);
  const { status, headers } = await logIn();
  expect(status).toBe(429);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
});

test('a session ends after its idle time, and after its lifetime although it is used', async () => {
  let now = NOW;
  const { console, logIn, cookieOf } = await withAnna({}, () => now);
  await using _ = console;
  const as = { session: cookieOf((await logIn()).headers) };
  const used = async () => (await console.ask('GET', '/session', undefined, { as })).body.signedIn;
  for (let i = 0; i < 14; i++) {
    now += 12 * HOUR;
    expect(await used()).toBe(true);
  }
  now = NOW + 7 * DAY + 1;
  expect(await used()).toBe(false);
  const idle = { session: cookieOf((await logIn()).headers) };
  now += 12 * HOUR + 1;
  expect((await console.ask('GET', '/session', undefined, { as: idle })).body.signedIn).toBe(false);
});

test('a request of a page that nobody sees is no use of the session', async () => {
  let now = NOW;
  const { console, logIn, cookieOf } = await withAnna({}, () => now);
  await using _ = console;
  const as = { session: cookieOf((await logIn()).headers) };
  now += 11 * HOUR;
  await console.ask('GET', '/session', undefined, { as, headers: { 'x-smarthost-unseen': '1' } });
  now += 2 * HOUR;
  expect((await console.ask('GET', '/session', undefined, { as })).body.signedIn).toBe(false);
});

test('a disabled account is told so only with its password, and its sessions have ended', async () => {
  const { console, logIn, cookieOf } = await withAnna();
  await using _ = console;
  const as = { session: cookieOf((await logIn()).headers) };
  await console.store.console.changeAccount('anna', { disabled: true });
  expect((await logIn()).status).toBe(403);
  expect((await logIn({ password: 'wrong' })).status).toBe(401);
  expect((await console.ask('GET', '/session', undefined, { as })).body.signedIn).toBe(false);
});

const codeAt = (secret: string, timestamp: number) => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp });

test('a second factor is set with its first code; each code and each recovery code counts once', async () => {
  let now = NOW;
  const { console, logIn, cookieOf } = await withAnna({}, () => now);
  await using _ = console;
  const as = { session: cookieOf((await logIn()).headers) };
  const { secret, uri, svg } = (await console.ask('POST', '/session/factor/new', {}, { as })).body;
  expect(uri).toContain(`secret=${secret}`);
  expect(svg).toMatch(/^<svg/);
  const wrong = await console.ask('POST', '/session/factor', { secret, code: '000000' }, { as });
  expect([wrong.status, wrong.body.errors[0].pointer]).toEqual([422, '/code']);
  const set = await console.ask('POST', '/session/factor', { secret, code: codeAt(secret, now) }, { as });
  expect(set.status).toBe(201);
  expect(set.body.recoveryCodes).toHaveLength(8);
  expect((await logIn()).body.type).toBe('/api/problems#code-needed');
  expect((await logIn({ code: codeAt(secret, now) })).body.detail).toBe('The code is wrong, or was used before.');
  now += MINUTE;
  expect((await logIn({ code: codeAt(secret, now) })).status).toBe(201);
  expect((await logIn({ code: codeAt(secret, now) })).status).toBe(401);
  const [recovery] = set.body.recoveryCodes;
  expect((await logIn({ code: recovery })).status).toBe(201);
  expect((await logIn({ code: recovery })).status).toBe(401);
  const stored = JSON.stringify(await console.store.console.account('anna'));
  for (const code of set.body.recoveryCodes) expect(stored).not.toContain(code);
});

test('a second factor that is set up, and one that is taken away, ends all sessions but the one that does it', async () => {
  let now = NOW;
  const { console, logIn, cookieOf } = await withAnna({}, () => now);
  await using _ = console;
  const begun = async (given = {}) => ({ session: cookieOf((await logIn(given)).headers) });
  const isSignedIn = async (as: { session: string }) => (await console.ask('GET', '/session', undefined, { as })).body.signedIn;
  const [mine, stolen] = [await begun(), await begun()];
  const { secret } = (await console.ask('POST', '/session/factor/new', {}, { as: mine })).body;
  await console.ask('POST', '/session/factor', { secret, code: '000000' }, { as: mine });
  expect(await isSignedIn(stolen), 'nothing was changed').toBe(true);
  const { status } = await console.ask('POST', '/session/factor', { secret, code: codeAt(secret, now) }, { as: mine });
  expect([status, await isSignedIn(mine), await isSignedIn(stolen)]).toEqual([201, true, false]);
  now += MINUTE;
  const later = await begun({ code: codeAt(secret, now) });
  expect(await isSignedIn(later)).toBe(true);
  expect((await console.ask('DELETE', '/session/factor', undefined, { as: mine })).status).toBe(204);
  expect([await isSignedIn(mine), await isSignedIn(later)]).toEqual([true, false]);
});

test('console.secondFactor required: nothing but setting one up is possible without one', async () => {
  const { console, logIn, cookieOf } = await withAnna({}, () => NOW, { secondFactor: 'required' });
  await using _ = console;
  const { headers, body } = await logIn();
  expect(body.secondFactorNeeded).toBe(true);
  const as = { session: cookieOf(headers) };
  expect((await console.ask('GET', '/status', undefined, { as })).body.type).toBe('/api/problems#factor-needed');
  const { secret } = (await console.ask('POST', '/session/factor/new', {}, { as })).body;
  await console.ask('POST', '/session/factor', { secret, code: codeAt(secret, NOW) }, { as });
  expect((await console.ask('GET', '/status', undefined, { as })).status).toBe(200);
  expect((await console.ask('DELETE', '/session/factor', undefined, { as })).status).toBe(409);
});

test('a new password needs the old one again after 10 minutes, and ends all other sessions', async () => {
  let now = NOW;
  const { console, logIn, cookieOf } = await withAnna({}, () => now);
  await using _ = console;
  const [as, other] = [{ session: cookieOf((await logIn()).headers) }, { session: cookieOf((await logIn()).headers) }];
  now += 11 * MINUTE;
  const change = () => console.ask('POST', '/session/password', { password: 'a new long password' }, { as });
  expect((await change()).body.type).toBe('/api/problems#confirm-first');
  expect((await console.ask('POST', '/session/confirm', { password: 'wrong' }, { as })).status).toBe(401);
  expect((await console.ask('POST', '/session/confirm', { password: PASSWORD }, { as })).status).toBe(204);
  const { status, headers } = await change();
  expect(status).toBe(200);
  for (const old of [as, other]) expect((await console.ask('GET', '/session', undefined, { as: old })).body.signedIn).toBe(false);
  expect((await console.ask('GET', '/session', undefined, { as: { session: cookieOf(headers) } })).body.signedIn).toBe(true);
  expect((await logIn()).status).toBe(401);
  expect((await logIn({ password: 'a new long password' })).status).toBe(201);
});

test('a password that is short, or the name of the account or the relay, is refused', async () => {
  await using console = await startTestConsole();
  for (const password of ['short', 'Relay.Example.Net', 'x\u0000yyyyyyyyyyyyy']) {
    const { status, body } = await console.ask('POST', '/session/password', { password });
    expect([status, body.errors[0].pointer], password).toEqual([422, '/password']);
  }
});
