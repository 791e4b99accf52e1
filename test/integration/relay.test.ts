/** The whole relay, as a client, a destination and an operator see it. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { createTrust } from '../../src/system/trust.ts';
import { makePair } from '../support/pair.ts';
import { openClient, PASSWORD, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';

let relay: TestRelay | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});
const start = async (options?: TestRelayOptions) => (relay = await startTestRelay(options));
const TEXT = `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;

async function loggedIn(port: number, tls: boolean) {
  const client = await openClient(port, { tls });
  if (!tls) {
    await client.command('EHLO client.test');
    await client.startTls();
  }
  expect(await client.login()).toMatch(/^235 2\.7\.0 /);
  return client;
}

async function smarthost(file: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['src/smarthost.ts', ...words, '--config', file]);
  return stdout;
}

test('a message with REQUIRETLS keeps it over a restart, and comes back with its header only where no host keeps it', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-requiretls-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const yaml = "queue: { minFree: 1MiB, retry: ['1s'] }";
  const first = await start({ dataDir, yaml, zone: { 'dest.test': { fault: 'servfail' } } });
  const client = await loggedIn(first.ports.submissions, true);
  const id = (await client.message({ text: TEXT, parameters: ' REQUIRETLS RET=FULL' })).split(' ').at(-1)!;
  await first.logged('delayed', ({ queueId }) => queueId === id);
  expect(JSON.parse(await smarthost(first.file, 'queue', 'list', '--json'))).toMatchObject([{ id, requireTls: true }]);
  await first.close();
  const secure = true;
  const hosts = { 'dest.test': { MX: ['10 mx.dest.test'], secure }, 'mx.dest.test': { A: ['127.0.0.1'], secure } };
  const zone = { '.': { SOA: { mname: 'a.root.test', rname: 'b.root.test' }, secure }, ...hosts }; // the resolver validates
  const { mx, logged } = await start({ dataDir, yaml, zone, mx: { tls: await makePair('mx.dest.test') } });
  await logged('requireTlsFailed', ({ queueId }) => queueId === id, 20_000);
  const [report] = await mx.received(1);
  const text = report!.data.toString('latin1');
  expect(report!.mailFrom).toBe('');
  expect(text).toMatch(/^Status: 5\.7\.(10|30)\r$/m);
  expect(text).toContain('Subject: Hello');
  expect(text).not.toContain('How are you?');
});

test('the roots that hosts are verified with are read before a port is open, and not when the first host is verified', async () => {
  const { getCACertificates } = tls;
  onTestFinished(() => replace(getCACertificates));
  function replace(reading: typeof getCACertificates): void {
    tls.getCACertificates = reading;
    syncBuiltinESMExports();
  }
  const folder = await mkdtemp(join(tmpdir(), 'smarthost-roots-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, (await makePair('mx.dest.test')).cert);
  let readings = 0;
  replace((origin) => {
    readings++;
    return getCACertificates(origin);
  });
  await start({ yaml: `delivery: { ca: ${ca}, allowPrivate: [127.0.0.0/8] }` });
  expect(readings).toBe(3);
  createTrust(ca)();
  expect(readings).toBe(3);
});

describe('one message', () => {
  test.each([
    ['465', 'submissions', true],
    ['587', 'submission', false],
  ] as const)('over %s is acknowledged, signed twice, delivered, and can be traced', async (_, listener, tls) => {
    const { ports, mx, dns, logged, file } = await start();
    const client = await loggedIn(ports[listener], tls);
    const reply = await client.message({ text: TEXT });
    expect(reply).toMatch(/^250 2\.0\.0 Ok: queued as [0-9a-z]{17}$/);
    const id = reply.split(' ').at(-1)!;
    const [message] = await mx.received(1);
    expect(message!.mailFrom).toBe(USER);
    expect(message!.recipients.map(({ address }) => address)).toEqual(['anna@dest.test']);
    const text = message!.data.toString('latin1');
    expect(text).toMatch(new RegExp(`^Received: [\\s\\S]*by relay\\.test[\\s\\S]*ESMTPSA[\\s\\S]*id ${id}`));
    expect(text).not.toContain('client.test');
    expect(text).not.toContain('127.0.0.1');
    expect(text.endsWith('\r\n\r\nHow are you?\r\n')).toBe(true);
    const { results } = await dkimVerify(message!.data, {
      resolver: async (name: string) => {
        const asked = await import('node:dns/promises');
        const resolver = new asked.Resolver();
        resolver.setServers([dns.server]);
        return resolver.resolveTxt(name);
      },
    });
    expect(results.map(({ status, signingDomain }) => [status.result, signingDomain])).toEqual([
      ['pass', 'sender.test'],
      ['pass', 'sender.test'],
    ]);
    const relayed = await logged('relayed');
    expect(relayed).toMatchObject({
      queueId: id,
      recipient: 'anna@dest.test',
      mx: 'mx.dest.test',
      ip: '127.0.0.1',
      code: 250,
      attempt: 1,
    });
    const [traced] = JSON.parse(await smarthost(file, 'trace', id, '--json'));
    expect(traced).toMatchObject({
      id,
      user: USER,
      reversePath: USER,
      recipients: [{ recipient: 'anna@dest.test', state: 'relayed' }],
    });
    expect(traced.recipients[0].attempts).toMatchObject([{ mx: 'mx.dest.test', outcome: 'relayed', code: 250 }]);
    expect(traced).toMatchObject({ client: { ip: '127.0.0.1', tls: 'TLSv1.3', mechanism: 'PLAIN' }, subject: 'Hello' });
    expect(await smarthost(file, 'trace', id)).toMatch(
      /subject: +Hello\naccepted: +\S+ from app@sender\.test, 127\.0\.0\.1, TLSv1\.3, PLAIN\n/,
    );
    client.close();
  });

  test('never holds a secret in the log, at any level', async () => {
    const { ports, mx, log } = await start({ yaml: 'log: { level: debug }' });
    const client = await loggedIn(ports.submissions, true);
    await client.message({ text: TEXT });
    await mx.received(1);
    const wrong = await openClient(ports.submissions, { tls: true });
    await wrong.login(USER, 'a wrong password');
    const all = JSON.stringify(log);
    for (const secret of [
      PASSWORD,
      'a wrong password',
      Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64'),
      'How are you?',
      'PRIVATE KEY',
    ]) {
      expect(all).not.toContain(secret);
    }
    client.close();
    wrong.close();
  });
});

describe('nobody can use the relay without a login', () => {
  test.each(['submissions', 'submission'] as const)('on %s', async (listener) => {
    const { ports } = await start();
    const client = await openClient(ports[listener], { tls: listener === 'submissions' });
    await client.command('EHLO client.test');
    expect(await client.command('MAIL FROM:<a@sender.test>')).toMatch(/^530 5\.7\.0 /);
    expect(await client.command('RCPT TO:<a@dest.test>')).toMatch(/^530 5\.7\.0 /);
    expect(await client.command('DATA')).toMatch(/^530 5\.7\.0 /);
    client.close();
  });
});

describe('limits', () => {
  test('allow exactly their number of messages, also over many connections', async () => {
    const limits = 'limits: { messages: [7/hour], newRecipients: [] }';
    const { ports, mx } = await start({ yaml: limits });
    const attempt = async (port: number) => {
      const client = await loggedIn(port, true);
      const replies = [await client.message({ text: TEXT }), await client.message({ text: TEXT })];
      client.close();
      return replies;
    };
    const replies = (await Promise.all(Array.from({ length: 10 }, () => attempt(ports.submissions)))).flat();
    expect(replies.filter((reply) => reply.startsWith('250 '))).toHaveLength(7);
    expect(replies.filter((reply) => /^450 4\.7\.1 .*7.*hour/.test(reply))).toHaveLength(13);
    await mx.received(7);
    expect(mx.count()).toBe(7);
  });

  test('hold instead of refusing, by choice', async () => {
    const { ports, mx, file, logged } = await start({ yaml: 'limits: { messages: [1/hour], newRecipients: [], over: hold }' });
    const client = await loggedIn(ports.submissions, true);
    await client.message({ text: TEXT });
    const held = await client.message({ text: TEXT });
    expect(held).toMatch(/^250 /);
    const id = held.split(' ').at(-1)!;
    await logged('held', (line) => line['queueId'] === id);
    const entry = JSON.parse(await smarthost(file, 'queue', 'show', id, '--json'));
    expect(entry.recipients[0].state).toBe('held');
    await smarthost(file, 'queue', 'release', id);
    await mx.received(2);
    expect(await logged('released')).toMatchObject({ queueId: id, recipient: 'anna@dest.test' });
    client.close();
  });
});

describe('reports', () => {
  test('tell the sender about a failure, are signed by the relay, and are never about a report', async () => {
    const { ports, mx, logged } = await start({
      mx: { script: { RCPT: ({ address }) => (address.startsWith('nobody') ? '550 5.1.1 No such user' : undefined) } },
    });
    const client = await loggedIn(ports.submissions, true);
    const id = (await client.message({ to: ['nobody@dest.test'], text: TEXT })).split(' ').at(-1)!;
    const [report] = await mx.received(1);
    expect(report!.mailFrom).toBe('');
    expect(report!.recipients[0]!.address).toBe(USER);
    const text = report!.data.toString();
    expect(text).toContain('report-type=delivery-status');
    expect(text).toMatch(/^Diagnostic-Code: smtp; ?550 5\.1\.1 No such user/m);
    expect(text).toMatch(/^DKIM-Signature: [\s\S]*d=relay\.test/m);
    expect(await logged('failed')).toMatchObject({ queueId: id, status: '5.1.1' });
    expect(await logged('reported')).toMatchObject({ about: id, action: 'failed' });
    client.close();
  });
});

describe('the operator', () => {
  test('sees health, readiness and metrics', async () => {
    const { ports, mx } = await start();
    const client = await loggedIn(ports.submissions, true);
    await client.message({ text: TEXT });
    await mx.received(1);
    const get = (path: string) => fetch(`http://127.0.0.1:${ports.admin}${path}`);
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/readyz')).json()).toMatchObject({ status: 'ready' });
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toContain(`smarthost_accepted_total{user="${USER}"} 1`);
    expect(metrics).toMatch(/smarthost_certificate_not_after_timestamp_seconds\{keyType="ecdsa"\} \d+/);
    expect((await get('/elsewhere')).status).toBe(404);
    client.close();
  });

  test('reloads without an effect on sessions, and a broken file changes nothing', async () => {
    const { ports, file, reload, logged, log } = await start();
    const client = await loggedIn(ports.submissions, true);
    const before = await (await import('node:fs/promises')).readFile(file, 'utf8');
    await writeFile(file, `${before}submission: { maxMessageSize: 1KiB }\nhostnme: x\n`);
    await reload();
    expect(await logged('reloadRefused')).toMatchObject({ problems: [expect.stringMatching(/hostname/)] });
    await writeFile(
      file,
      `${before.replace('hostname: relay.test', 'hostname: other.test')}submission: { maxMessageSize: 1KiB }\n`,
    );
    await reload();
    expect(log.filter((line) => line.event === 'reloadRefused')).toHaveLength(1);
    await logged('reloaded');
    expect(log.find((line) => line.event === 'restartNeeded')).toMatchObject({ settings: expect.arrayContaining(['hostname']) });
    expect(await client.command(`MAIL FROM:<${USER}> SIZE=2000`)).toMatch(/^552 5\.3\.4 /);
    expect(await client.message({ text: TEXT })).toMatch(/^250 /);
    client.close();
  });

  test('reloads everything or nothing: a missing file changes nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reload-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, (await makePair()).cert);
    const { ports, file, reload, logged } = await start({ yaml: `delivery: { ca: ${ca}, allowPrivate: [127.0.0.0/8] }` });
    const before = await readFile(file, 'utf8');
    await rm(ca);
    await writeFile(file, `${before}submission: { maxMessageSize: 1KiB }\n`);
    await reload();
    expect(await logged('reloadFailed')).toMatchObject({ error: { message: expect.stringContaining('ca.pem') } });
    const client = await loggedIn(ports.submissions, true);
    expect(await client.command(`MAIL FROM:<${USER}> SIZE=2000`)).toMatch(/^250 /);
    client.close();
  });

  test('may ask for a reload that fails for whatever reason: it is logged, and mail goes on', async () => {
    const reload = () => Promise.reject(new Error('a bug'));
    const { ports, logged, mx, ...relay } = await start({ reload });
    await relay.reload(); // an operator's signal waits for nobody: what it rejects with would end the process
    expect(await logged('reloadFailed')).toMatchObject({ level: 'error', error: { message: 'a bug' } });
    const client = await loggedIn(ports.submissions, true);
    expect(await client.message({ text: TEXT })).toMatch(/^250 /);
    await mx.received(1);
  });

  test('cannot start a second relay on the same data', async () => {
    const { dataDir } = await start();
    await expect(startTestRelay({ dataDir })).rejects.toThrow(/already|in use|another/i);
  });
});
