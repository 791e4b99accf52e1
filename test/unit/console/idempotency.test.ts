/** Requests that are repeated because their answer has never come. */
import { expect, test } from 'vitest';
import { makesSomething } from '../../../src/console/idempotency.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { startTestConsole } from '../../support/console.ts';
import { NOW } from '../../support/store-rig.ts';

const PROVIDER = 'google';
/** In this order: each with the path of its route, if that has parameters. */
const MADE: readonly (readonly [string, object, string?])[] = [
  ['/accounts', { name: 'bea', role: 'reader' }],
  ['/accounts/bea/reset', {}, '/accounts/:name/reset'],
  ['/tokens', { name: 'ci', scopes: ['metrics:read'] }],
  ['/credentials', { name: 'shop@shop.example' }],
  ['/credentials', { name: 'bulk@shop.example', bulk: true }],
  ['/credentials/shop@shop.example/password', {}, '/credentials/:name/password'],
  ['/credentials/shop@shop.example/hold', {}, '/credentials/:name/hold'],
  ['/domains', { domain: 'shop.example' }],
  ['/doctor/mutes', { check: 'ptr', subject: 'x', reason: 'known', until: null }],
  ['/test-messages', { to: 'bob@x.example', from: 'anna@shop.example' }],
  ['/certificates/renew', {}],
  ['/config/reload', {}],
  [`/providers/${PROVIDER}/hold`, {}, '/providers/:key/hold'],
];

/** These change nothing, or much in many steps: what was done until the end of the relay cannot be answered. */
const OTHERS = [
  ...['/queue/retry', '/queue/hold', '/queue/release', '/queue/reroute', '/queue/remove', '/queue/preview'],
  ...['/destinations/:key/resume', '/credentials/:name/release', '/credentials/:name/check-sender'],
  ...['/domains/:name/check', '/doctor', '/config/check', '/tls/check', '/tls/policies/:domain/refresh'],
  ...['/providers/:key/probe', '/providers/:key/open', '/domains/:name/rotate'], // as those above that make the same
  ...['/tls/reports/:day/:domain/send', '/tls/reports/suppress'], // 204
];

test('what was made before the relay was killed has its answer with it, also a password that is shown once', async () => {
  await using console = await startTestConsole();
  console.set({ tls: { mode: 'acme', acme: { acceptTerms: true } } });
  const store = Object.assign(console.store.console, { endRequest: async () => {} }); // killed between the commit and the answer
  expect(store).toBe(console.store.console);
  for (const [i, [path, body]] of MADE.entries()) {
    const ask = () => console.ask('POST', path, body, { headers: { 'idempotency-key': `key ${i}` } });
    const first = await ask();
    expect(first.status, path).toBeLessThan(300);
    const again = await ask();
    expect([again.status, again.body, again.headers.get('location')], path).toEqual([
      ...[first.status, first.body, first.headers.get('location')],
    ]);
    expect(again.headers.get('idempotent-replayed'), path).toBe('true');
  }
});

test('no route that makes something is forgotten above', () => {
  const known = new Set([...MADE.map(([path, , pattern]) => pattern ?? path), ...OTHERS]);
  const routes = ROUTES.filter((route) => makesSomething(route) && route.when !== 'firstRun').map(({ path }) => path);
  expect(routes.filter((path) => !known.has(path))).toEqual([]);
});

test('a key belongs to the token that sent it, and not to another one of the same name', async () => {
  await using console = await startTestConsole();
  for (const [id, value] of [
    ['1', 'first'],
    ['2', 'second'],
  ] as const)
    await console.people.token(value, { id, name: 'ci', scopes: ['credentials:write'] });
  const ask = (token: string, name: string) =>
    console.ask('POST', '/credentials', { name }, { as: { token }, headers: { 'idempotency-key': 'monday' } });
  expect((await ask('first', 'a@shop.example')).status).toBe(201);
  expect((await ask('second', 'b@shop.example')).status, 'as if nobody had used the key').toBe(201);
  expect((await ask('first', 'a@shop.example')).headers.get('idempotent-replayed')).toBe('true');
});

test('a key of an account that was removed is unknown to the next one of the same name', async () => {
  await using console = await startTestConsole();
  const ask = (session: string, name: string) =>
    console.ask('POST', '/credentials', { name }, { as: { session }, headers: { 'idempotency-key': 'monday' } });
  await console.people.account('bea', { role: 'admin' });
  await console.people.session('bea', 'before');
  expect((await ask('before', 'a@shop.example')).status).toBe(201);
  await console.store.console.removeAccount('bea');
  await console.people.account('bea', { role: 'admin', createdAt: NOW + 1 });
  await console.people.session('bea', 'after');
  expect((await ask('after', 'b@shop.example')).status).toBe(201);
});

test('work on the queue is found by the token that began it alone', async () => {
  await using console = await startTestConsole();
  for (const id of ['1', '2']) await console.people.token(`token-${id}`, { id, name: 'ci', scopes: ['queue:write'] });
  const { body } = await console.ask('POST', '/queue/retry', { selection: { all: true } }, { as: { token: 'token-1' } });
  const look = (token: string) => console.ask('GET', `/queue/work/${body.id}`, undefined, { as: { token } });
  expect((await look('token-1')).status).toBe(200);
  expect((await look('token-2')).status).toBe(404);
});
