/** TLS towards MX hosts: behaviour rule 18, attacks T03, T04 and R08. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TlsLevel } from '../../src/smtp/route.ts';
import { startRig, startScripted, verbs } from '../support/delivery-rig.ts';
import type { MxContext, MxScript } from '../support/mx-server.ts';
import { makePair, type Pair } from '../support/pair.ts';
import { temporaryFolder } from '../support/program.ts';

let good: Pair;
let other: Pair;
const folder = temporaryFolder('ca');
afterAll(() => folder.remove());
let caFile: string;
beforeAll(async () => {
  good = await makePair('mx0.good.test');
  other = await makePair('other.test');
  caFile = join(folder.path, 'ca.pem');
  writeFileSync(caFile, good.cert + other.cert);
});

/** A message that was tried before. */
const LATER = { recipient: { attempts: 1 } };

describe('opportunistic', () => {
  test('STARTTLS is used if it is offered, with the name of the host, whatever the certificate is', async () => {
    const { relay, mx } = await startRig({ hosts: [{ tls: other }] });
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
    expect(mx.messages[0]).toMatchObject({ tls: 'TLSv1.3', servername: 'mx0.good.test' });
  });

  test('EHLO is sent again after STARTTLS, and the earlier offer is forgotten: RFC 3207 §4.2', async () => {
    const extensions: string[] = ['PIPELINING'];
    const rig = await startScripted({ EHLO: ({ tls }) => (tls ? '250 mx' : undefined) }, { host: { tls: good, extensions } });
    expect(await rig.relay.send('a@good.test', { body: '8BITMIME' })).toMatchObject([{ kind: 'relayed' }]);
    expect(verbs(rig)).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'MAIL', 'RCPT', 'DATA']);
    expect(rig.mx.messages[0]!.mailParameters).toEqual([]);
  });

  test.each<readonly [string, MxScript]>([
    ['454 to STARTTLS', { STARTTLS: '454 4.7.0 Not now' }],
    ['502 to STARTTLS', { STARTTLS: '502 5.5.1 What?' }],
    ['garbage to STARTTLS', { STARTTLS: { raw: 'hello\r\n' } }],
    ['a close at STARTTLS', { STARTTLS: 'close' }],
    ['a close in the handshake', { handshake: 'close' }],
    ['garbage in the handshake', { handshake: { raw: 'this is no TLS record at all\r\n' } }],
  ])('%s: the message waits, and clear text is for a later attempt alone', async (_, script) => {
    const rig = await startScripted(script, { host: { tls: good } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', mx: 'mx0.good.test' }]);
    expect(rig.relay.events).toContainEqual(expect.objectContaining({ event: 'tlsFailed' }));
    expect(rig.relay.blockedUntil('good.test'), 'the mail of others is not held up').toBeUndefined();
    expect(await rig.relay.send('b@good.test'), 'one failure is no proof').toMatchObject([{ kind: 'delayed' }]);
    expect(rig.mx.count()).toBe(0);
    const [outcome] = await rig.relay.send('a@good.test', LATER);
    expect(outcome).toMatchObject({ kind: 'relayed' });
    expect(outcome!.tls).toBeUndefined();
    await rig.relay.send('c@good.test');
    expect(rig.mx.count(), 'TLS is left alone for a while').toBe(2);
    expect(verbs(rig).filter((verb) => verb === 'STARTTLS')).toHaveLength(3);
  });

  test('after a host whose TLS fails, the next one is tried with TLS', async () => {
    const { relay, hosts } = await startScripted(
      { STARTTLS: '454 4.7.0 Not now' },
      { host: { tls: good }, hosts: [{ tls: other }] },
    );
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test', tls: 'TLSv1.3' }]);
    expect(await relay.send('a@good.test', LATER)).toMatchObject([{ kind: 'relayed' }]);
    expect(hosts[1]!.messages[0]!.tls).toBe('TLSv1.3');
  });

  describe.each<readonly [string, MxScript]>([
    ['a 454', { STARTTLS: ({ session }) => (session === 1 ? '454 4.7.0 Not now' : undefined) }],
    ['a cut handshake', { handshake: ({ session }) => (session === 1 ? 'close' : undefined) }],
  ])('a host that demands TLS and stumbles once, by %s,', (_, stumble) => {
    test.each([
      ['MAIL', '530 5.7.0 Must issue a STARTTLS command first'],
      ['MAIL', '550 5.7.10 Encryption needed'],
      ['RCPT', '554 5.7.1 No TLS, no mail'],
      ['RCPT', '550 5.7.4 Security features not supported'],
      ['DATA', '554 5.7.0 Not in clear'],
    ] as const)('and says at %s %j gets its mail a moment later, under TLS', async (stage, refusal) => {
      const script: MxScript = { ...stumble, [stage]: ({ tls }: MxContext) => (tls ? undefined : refusal) };
      const { relay, mx } = await startScripted(script, { host: { tls: good } });
      expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
      for (let i = 0; i < 3; i++) expect(await relay.send(`${i}@good.test`)).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
      expect(await relay.send('a@good.test', LATER)).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
      expect(mx.count()).toBe(4);
    });
  });

  test('a host that demands TLS and breaks it twice is found out by its refusal: nothing is returned, and TLS is tried again', async () => {
    let broken = true;
    const script: MxScript = {
      handshake: () => (broken ? 'close' : undefined),
      MAIL: ({ tls }) => (tls ? undefined : '530 5.7.0 Must issue a STARTTLS command first'),
      RCPT: ({ tls }) => (tls ? undefined : '503 5.5.1 MAIL first'),
    };
    const { relay, mx } = await startScripted(script, { host: { tls: good } });
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect(await relay.send('a@good.test', LATER)).toMatchObject([{ kind: 'delayed', reply: { code: 530, status: '4.7.0' } }]);
    expect(await relay.send('a@good.test', LATER), 'TLS again').toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    broken = false;
    expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
    expect(mx.count()).toBe(1);
  });

  test('a host that ends the session once the handshake is over gets its mail in clear, as one that breaks the handshake', async () => {
    const rig = await startScripted({ EHLO: ({ tls }) => (tls ? 'close' : undefined) }, { host: { tls: good } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect(await rig.relay.send('a@good.test', LATER)).toMatchObject([{ kind: 'relayed' }]);
    expect(rig.mx.messages[0]!.tls).toBeUndefined();
  });

  test('bytes in clear behind the reply to STARTTLS are an attack: nothing of them is used, and no mail goes there', async () => {
    const script = { STARTTLS: { raw: '220 go\r\n250-SIZE 1\r\n250 AUTH PLAIN\r\n' } };
    const { relay, mx } = await startScripted(script, { host: { tls: good } });
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.5.0' } }]);
    expect(mx.count()).toBe(0);
    expect(mx.sessions()).toBe(1);
    const fragment = { STARTTLS: { raw: '220 go\r\n250' } };
    const again = await startScripted(fragment, { host: { tls: good } });
    expect(await again.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.5.0' } }]);
    expect(again.mx.count()).toBe(0);
  });

  test('a second connection resumes the TLS session', async () => {
    const { relay, mx } = await startRig({ hosts: [{ tls: good }] });
    await relay.send('a@good.test');
    mx.disconnect();
    await expect.poll(() => mx.open()).toBe(0);
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3' }]);
    expect(mx.sessions()).toBe(2);
  });
});

describe.each<readonly [TlsLevel, string, { tls?: 'good' | 'other'; script?: MxScript }, string]>([
  ['none', 'offers TLS', { tls: 'good' }, 'relayed in clear'],
  ['opportunistic', 'offers no TLS', {}, 'relayed in clear'],
  ['encrypt', 'has a certificate of another name', { tls: 'other' }, 'relayed TLSv1.3'],
  ['encrypt', 'offers no TLS', {}, 'delayed 4.7.4'],
  ['encrypt', 'refuses STARTTLS', { tls: 'good', script: { STARTTLS: '454 4.7.0 No' } }, 'delayed 4.7.4'],
  ['encrypt', 'breaks the handshake', { tls: 'good', script: { handshake: 'close' } }, 'delayed 4.7.5'],
  ['verify', 'has a good certificate', { tls: 'good' }, 'relayed TLSv1.3'],
  ['verify', 'has a certificate of another name', { tls: 'other' }, 'delayed 4.7.5'],
  ['verify', 'offers no TLS', {}, 'delayed 4.7.4'],
])('%s', (level, what, host, expected) => {
  test(`a host that ${what}: ${expected}`, async () => {
    const pair = host.tls === undefined ? {} : { tls: host.tls === 'good' ? good : other };
    const { relay, mx } = await startScripted(host.script ?? {}, { host: pair, delivery: { tls: level, caFile } });
    const [outcome] = await relay.send('a@good.test');
    const detail = outcome!.kind === 'relayed' ? (outcome!.tls ?? 'in clear') : outcome!.reply.status;
    expect(`${outcome!.kind} ${detail}`).toBe(expected);
    expect(mx.count()).toBe(outcome!.kind === 'relayed' ? 1 : 0);
    if (outcome!.kind === 'delayed') expect(mx.sessions()).toBe(1);
  });
});

test('verify does not trust a self-signed certificate', async () => {
  const { relay, mx } = await startRig({ hosts: [{ tls: good }], delivery: { tls: 'verify' } });
  const [outcome] = await relay.send('a@good.test');
  expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.7.5' } });
  expect(outcome!.reply.text).toMatch(/self.signed/i);
  expect(mx.count()).toBe(0);
});

test('a session without TLS is never used for a level that demands TLS', async () => {
  const { relay, mx } = await startRig({ hosts: [{ tls: good }], delivery: { tls: 'none', caFile } });
  await relay.send('a@good.test');
  relay.reload({ tls: 'verify' });
  await relay.send('a@good.test');
  expect(mx.messages.map(({ tls }) => tls)).toEqual([undefined, 'TLSv1.3']);
});

test('a session that was in use while the configuration changed serves no other mail afterwards', async () => {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const MAIL = async () => {
    reached.resolve();
    await gate.promise;
    return undefined;
  };
  const { relay, mx } = await startScripted({ MAIL }, { host: { tls: good } });
  const first = relay.send('a@good.test');
  await reached.promise;
  relay.reload({});
  gate.resolve();
  expect(await first).toMatchObject([{ kind: 'relayed' }]);
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.sessions()).toBe(2);
  expect(await relay.send('c@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.sessions()).toBe(2);
});

test('a file of roots that cannot be read stops the start', async () => {
  await expect(startRig({ delivery: { caFile: '/nonexistent/ca.pem' } })).rejects.toThrow('ENOENT');
});
