/** Mail that goes to an upstream by a route: behaviour rule 23. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Route } from '../../src/smtp/route.ts';
import { claimOf } from '../support/delivery.ts';
import { startRig } from '../support/delivery-rig.ts';
import { startMx } from '../support/mx.ts';
import type { MxServerOptions, MxStage } from '../support/mx-server.ts';
import { makePair, type Pair } from '../support/pair.ts';
import { temporaryFolder } from '../support/program.ts';

let pair: Pair;
const folder = temporaryFolder('ca');
afterAll(() => folder.remove());
let caFile: string;
beforeAll(async () => {
  pair = await makePair('up.test');
  caFile = join(folder.path, 'ca.pem');
  writeFileSync(caFile, pair.cert);
});

const login = { user: 'us@up.test', password: 'geheim é' };
const ADDRESS = '127.0.4.1';

/** A relay that sends all mail to `up.test`, which is private and asks for a login. */
async function startUpstream(options: Partial<MxServerOptions> = {}, route: Partial<Route> = {}) {
  const up = await startMx({ address: ADDRESS, hostname: 'up.test', tls: pair, auth: login, ...options });
  onTestFinished(() => up.close());
  const routes: Route[] = [{ hosts: [`up.test:${up.port}`], login, ...route }];
  const rig = await startRig({ zone: { 'up.test': { A: [ADDRESS] } }, delivery: { routes, caFile, allowPrivate: [] } });
  return { up, ...rig };
}

test.each([['PLAIN'], ['LOGIN'], ['LOGIN', 'PLAIN']] as const)('a login by %s %s over verified TLS', async (...mechanisms) => {
  const { relay, up } = await startUpstream({ auth: { ...login, mechanisms: mechanisms.filter((name) => name !== undefined) } });
  expect(relay.destinationOf({ user: 'x', reversePath: 'a@b.test' }, 'a@any.test')).toBe(`route:up.test:${up.port}`);
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'relayed', mx: 'up.test', ip: ADDRESS, tls: 'TLSv1.3' }]);
  expect(up.messages[0]).toMatchObject({ user: login.user, tls: 'TLSv1.3', servername: 'up.test' });
});

test.each([500, 502, 504, 534])('after a mechanism that is announced but answered %i, the other one is tried', async (code) => {
  const { relay, up } = await startUpstream({
    script: { AUTH: ({ line }) => (line.startsWith('AUTH PLAIN') ? `${code} 5.5.4 No` : undefined) },
  });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(up.messages[0]!.user).toBe(login.user);
});

// The port is what says it, and it takes root to listen there.
test.runIf(process.getuid?.() === 0)('implicit TLS is spoken on port 465', async () => {
  const up = await startMx({
    address: '127.0.4.65',
    port: 465,
    hostname: 'up.test',
    tls: { ...pair, implicit: true },
    auth: login,
  });
  onTestFinished(() => up.close());
  const routes: Route[] = [{ hosts: ['up.test:465'], login }];
  const { relay } = await startRig({ zone: { 'up.test': { A: ['127.0.4.65'] } }, delivery: { routes, caFile } });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
  expect(up.commands.some((line) => line.includes('STARTTLS'))).toBe(false);
});

test('a wrong password of ours delays the mail and never returns it, and the log says so without the password', async () => {
  const { relay, up } = await startUpstream({ auth: { ...login, password: 'changed' } });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'delayed', reply: { code: 535, status: '4.7.8' } }]);
  expect(relay.events).toContainEqual({
    event: 'upstreamLoginFailed',
    fields: expect.objectContaining({ mx: 'up.test', user: login.user, code: 535 }),
  });
  expect(JSON.stringify(relay.events)).not.toContain('geheim');
  expect(JSON.stringify(relay.events)).not.toContain(Buffer.from(login.password).toString('base64'));
  // It is not tried again at once: an upstream would lock us out.
  expect(await relay.send('b@any.test')).toMatchObject([{ kind: 'returned' }]);
  expect(up.sessions()).toBe(1);
});

test.each<readonly [string, Partial<MxServerOptions>]>([
  ['offers no AUTH', { auth: { ...login, mechanisms: [] } }],
  ['offers no TLS', { tls: undefined as never, auth: { ...login, clear: true } }],
])('the password does not leave where the upstream %s', async (_, options) => {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<MxServerOptions>;
  const up = await startMx({
    address: ADDRESS,
    hostname: 'up.test',
    auth: login,
    ...('tls' in options ? {} : { tls: pair }),
    ...given,
  });
  onTestFinished(() => up.close());
  for (const tls of ['verify', 'opportunistic', 'none'] as const) {
    const routes: Route[] = [{ hosts: [`up.test:${up.port}`], login, tls }];
    const { relay } = await startRig({ zone: { 'up.test': { A: [ADDRESS] } }, delivery: { routes, caFile } });
    const [outcome] = await relay.send('a@any.test');
    expect(outcome).toMatchObject({ kind: 'delayed' });
    expect(['4.7.4', '4.7.8']).toContain(outcome!.reply.status);
  }
  expect(up.commands.filter((line) => line.includes('AUTH'))).toEqual([]);
});

test('an upstream must prove its name, by default', async () => {
  const { relay, up } = await startUpstream({ tls: await makePair('other.test') });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
  expect(up.commands.some((line) => line.includes('AUTH') || line.includes('MAIL'))).toBe(false);
});

test('several hosts are tried in order, and addresses may stand for names', async () => {
  const first = await startMx({ address: '127.0.4.2', hostname: 'first.test', script: { greeting: '421 4.3.2 Busy' } });
  const second = await startMx({ address: '127.0.4.3', hostname: 'second.test', port: first.port });
  onTestFinished(async () => {
    await Promise.all([first.close(), second.close()]);
  });
  const routes: Route[] = [
    {
      recipientDomain: '*.far.test',
      tls: 'opportunistic',
      hosts: [`dead.test:${first.port}`, `127.0.4.2:${first.port}`, `127.0.4.3:${first.port}`],
    },
  ];
  const { relay, mx } = await startRig({ zone: { 'dead.test': { A: ['127.0.4.99'] } }, delivery: { routes } });
  expect(await relay.send('a@very.far.test')).toMatchObject([{ kind: 'relayed', mx: '127.0.4.3' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx0.good.test' }]);
  expect(mx.count()).toBe(1);
  expect(first.sessions()).toBe(1);
});

test('a route by MX takes the domains whose best host it names', async () => {
  const up = await startMx({ address: ADDRESS, hostname: 'up.test' });
  onTestFinished(() => up.close());
  const routes: Route[] = [{ mx: '.big.test', hosts: [`up.test:${up.port}`], tls: 'none' }];
  const zone = {
    'up.test': { A: [ADDRESS] },
    'customer.test': { MX: ['10 in.big.test', '20 mx0.good.test'] },
    'in.big.test': { A: ['127.0.4.99'] },
  };
  const { relay, mx } = await startRig({ zone, delivery: { routes } });
  expect(await relay.send('a@customer.test')).toMatchObject([{ kind: 'relayed', mx: 'up.test' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx0.good.test' }]);
  expect([up.count(), mx.count()]).toEqual([1, 1]);
});

test('a route that leads nowhere delays the mail, because the operator can correct it', async () => {
  const { relay } = await startRig({ delivery: { routes: [{ hosts: ['typo.test:587'] }] } });
  expect(await relay.send('a@good.test')).toMatchObject([
    { kind: 'delayed', reply: { code: 451, status: '4.4.4' }, waitsForUs: true },
  ]);
});

test('a session is not used again under another password', async () => {
  const { relay, up } = await startUpstream();
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'relayed' }]);
  relay.reload({ routes: [{ hosts: [`up.test:${up.port}`], login: { ...login, password: 'another' } }] });
  expect(await relay.send('b@any.test')).toMatchObject([{ kind: 'delayed', reply: { code: 535 } }]);
});

test('queued mail follows a changed route', async () => {
  const { relay, up, mx } = await startUpstream();
  const claim = claimOf(relay, ['a@good.test', 'b@good.test']);
  relay.reload({ routes: [], allowPrivate: ['127.0.0.0/8'] });
  expect(await relay.deliver(claim, new AbortController().signal)).toMatchObject([
    { mx: 'mx0.good.test' },
    { mx: 'mx0.good.test' },
  ]);
  expect([up.count(), mx.count()]).toEqual([0, 1]);
});

test('a route without its login returns nothing, and the log says what the upstream wants', async () => {
  const { relay, up } = await startUpstream();
  relay.reload({ routes: [{ hosts: [`up.test:${up.port}`] }] });
  expect(await relay.send(['a@any.test', 'b@any.test'])).toMatchObject([
    { kind: 'delayed', reply: { code: 530, status: '4.7.0' }, waitsForUs: true },
    { kind: 'delayed', reply: { code: 530, status: '4.7.0' }, waitsForUs: true },
  ]);
  expect(relay.events).toContainEqual({
    event: 'upstreamRefused',
    fields: expect.objectContaining({ queueId: '0123456789abc', mx: 'up.test', code: 530 }),
  });
  relay.reload({ routes: [{ hosts: [`up.test:${up.port}`], login }] });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'relayed' }]);
});

test.each<readonly [MxStage, string]>([
  ['RCPT', '554 5.7.1 Relay access denied'],
  ['RCPT', '550 relay not permitted'],
  ['MAIL', '550 5.7.1 Client was not authenticated'],
  ['DATA', '550 5.4.5 Daily user sending limit exceeded'],
  ['message', '550 5.4.5 Daily user sending limit exceeded'],
  ['message', '550 5.7.1 Daily SMTP relay sending limit exceeded for this customer'],
  ['RCPT', '550 5.3.5 System incorrectly configured'],
])('an upstream that refuses us at %s with %j delays the mail: it is about our account', async (stage, refusal) => {
  const { relay } = await startUpstream({ script: { [stage]: refusal } });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'delayed', reply: { code: Number(refusal.slice(0, 3)) } }]);
  expect(relay.events.some(({ event }) => event === 'upstreamRefused')).toBe(true);
});

test.each<readonly [MxStage, string]>([
  ['RCPT', '550 5.1.1 No such user'],
  ['message', '550 5.7.1 Spam'],
  ['message', '552 5.3.4 Message size exceeds fixed limit'],
  ['MAIL', '550 5.7.60 Client does not have permissions to send as this sender'],
])('what an upstream says at %s about the message, %j, is final', async (stage, refusal) => {
  const { relay } = await startUpstream({ script: { [stage]: refusal } });
  expect(await relay.send('a@any.test')).toMatchObject([{ kind: 'failed' }]);
});
