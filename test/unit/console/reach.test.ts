/** What a caller keeps, and what it loses: rights of one credential, streams after a logout, the works of a namesake, and what strangers repeat. */
import { createHash } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { askOnce, startTestConsole } from '../../support/console.ts';
import { NOW, newMessage } from '../../support/store-rig.ts';

afterEach(() => void vi.useRealTimers());

test('a token that is confined to a credential changes nothing of others, and reads nothing of them', async () => {
  await using console = await startTestConsole();
  const other = newMessage({ user: 'exchange', acceptedAt: NOW });
  await console.store.messages.accept({ message: other });
  const scopes = ['messages:read', 'messages:send', 'queue:write', 'credentials:write', 'domains:write', 'metrics:read'];
  const ask = async (method: string, path: string, body?: unknown) => {
    const token = `${method} ${path}`.replaceAll(/\W/g, '-'); // one for each, because each may ask ten times a second only
    await console.people.token(token, { credential: 'shop', scopes });
    return [path, (await console.ask(method, path, body, { as: { token } })).status] as const;
  };
  const selection = { selection: { all: true } };
  for (const path of ['/queue/preview', '/queue/remove', '/queue/hold'])
    expect(await ask('POST', path, selection)).toEqual([path, 403]);
  expect(await ask('POST', '/test-messages', { to: 'a@b.example' })).toEqual(['/test-messages', 403]);
  for (const path of ['/providers', '/tls/policies', '/credentials', '/credentials/shop', '/domains', '/doctor'])
    expect(await ask('GET', path)).toEqual([path, 403]);
  for (const path of ['/messages', '/queue', '/status', '/history']) expect(await ask('GET', path)).toEqual([path, 200]);
  expect(await ask('GET', `/messages/${other.id}/headers`)).toEqual([`/messages/${other.id}/headers`, 404]);
  const { recipients } = await console.control.queue.show(other.id);
  expect(recipients.map(({ state }) => state)).toEqual(recipients.map(() => 'queued'));
});

test('a token with the name of an account does not see its works', async () => {
  await using console = await startTestConsole();
  await console.people.token('its-token', { name: 'operator', scopes: ['queue:write'] });
  const begun = await console.ask('POST', '/queue/hold', { selection: { all: true } }, { as: 'operator' });
  const path = `/queue/work/${begun.body.id}`;
  expect((await console.ask('GET', path, undefined, { as: 'operator' })).status).toBe(200);
  expect((await console.ask('GET', path, undefined, { as: { token: 'its-token' } })).status).toBe(404);
});

type TestConsole = Awaited<ReturnType<typeof startTestConsole>>;

test.each([
  ['a logout', ({ store }: TestConsole) => store.console.endSessions('reader')],
  ['the end of the account', ({ store }: TestConsole) => store.console.removeAccount('reader')],
  ['less sight', ({ store }: TestConsole) => store.console.changeAccount('reader', { credentials: ['shop'] })],
])('a stream ends after %s', async (_, change) => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  await using console = await startTestConsole();
  const { status, pieces } = await console.open('/messages/live', 'reader');
  expect(status).toBe(200);
  await change(console);
  await vi.advanceTimersByTimeAsync(10_000);
  const texts: string[] = [];
  for await (const piece of pieces) texts.push(piece); // to its end, if there is one
  expect(texts.join('')).toContain('retry:');
});

test('a stream goes on while its caller has the same rights', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  await using console = await startTestConsole();
  const { pieces, close } = await console.open('/log/live', 'operator');
  const texts = pieces[Symbol.asyncIterator]();
  expect((await texts.next()).value).toContain('retry:');
  await vi.advanceTimersByTimeAsync(20_000);
  expect((await texts.next()).value, 'a sign of life after 15 seconds').toContain(':\n\n');
  close();
});

test('the addresses of one customer are one client: changing them gives no more logins, codes or requests', async () => {
  vi.useFakeTimers({ toFake: ['performance'] }); // the minute does not pass, however busy the machine is
  await using console = await startTestConsole({}, { proxyTrust: ['127.0.0.0/8'] });
  const from = (host: number) => ({ 'x-forwarded-for': `2001:db8:1:2::${host.toString(16)}` });
  const login = (host: number) =>
    console.ask('POST', '/session', { name: 'admin', password: 'wrong' }, { as: 'none', headers: from(host) });
  const statuses: number[] = [];
  for (let host = 1; host <= 6; host++) statuses.push((await login(host)).status);
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
  const look = (host: number) => console.ask('POST', '/setup/look', { code: 'wrong' }, { as: 'none', headers: from(host) });
  const looked: number[] = [];
  for (let host = 1; host <= 6; host++) looked.push((await look(host)).status);
  expect(looked).toEqual([404, 404, 404, 404, 404, 429]);
});

test('a report of a browser with values that are no texts is taken, and nothing fails', async () => {
  await using console = await startTestConsole();
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const text = `{"csp-report":{"effective-directive":"img-src","blocked-uri":{"toString":1},"document-uri":${deep}}}`;
  const headers = { 'content-type': 'application/csp-report', 'sec-fetch-site': 'same-origin' };
  expect((await askOnce(`${console.origin}/api/csp-reports`, 'POST', headers, text)).status).toBe(204);
  expect(console.events).toMatchObject([{ event: 'consolePolicy', directive: 'img-src', blocked: '', document: '' }]);
});

test.each(['', 'a\u0007b'])('the first administrator has a name that commands know: not %j', async (name) => {
  await using console = await startTestConsole();
  for (const one of ['admin', 'operator', 'reader']) await console.store.console.removeAccount(one, { force: true });
  const code = 'ABCD2345EFGH';
  const hash = createHash('sha256').update(code).digest('hex');
  await console.store.console.putLink({ id: 'ABCD', hash, account: null, expiresAt: NOW + 1000, triesLeft: 5 });
  const set = (body: object) => console.ask('POST', '/setup', { code, password: 'long enough for all', ...body }, { as: 'none' });
  expect((await set(name === '' ? {} : { name })).status).toBe(422);
  expect((await set({ name: 'Anna' })).body).toEqual({ name: 'anna' });
  expect((await console.control.accounts.list()).map((one) => one.name)).toEqual(['anna']);
});
