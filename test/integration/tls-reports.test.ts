/** The reports of a day about TLS: written once, to whom they belong, at their time. RFC 8460 §4.1, §5 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import type { DnsAnswer } from '../../src/dns/dns.ts';
import { ASKED_FOR, SUPPRESSED_UNTIL } from '../../src/report/report.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';
import { data } from '../../src/system/phrase.ts';
import { createTrust } from '../../src/system/trust.ts';
import type { AppliedPolicy } from '../../src/tls-policy/tls-policy.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { dataDir } from '../support/store-rig.ts';
import { makeCertificate } from '../support/test-certificate.ts';
import { readTlsReport } from '../support/tls-report-judge.ts';
import { HOSTNAME, NOON, startTlsReportRig, THE_DAY } from '../support/tls-report-rig.ts';
import { expectTlsReport } from '../support/tls-report-schema.ts';

const MIDNIGHT = (THE_DAY + 1) * DAY;
const wants = (...uris: string[]) => ({ TXT: [`v=TLSRPTv1; rua=${uris.join(',')}`] });
const zone = {
  '_smtp._tls.a.test': wants('mailto:tls@a.test'),
  '_smtp._tls.b.test': wants('mailto:tls@b.test'),
  '_smtp._tls.silent.test': { TXT: ['v=spf1 -all'] },
};
const tlsa = (domain: string): AppliedPolicy => ({ type: 'tlsa', domain, strings: ['3 1 1 AB'], mxHosts: [] });

/** Reads reports as a receiver does. */
const python = requirePeer('python3', hasCommand('python3'));

test('each domain that wants one gets one report of the day, between five past midnight and four, signed, as a mail that asks for nothing', async ({
  skip,
}) => {
  skip(!python);
  const rig = await startTlsReportRig({ zone });
  await rig.sessions('a.test', { ok: 7, failed: 2, receivingIp: '192.0.2.1', mx: 'mx.a.test' });
  await rig.sessions('b.test', { ok: 1 });
  await rig.sessions('silent.test', { failed: 1 });
  await rig.runReports();
  const mails = await rig.mails();
  expect(mails.map(({ message }) => message.recipients[0]?.address).sort()).toEqual(['tls@a.test', 'tls@b.test']);
  const { message, bytes } = mails.find((one) => one.message.recipients[0]?.address === 'tls@a.test')!;
  expect(message).toMatchObject({ user: null, reversePath: '', tlsReport: true, tlsOptional: true, size: bytes.length });
  expect(message.expiresAt - message.acceptedAt).toBe(DAY);
  expect(message.recipients[0]?.notify).toEqual(['NEVER']);
  for (const one of mails) {
    expect(one.message.acceptedAt).toBeGreaterThanOrEqual(MIDNIGHT + 5 * MINUTE);
    expect(one.message.acceptedAt).toBeLessThanOrEqual(MIDNIGHT + 4 * HOUR + MINUTE);
  }
  expect(message.signatures).toContainEqual(expect.stringMatching(/\._domainkey\.relay\.test$/));
  const { header, type, reportType, parts, fileName, defects, report } = await readTlsReport(bytes);
  expect(defects).toEqual([]);
  expect([type, reportType, ...parts]).toEqual(['multipart/report', 'tlsrpt', 'text/plain', 'application/tlsrpt+gzip']);
  expect(header).toMatchObject({
    from: `TLS reports <postmaster@${HOSTNAME}>`,
    to: 'tls@a.test',
    subject: `Report Domain: a.test Submitter: ${HOSTNAME} Report-ID: <${report['report-id']}>`,
    'tls-report-domain': 'a.test',
    'tls-report-submitter': HOSTNAME,
    'tls-required': 'No',
    'auto-submitted': 'auto-generated',
  });
  expect(fileName).toContain(`${HOSTNAME}!a.test!${(THE_DAY * DAY) / 1000}!${MIDNIGHT / 1000 - 1}!`);
  for (const field of ['tls-report-domain', 'tls-report-submitter', 'tls-required', 'subject'])
    expect(header['dkim-signature']!.toLowerCase()).toMatch(new RegExp(`h=[^;]*\\b${field}\\b`, 's'));
  expect(report['date-range']).toEqual({ 'start-datetime': '2026-11-27T00:00:00Z', 'end-datetime': '2026-11-27T23:59:59Z' });
  expect(report.policies.map(({ summary }) => summary)).toEqual([
    { 'total-successful-session-count': 7, 'total-failure-session-count': 2 },
  ]);
  expect(
    rig
      .told('queued')
      .map(({ fields }) => fields.domain)
      .sort(),
  ).toEqual(['a.test', 'b.test']);
  await rig.runReports({ day: THE_DAY + 1, hours: 24, step: HOUR });
  expect(await rig.mails()).toHaveLength(2);
});

test('by default only days on which a session failed are reported; off sends none', async () => {
  for (const [mode, expected] of [
    ['failures', ['tls@a.test']],
    ['off', []],
  ] as const) {
    const rig = await startTlsReportRig({ zone, run: { mode: () => mode } });
    await rig.sessions('a.test', { ok: 1, failed: 1 });
    await rig.sessions('b.test', { ok: 5 });
    await rig.runReports({ step: 10 * MINUTE });
    expect((await rig.mails()).map(({ message }) => message.recipients[0]?.address)).toEqual(expected);
  }
});

test('a record that is gone at the time of sending gets nothing, one that cannot be looked up is asked for again', async () => {
  let answer: DnsAnswer<string> = { kind: 'temporary', why: data('timeout') };
  const nothing = async () => ({ kind: 'none' }) as const;
  const dns = { a: nothing, aaaa: nothing, txt: async (name: string) => (name === '_smtp._tls.b.test' ? answer : nothing()) };
  const rig = await startTlsReportRig({ zone, run: { dns } });
  await rig.sessions('a.test');
  await rig.sessions('b.test');
  await rig.runReports({ step: 10 * MINUTE });
  expect(await rig.mails()).toEqual([]);
  answer = { kind: 'found', values: wants('mailto:tls@b.test').TXT };
  rig.time.now += HOUR;
  await rig.run.look();
  expect((await rig.mails()).map(({ message }) => message.recipients[0]?.address)).toEqual(['tls@b.test']);
  expect(await rig.store.tlsResults.tlsReports({ domain: 'a.test', limit: 9 })).toMatchObject([
    { state: 'skipped', lastError: 'it wants no reports' },
  ]);
});

test('of two processes with one store each report is sent by one, and after a restart none is sent again', async ({ skip }) => {
  skip(!python);
  const path = dataDir();
  const [one, two] = [await startTlsReportRig({ zone, dataDir: path }), await startTlsReportRig({ zone, dataDir: path })];
  await one.sessions('a.test', { failed: 1 });
  await two.sessions('a.test', { failed: 1 });
  await two.sessions('b.test');
  for (const rig of [one, two]) rig.time.now = MIDNIGHT + 5 * HOUR;
  await Promise.all([one.run.look(), two.run.look(), one.run.look(), two.run.look()]);
  expect(await one.mails()).toHaveLength(2);
  await two.close();
  const again = await startTlsReportRig({ zone, dataDir: path });
  again.time.now = MIDNIGHT + 6 * HOUR;
  await again.run.look();
  const mails = await again.mails();
  expect(mails).toHaveLength(2);
  const { report } = await readTlsReport(mails.find(({ message }) => message.recipients[0]?.address === 'tls@a.test')!.bytes);
  expect(report.policies[0]!.summary).toEqual({ 'total-successful-session-count': 2, 'total-failure-session-count': 2 });
});

test.each(['send', 'refuse'] as const)(
  'without a DKIM key of the submitter no mail is sent, and it is said why: signing.noKey %s',
  async (noKey) => {
    const rig = await startTlsReportRig({ zone, signed: false, noKey });
    await rig.sessions('a.test');
    await rig.runReports({ step: 10 * MINUTE });
    expect(await rig.mails()).toEqual([]);
    expect(rig.told('failed').map(({ fields }) => fields.reason)).toEqual([`${HOSTNAME} has no DKIM key here that signs`]);
  },
);

test('a TLSA base hears of the sessions of all its domains, but not of those that it is told of by their own reports', async ({
  skip,
}) => {
  skip(!python);
  const rig = await startTlsReportRig({
    zone: {
      ...zone,
      '_smtp._tls.mx.test': wants('mailto:tls@a.test', 'mailto:host@mx.test'),
      '_smtp._tls.c.test': { TXT: ['v=spf1 -all'] },
    },
  });
  await rig.sessions('a.test', { ok: 1, policies: [tlsa('mx.test')] });
  await rig.sessions('c.test', { ok: 2, policies: [tlsa('mx.test')] });
  await rig.runReports({ step: 10 * MINUTE });
  const told = await Promise.all(
    (await rig.mails()).map(async ({ message, bytes }) => {
      const { header, report } = await readTlsReport(bytes);
      const sums = report.policies.map(
        ({ policy, summary }) => `${policy['policy-domain']} ${summary['total-successful-session-count']}`,
      );
      return `${header['tls-report-domain']} to ${message.recipients[0]?.address}: ${sums}`;
    }),
  );
  expect(told.sort()).toEqual([
    'a.test to tls@a.test: mx.test 1',
    'mx.test to host@mx.test: mx.test 3',
    'mx.test to tls@a.test: mx.test 2',
  ]);
});

test('reports begin in small groups, not more than a thousand in an hour', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `d${i}.test`);
  const rig = await startTlsReportRig({
    zone: Object.fromEntries(names.map((name) => [`_smtp._tls.${name}`, wants(`mailto:tls@${name}`)])),
  });
  for (const name of names) await rig.sessions(name);
  rig.time.now = MIDNIGHT + 5 * HOUR;
  await rig.run.look();
  expect(await rig.mails()).toHaveLength(16);
  rig.time.now += MINUTE;
  await rig.run.look();
  expect(await rig.mails()).toHaveLength(32);
});

test('an operator has a report sent at once, also one that did not arrive', async () => {
  const rig = await startTlsReportRig({ zone, run: { mode: () => 'off' } });
  await rig.sessions('a.test');
  rig.time.now = MIDNIGHT;
  await rig.store.operation.setValue(`${ASKED_FOR}${THE_DAY} a.test`, '1');
  await rig.run.look();
  await rig.run.look();
  expect(await rig.mails()).toHaveLength(1);
  expect(await rig.store.operation.values(ASKED_FOR)).toEqual([]);
});

async function startReceiver() {
  const folder = dataDir();
  const files = await makeCertificate(folder, 'r.test');
  const received: { path: string; type: string | undefined; host: string | undefined; json: string }[] = [];
  const state = { status: 200, location: '', raw: '' };
  const server = createServer({ cert: readFileSync(files.certificate), key: readFileSync(files.key) }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const json = gunzipSync(Buffer.concat(chunks)).toString();
      received.push({ path: request.url!, type: request.headers['content-type'], host: request.headers.host, json });
      if (state.raw !== '') return void request.socket.write(state.raw);
      response.writeHead(state.status, state.location === '' ? {} : { location: state.location }).end('thank you');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.3', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return { received, state, port, ca: files.certificate, uri: `https://r.test:${port}/tls?x=1` };
}

const toReceiver = (uri: string) => ({ '_smtp._tls.a.test': wants(uri), 'r.test': { A: ['127.0.0.3'] } });
const allowed = (caFile?: string, verify = true) => ({
  https: { refuses: () => undefined, verify: () => verify, trust: createTrust(caFile) },
});

test('a report is posted by HTTPS to the address of the record, and done with 2xx', async () => {
  const { received, uri, port, ca } = await startReceiver();
  const rig = await startTlsReportRig({ zone: toReceiver(uri), run: allowed(ca) });
  await rig.sessions('a.test', { failed: 1 });
  await rig.runReports({ step: 10 * MINUTE });
  expect(received).toHaveLength(1);
  expect(received[0]).toMatchObject({ path: '/tls?x=1', type: 'application/tlsrpt+gzip', host: `r.test:${port}` });
  expectTlsReport(received[0]!.json);
  expect(rig.told('sent').map(({ fields }) => fields.transport)).toEqual(['https']);
  expect(await rig.store.tlsResults.tlsReports({ limit: 9 })).toMatchObject([{ state: 'sent', attempts: 1 }]);
});

test('a receiver that fails is tried six times with longer and longer pauses, with the same report each time', async () => {
  const { received, state, uri, ca } = await startReceiver();
  Object.assign(state, { status: 307, location: uri });
  const rig = await startTlsReportRig({ zone: toReceiver(uri), run: allowed(ca) });
  await rig.sessions('a.test');
  await rig.runReports({ hours: 24, step: 15 * MINUTE });
  expect(received).toHaveLength(6);
  expect(new Set(received.map(({ json }) => json)).size).toBe(1);
  expect(await rig.store.tlsResults.tlsReports({ limit: 9 })).toMatchObject([
    { state: 'failed', attempts: 6, lastError: 'the host answered with status 307' },
  ]);
});

test('a receiver that answers with another protocol counts as one that fails, and holds up no other report', async () => {
  const { received, state, uri, ca } = await startReceiver();
  state.raw = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
  const rig = await startTlsReportRig({ zone: { ...zone, ...toReceiver(uri) }, run: allowed(ca) });
  await rig.sessions('a.test');
  await rig.sessions('b.test');
  await rig.runReports({ step: 10 * MINUTE });
  expect(received.length).toBeGreaterThan(0);
  expect((await rig.store.tlsResults.tlsReports({ limit: 9 })).map(({ domain, lastError }) => [domain, lastError])).toEqual([
    ['a.test', 'the host answered with status 101'],
    ['b.test', null],
  ]);
});

test.each([
  ['a certificate that nobody vouches for', true, undefined, /could not be handed the report \(DEPTH_ZERO_SELF_SIGNED_CERT\)/],
  ['an address that nothing is sent to', true, 'private', /r\.test has only addresses that nothing is sent to \(private\)/],
] as const)('%s is not posted to', async (_, verify, reach, reason) => {
  const { received, uri } = await startReceiver();
  const https = { refuses: () => reach, verify: () => verify, trust: createTrust(undefined) };
  const rig = await startTlsReportRig({ zone: toReceiver(uri), run: { https } });
  await rig.sessions('a.test');
  await rig.runReports({ hours: 4.5, step: 30 * MINUTE });
  expect(received).toEqual([]);
  expect((await rig.store.tlsResults.tlsReports({ limit: 9 }))[0]?.lastError).toMatch(reason);
});

test('with reports.httpsVerify false a certificate that nobody vouches for is taken', async () => {
  const { received, uri } = await startReceiver();
  const rig = await startTlsReportRig({ zone: toReceiver(uri), run: allowed(undefined, false) });
  await rig.sessions('a.test');
  await rig.runReports({ hours: 4.5, step: 30 * MINUTE });
  expect(received).toHaveLength(1);
});

test('an address that takes no report for five days is left alone for thirty, the others of the domain are not', async () => {
  const uri = 'https://gone.test/tls';
  const rig = await startTlsReportRig({ zone: { '_smtp._tls.a.test': wants(uri, 'mailto:tls@a.test') } });
  for (let day = 0; day < 7; day++) {
    rig.time.now = NOON + day * DAY;
    await rig.sessions('a.test');
    await rig.runReports({ day: THE_DAY + day, hours: 22, step: 30 * MINUTE });
  }
  expect(await rig.mails()).toHaveLength(7);
  const rows = (await rig.store.tlsResults.tlsReports({ limit: 99 })).filter((one) => one.rua === uri);
  expect(rows.map(({ state }) => state)).toEqual(['suppressed', 'suppressed', ...Array(5).fill('failed')]);
  expect(rig.told('suppressed').map(({ fields }) => fields.reason)[0]).toMatch(
    /^it took no report for 5 days, and gets none until 2027-01-0/,
  );
  const until = Number(await rig.store.operation.value(SUPPRESSED_UNTIL + uri));
  expect(until).toBeGreaterThan(rig.time.now + 27 * DAY);
});

test('a report that cannot be written holds up no other, and is tried again', async () => {
  let broken = true;
  const rig = await startTlsReportRig({
    zone,
    run: {
      destinationOf: (_, address) => {
        if (broken && address === 'tls@a.test') throw new Error('a fault of ours');
        return address.slice(address.lastIndexOf('@') + 1);
      },
    },
  });
  await rig.sessions('a.test');
  await rig.sessions('b.test');
  await rig.store.operation.setValue(`${ASKED_FOR}${THE_DAY} a.test`, '1');
  await rig.runReports({ step: 10 * MINUTE });
  expect((await rig.mails()).map(({ message }) => message.recipients[0]?.address)).toEqual(['tls@b.test']);
  expect(rig.events.filter(({ event }) => event === 'tlsReportNotWritten').length).toBeGreaterThan(1);
  broken = false;
  rig.time.now += MINUTE;
  await rig.run.look(); // an operator has asked for it, and waits
  expect(await rig.mails()).toHaveLength(2);
  expect(await rig.store.operation.values(ASKED_FOR)).toEqual([]);
});

test('a receiver that does not answer holds up no stop, and gets its report later', async () => {
  const silent = createTcpServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.3', resolve));
  onTestFinished(() => void silent.close());
  const connected = once(silent, 'connection');
  const { port } = silent.address() as { port: number };
  const rig = await startTlsReportRig({ zone: toReceiver(`https://r.test:${port}/`) });
  await rig.sessions('a.test');
  rig.time.now = MIDNIGHT + 5 * HOUR;
  await rig.run.look();
  const looking = rig.run.look();
  const [socket] = (await connected) as [Socket];
  await rig.run.close();
  await looking;
  socket.destroy();
  expect(await rig.store.tlsResults.tlsReports({ limit: 9 })).toMatchObject([
    { state: 'due', attempts: 1, nextAt: rig.time.now + 10 * MINUTE, lastError: null },
  ]);
});
