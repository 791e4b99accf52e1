/** Who is let in: by which name, from which page, as whom. */
import { expect, test } from 'vitest';
import { askOnce, startTestConsole } from '../../support/console.ts';

test('without a login, nothing but what is public answers', async () => {
  await using console = await startTestConsole();
  const { status, headers } = await console.ask('GET', '/status', undefined, { as: 'none' });
  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toBe('Bearer realm="smarthost"');
  expect((await console.ask('GET', '/status', undefined, { as: { session: 'of nobody' } })).status).toBe(401);
  expect((await console.ask('GET', '/status', undefined, { as: { token: 'unknown' } })).status).toBe(401);
});

test('a request with a cookie and a token is refused', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('GET', '/status', undefined, { as: 'both' });
  expect([status, body.type]).toEqual([400, '/api/problems#two-callers']);
});

test('a token needs the scope of the route, and says which', async () => {
  await using console = await startTestConsole();
  await console.people.token('counts', { scopes: ['metrics:read'] });
  await console.people.token('reads', { scopes: ['messages:read'] });
  expect((await console.ask('GET', '/status', undefined, { as: { token: 'counts' } })).status).toBe(200);
  const { status, body } = await console.ask('GET', '/status', undefined, { as: { token: 'reads' } });
  expect([status, body.detail]).toEqual([403, 'This needs a token with the scope metrics:read.']);
});

test('a name that is not ours is refused, and the answer says which name and which setting', async () => {
  await using console = await startTestConsole();
  const ask = (host: string) => askOnce(`${console.origin}/api/v1/status`, 'GET', { host });
  for (const host of ['localhost:8026', '127.0.0.1', '[::1]:99', '127.8.8.8:1', 'relay.example.net', 'RELAY.example.net.:8443'])
    expect((await ask(host)).status, host).toBe(401);
  for (const host of [
    'evil.example',
    '192.0.2.1',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'relay.example.net@evil',
    '[::2]',
  ])
    expect((await ask(host)).status, host).toBe(421);
  expect((await ask('evil.example:8026')).body.detail).toBe(
    'This console was asked for as "evil.example:8026", and it is known as localhost, relay.example.net. Set console.origin to add a name.',
  );
});
