/** Port 25 outwards, our own listeners, and what peers say, by real connections to a small MX and a small DNS. */

import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSelfSigned } from '../../../src/certificates/certificates.ts';
import { probeSmtp } from '../../../src/doctor/doctor.ts';
import { checkListener, type ListenerFacts } from '../../../src/doctor/listeners.ts';
import { checkClock, checkDisk, checkStore, type StoreFacts } from '../../../src/doctor/machine.ts';
import { addressesSeen, checkOutbound, type OutboundFacts } from '../../../src/doctor/outbound.ts';
import type { SmtpAnswer } from '../../../src/doctor/smtp-probe.ts';
import { greetedTimes } from '../../../src/doctor/time.ts';
import { data } from '../../../src/system/phrase.ts';
import { diagnose, of } from '../../support/doctor.ts';
import { startMx } from '../../support/mx.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const delivery = { port: 25, ip: 'auto', source: [], allowPrivate: [] } as const;

describe('port 25', () => {
  test('is open if a destination sends a greeting', async () => {
    const mx = await startMx();
    onTestFinished(() => mx.close());
    const findings = await diagnose({ options: { delivery: { ...delivery, port: mx.port } } });
    expect(of(findings, 'outbound25', 'IPv4')).toMatchObject([
      { result: 'ok', found: expect.stringMatching(/mx\.dest\.test \[127\.0\.0\.1\]: 220/) },
    ]);
    expect(of(findings, 'outbound25', 'IPv6')).toMatchObject([{ result: 'unknown' }]);
    expect(mx.messages).toEqual([]);
  });

  test('is refused nearby if no program listens', async () => {
    const findings = await diagnose();
    expect(of(findings, 'outbound25', 'IPv4')).toMatchObject([
      { result: 'error', found: expect.stringMatching(/ECONNREFUSED/), advice: expect.stringMatching(/firewall/) },
    ]);
  });

  test('without any answer is a block of the provider, found in limited time', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const findings = await diagnose({ options: { timeout: 200, delivery: { ...delivery, port } } });
    expect(of(findings, 'outbound25', 'IPv4')).toMatchObject([
      {
        result: 'error',
        found: expect.stringMatching(/timeout/),
        advice: expect.stringMatching(/Your provider most likely blocks.*routes/),
      },
    ]);
  });

  test('open, but with refusals, quotes them', async () => {
    const mx = await startMx({ script: { greeting: '554 5.7.1 You are listed' } });
    onTestFinished(() => mx.close());
    const findings = await diagnose({ options: { delivery: { ...delivery, port: mx.port } } });
    expect(of(findings, 'outbound25', 'IPv4')[0]!.found).toContain('554 5.7.1 You are listed');
    expect(of(findings, 'outbound25', 'IPv4')[0]).toMatchObject({ result: 'error', advice: expect.stringMatching(/refuse us/) });
  });

  test('of destinations that the DNS does not know is unknown', async () => {
    const findings = await diagnose({ without: ['dest.test'] });
    expect(of(findings, 'outbound25', 'IPv4')).toMatchObject([{ result: 'unknown', found: expect.stringMatching(/dest\.test/) }]);
  });

  const attempt = (address: string, answer: Partial<SmtpAnswer>) => ({
    host: 'mx.dest.test',
    address,
    answer: { heardAt: NOW, ...answer },
  });
  const facts = (change: Partial<OutboundFacts>): OutboundFacts => ({
    port: 25,
    ip: 'auto',
    destinations: ['dest.test'],
    unresolved: [],
    attempts: [],
    hasIpv6: true,
    upstream: undefined,
    ...change,
  });
  const dead = [attempt('192.0.2.1', { failure: 'ETIMEDOUT' }), attempt('2001:db9::1', { failure: 'ETIMEDOUT' })];

  test.each<[string, Partial<OutboundFacts>, string, string]>([
    ['IPv6 alone that is blocked is a warning', { attempts: dead }, 'error', 'warning'],
    ['with an upstream nothing is an error', { attempts: dead, upstream: 'smtp.example.com:587' }, 'warning', 'warning'],
    ['a family that is not used is right', { attempts: dead, ip: 'v4-only' }, 'error', 'ok'],
    ['v6-only needs IPv6', { attempts: dead, ip: 'v6-only' }, 'ok', 'error'],
    ['no IPv6 at all is right', { attempts: [dead[0]!, attempt('2001:db9::1', { failure: 'ENETUNREACH' })] }, 'error', 'ok'],
    ['no route at all', { attempts: [attempt('192.0.2.1', { failure: 'ENETUNREACH' })] }, 'error', 'unknown'],
    ['nobody to try', { destinations: [] }, 'unknown', 'unknown'],
  ])('%s', (_, change, v4, v6) => {
    expect(checkOutbound(facts(change)).map(({ result }) => result)).toEqual([v4, v6]);
  });

  test('peers tell our address and their time', () => {
    const attempts = [
      attempt('192.0.2.1', {
        greeting: ['220 mx.dest.test Microsoft ESMTP MAIL Service ready at Mon, 01 Jun 2026 12:00:00 +0000'],
        ehlo: ['250-mx.dest.test at your service, [203.0.113.5]', '250 SIZE'],
      }),
      attempt('192.0.2.2', { ehlo: ['250-mx [10.0.0.1]'] }),
    ];
    expect(addressesSeen({ attempts })).toEqual(['203.0.113.5']);
    expect(greetedTimes(attempts)).toEqual([{ name: 'mx.dest.test', at: NOW, heardAt: NOW }]);
  });
});

describe('a listener', () => {
  const listener = { name: 'submission', address: '127.0.0.1', port: 587 } as const;
  /** A relay's port as far as the doctor looks at it. */
  async function answers(names: readonly string[]): Promise<SmtpAnswer> {
    const { certificate: cert, key } = await createSelfSigned('rsa', names, Date.now());
    const mx = await startMx({ tls: { key, cert } });
    onTestFinished(() => mx.close());
    return probeSmtp({ address: '127.0.0.1', port: mx.port, hostname: 'relay.test', tls: 'starttls', timeout: 5000 });
  }
  const judge = (answer: SmtpAnswer, change: Partial<ListenerFacts> = {}) =>
    checkListener({
      listener,
      names: ['relay.test'],
      mode: 'acme',
      lastError: null,
      now: Date.now(),
      answer,
      rsa: answer,
      ...change,
    });

  test('is seen as a client without SNI sees it', async () => {
    const answer = await answers(['relay.test', 'smtp.relay.test']);
    expect(answer.failure).toBeUndefined();
    expect(new X509Certificate(answer.certificate!.leaf).subjectAltName).toBe('DNS:relay.test, DNS:smtp.relay.test');
    expect(of(judge(answer), 'certificate')).toMatchObject([
      { result: 'error', advice: expect.stringMatching(/self-signed one for the time until/) },
    ]);
    expect(of(judge(answer, { mode: 'self-signed' }), 'certificate')).toMatchObject([{ result: 'warning' }]);
    expect(of(judge(answer, { mode: 'files' }), 'certificate')).toMatchObject([
      { result: 'error', advice: expect.stringMatching(/clients refuse/) },
    ]);
    const { untrusted: _, ...trusted } = answer.certificate!;
    const good = { ...answer, certificate: trusted };
    expect(of(judge(good), 'certificate')).toMatchObject([{ result: 'ok' }]);
    expect(of(judge(good, { names: ['other.test'] }), 'certificate')).toMatchObject([
      { result: 'error', advice: expect.stringMatching(/does not name other\.test/) },
    ]);
    const end = Date.parse(new X509Certificate(trusted.leaf).validTo);
    expect(of(judge(good, { now: end - 86_400_000, lastError: 'no answer' }), 'certificate')).toMatchObject([
      { result: 'warning', advice: expect.stringMatching(/no answer/) },
    ]);
    expect(of(judge(good, { now: end + 1000 }), 'certificate')).toMatchObject([
      { result: 'error', advice: expect.stringMatching(/has expired/) },
    ]);
    expect(of(judge(good, { now: 0 }), 'certificate')).toMatchObject([
      { result: 'error', advice: expect.stringMatching(/clock/) },
    ]);
    expect(of(judge(good, { rsa: { heardAt: 0, failure: 'EPROTO' } }), 'certificateRsa')).toMatchObject([{ result: 'warning' }]);
    expect(
      of(judge({ ...good, certificate: { ...trusted, length: 1, untrusted: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' } }), 'certificate'),
    ).toMatchObject([{ result: 'error', advice: expect.stringMatching(/intermediate/) }]);
  });

  test('must offer LOGIN, and its EHLO reply is shown', async () => {
    const answer = await answers(['relay.test']);
    const ehlo = (auth: string) => of(judge({ ...answer, ehlo: ['250-relay.test', '250-SIZE 1', `250 ${auth}`] }), 'ehlo')[0];
    expect(ehlo('AUTH PLAIN LOGIN')).toMatchObject({ result: 'ok', found: 'SIZE 1, AUTH PLAIN LOGIN' });
    expect(ehlo('AUTH PLAIN')).toMatchObject({ result: 'error', advice: expect.stringMatching(/AUTH LOGIN is missing/) });
    expect(ehlo('HELP')).toMatchObject({ result: 'error', advice: expect.stringMatching(/PLAIN and LOGIN/) });
  });

  test('that does not answer is an error', () => {
    expect(judge({ heardAt: 0, failure: 'ECONNREFUSED' })).toMatchObject([
      { check: 'listener', result: 'error', found: 'ECONNREFUSED' },
    ]);
  });

  test('is not checked while the relay does not run', async () => {
    const store = async () => ({ dir: '', commit: 1, waiting: 0, held: 0, oldestAcceptedAt: null, running: false, now: NOW });
    const findings = await diagnose({ options: { listeners: [{ ...listener, port: 1 }] }, probes: { store } });
    expect(of(findings, 'certificate')).toMatchObject([{ result: 'unknown', found: 'the relay does not run' }]);
    expect(of(findings, 'relay')).toMatchObject([{ result: 'unknown' }]);
    expect(of(findings, 'listener')).toEqual([]);
  });
});

describe('the machine', () => {
  const GIB = 2 ** 30;
  test.each([
    [undefined, 'unknown'],
    [0.5 * GIB, 'error'],
    [1.5 * GIB, 'warning'],
    [3 * GIB, 'ok'],
  ])('%s bytes free are %s', (free, result) => {
    expect(checkDisk({ dir: '/', free, minFree: GIB }).result).toBe(result);
  });

  test.each<[Partial<StoreFacts>, string[]]>([
    [{}, ['ok', 'ok', 'ok']],
    [{ commit: 'The disk of the store is full' }, ['error', 'ok', 'ok']],
    [{ commit: 2500 }, ['warning', 'ok', 'ok']],
    [{ running: false }, ['ok', 'unknown', 'ok']],
    [{ held: 1 }, ['ok', 'ok', 'warning']],
    [{ waiting: 3, oldestAcceptedAt: NOW - 5 * 3_600_000 }, ['ok', 'ok', 'warning']],
    [{ waiting: 3, oldestAcceptedAt: NOW - 60_000 }, ['ok', 'ok', 'ok']],
  ])('a store with %j is judged %j', (change, results) => {
    const facts = { dir: '/', commit: 3, waiting: 0, held: 0, oldestAcceptedAt: null, running: true, now: NOW, ...change };
    expect(checkStore(facts).map(({ result }) => result)).toEqual(results);
  });

  const peer = (offset: number) => ({ name: 'peer', at: NOW - offset, heardAt: NOW });
  test.each([
    ['in step', { peers: [peer(2000)] }, 'ok'],
    ['a minute ahead', { peers: [peer(60_000)] }, 'warning'],
    ['an hour behind', { peers: [peer(-3_600_000)] }, 'error'],
    ['one wrong peer of three', { peers: [peer(0), peer(9_999_999), peer(10)] }, 'ok'],
    ['before its own past', { peers: [peer(0)], past: [{ what: 'the certificate was made', at: NOW + 3_600_000 }] }, 'error'],
    ['no peer', { peers: [] }, 'unknown'],
    ['no peer, but a time service', { peers: [], synchronized: true }, 'ok'],
  ])('a clock with %s', (_, facts, result) => {
    expect(checkClock({ now: NOW, past: [], ...facts }).result).toBe(result);
  });
});

test('without any resolver everything ends soon, as unknown with its reason', async () => {
  const begun = performance.now();
  const signed = async () => ({ kind: 'silent', why: data('192.0.2.53 does not answer') }) as const;
  const findings = await diagnose({ probes: { signed } });
  expect(performance.now() - begun).toBeLessThan(30_000);
  expect(of(findings, 'resolver')).toMatchObject([{ result: 'error', found: '192.0.2.53 does not answer' }]);
  for (const check of ['a', 'ptr', 'spf', 'dmarc', 'blockList', 'mtaSts', 'dane', 'outbound25', 'alignment'])
    for (const finding of of(findings, check))
      expect(finding).toMatchObject({ result: 'unknown', advice: expect.stringMatching(/\w/) });
});
