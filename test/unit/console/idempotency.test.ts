/** Requests that are repeated because their answer has never come. */
import { expect, test } from 'vitest';
import { makesSomething } from '../../../src/console/idempotency.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { startTestConsole } from '../../support/console.ts';

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
