/** Requests that are repeated because their answer has never come. */
import { expect, test } from 'vitest';
import { makesSomething } from '../../../src/console/idempotency.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { createWorks, type QueueResult, type Works } from '../../../src/control/control.ts';
import { MINUTE } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { NOW, newMessage, put } from '../../support/store-rig.ts';

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

const selection = { user: 'shop' };
const STEPS: readonly (readonly [string, object])[] = [
  ['/destinations/example.net/resume', {}],
  ...(['retry', 'hold', 'release', 'reroute'] as const).map((action) => [`/queue/${action}`, { selection }] as const),
  ['/queue/remove', { selection, upTo: '~' }],
];

/** These change nothing, or are as those above that make the same. */
const OTHERS = [
  ...['/queue/preview', '/credentials/:name/check-sender', '/domains/:name/check', '/doctor', '/config/check', '/tls/check'],
  ...['/providers/:key/probe', '/providers/:key/open', '/domains/:name/rotate'],
  ...['/tls/reports/:day/:domain/send', '/tls/reports/suppress'], // without a body
];

/** A relay that was killed between the last change and the answer. */
const killed = { endRequest: async () => {} };

test('what was made before the relay was killed has its answer with it, also a password that is shown once', async () => {
  await using console = await startTestConsole();
  console.set({ tls: { mode: 'acme', acme: { acceptTerms: true } } });
  const store = Object.assign(console.store.console, killed);
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
  const routes = ROUTES.filter((route) => makesSomething(route) && route.when !== 'firstRun');
  expect(routes.filter(({ path, goesOn }) => !known.has(path) && goesOn === undefined).map(({ path }) => path)).toEqual([]);
});

test('what is done in steps goes on with what is left, if the relay was killed before its answer was kept', async () => {
  let now = NOW;
  await using console = await startTestConsole({ now: () => now });
  const messages = Array.from({ length: 3 }, () => newMessage({ user: 'shop' }));
  for (const message of messages) await put(console.store, message);
  const { endRequest } = Object.assign({}, console.store.console);
  for (const [i, [path, body]] of STEPS.entries()) {
    const ask = () => console.ask('POST', path, body, { headers: { 'idempotency-key': `steps ${i}` } });
    Object.assign(console.store.console, killed);
    expect((await ask()).status, path).toBe(202);
    expect((await ask()).body.type, 'the first may still be under way').toBe('/api/problems#still-running');
    now += MINUTE;
    Object.assign(console.store.console, { endRequest });
    const again = await ask();
    expect([again.status, again.body.state, again.headers.get('idempotent-continued')], path).toEqual([202, 'done', 'true']);
    const third = await ask();
    expect([third.body, third.headers.get('idempotent-replayed')], path).toEqual([again.body, 'true']);
  }
});

test('work whose relay was killed after it had said that the work goes on is gone on with', async () => {
  const [before, after] = [createWorks<QueueResult>(), createWorks<QueueResult>()];
  let works: Works<QueueResult> = { ...before, start: (work) => before.start(work, () => new Promise(() => {})) };
  await using console = await startTestConsole({
    works: {
      start: (...given) => works.start(...given),
      running: (owner) => works.running(owner),
      isOurs: (id) => works.isOurs(id),
      find: (...given) => works.find(...given),
    },
  });
  const messages = Array.from({ length: 3 }, () => newMessage({ user: 'shop' }));
  for (const message of messages) await put(console.store, message);
  const body = { selection: { user: 'shop' } };
  const ask = () => console.ask('POST', '/queue/hold', body, { headers: { 'idempotency-key': 'hold shop' } });
  const begun = await ask();
  expect([begun.status, begun.body.state]).toEqual([202, 'running']);
  const replayed = await ask();
  expect([replayed.body, replayed.headers.get('idempotent-replayed')], 'it still goes on').toEqual([begun.body, 'true']);
  await console.store.messages.hold({ ids: [messages[0]!.id] }, NOW); // the first step
  works = after; // another process
  const again = await ask();
  expect([again.headers.get('idempotent-continued'), again.body.result.changed.count]).toEqual(['true', 2]);
  expect(again.headers.get('location')).toBe(`/api/v1/queue/work/${again.body.id}`);
});

test('a login whose held mail was to leave is answered as before, also if the relay was killed then', async () => {
  await using console = await startTestConsole();
  await console.control.users.add({ name: 'shop', senders: ['@shop.example'] });
  await console.control.behaviour.hold('shop', {});
  Object.assign(console.store.console, killed);
  const ask = () => console.ask('POST', '/credentials/shop/release', {}, { headers: { 'idempotency-key': 'release' } });
  const first = await ask();
  expect([first.status, first.body.state]).toEqual([200, 'releasing']);
  const again = await ask();
  expect([again.body, again.headers.get('idempotent-replayed')]).toEqual([first.body, 'true']);
});

test('a key belongs to the token that sent it, and not to another one of the same name', async () => {
  await using console = await startTestConsole();
  for (const [value, account] of [
    ['first', 'admin'],
    ['second', 'operator'],
  ] as const)
    await console.people.token(value, { account, name: 'ci', scopes: ['credentials:write'] });
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
  for (const account of ['admin', 'operator'])
    await console.people.token(`token-${account}`, { account, name: 'ci', scopes: ['queue:write'] });
  const { body } = await console.ask('POST', '/queue/retry', { selection: { all: true } }, { as: { token: 'token-admin' } });
  const look = (token: string) => console.ask('GET', `/queue/work/${body.id}`, undefined, { as: { token } });
  expect((await look('token-admin')).status).toBe(200);
  expect((await look('token-operator')).status).toBe(404);
});
