/** Clients that are set up wrongly, at real ports: what the person who waits for them is told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type ClientEvent, isOfClient, readClientSessions } from '../../../src/control/first-client.ts';
import type { RelayEvent } from '../../../src/events/events.ts';
import { CREDENTIAL, PASSWORD, PLAIN, type Rig, type RigOptions, startRig, USER } from '../../support/submission-rig.ts';

let rig: Rig;
afterEach(() => rig?.close());

const LOGIN = { name: USER, senders: CREDENTIAL.senders };
const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = (name: string, password: string) => `AUTH PLAIN ${base64(`\0${name}\0${password}`)}`;

/** The events of the rig as the relay hears them. */
function events(): readonly ClientEvent[] {
  return rig.log
    .map(({ event, ...fields }, at) => ({ at, event: { event, fields } as unknown as RelayEvent }))
    .filter(({ event }) => isOfClient(event));
}

const sessions = (known = (name: string) => name === 'other@sender.test') => readClientSessions(events(), LOGIN, known);

/** Waits for the event that decides. */
const latest = (state: string) =>
  vi.waitFor(() => {
    const [session] = sessions();
    expect(session?.state).toBe(state);
    return session!;
  });

type Client = (rig: Rig) => Promise<unknown>;
type Expected = { readonly reason: string; readonly [field: string]: unknown };

const inClear =
  (...lines: string[]): Client =>
  async (at) => {
    const client = await at.clear();
    await client.askAll(lines);
    client.socket.end();
  };
const secured =
  (...lines: string[]): Client =>
  async (at) => {
    const client = await at.tls();
    await client.ask('EHLO client.test');
    await client.askAll(lines);
    client.socket.end();
  };
const closed = (socket: Socket) =>
  new Promise((resolve) => {
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
/** OpenSSL tells the server why it goes. Node and others only close. */
const openssl =
  (listener: 'submissions' | 'submission', ...more: string[]): Client =>
  (at) =>
    once(
      spawn('openssl', ['s_client', '-connect', `127.0.0.1:${at.port(listener)}`, '-quiet', ...more], { stdio: 'ignore' }),
      'exit',
    );

const CASES: readonly (readonly [string, Client, Expected, RigOptions?])[] = [
  ['in clear, with a login', inClear('EHLO x', plain(USER, PASSWORD)), { reason: 'noTls' }],
  ['in clear, without a login', inClear('EHLO x', 'MAIL FROM:<anna@sender.test>'), { reason: 'noTls' }],
  ['in clear, looks for AUTH and goes', inClear('EHLO x', 'QUIT'), { reason: 'noTls' }],
  [
    'TLS on the port for STARTTLS',
    (at) => closed(connectTls({ port: at.port('submission'), host: '127.0.0.1', rejectUnauthorized: false })),
    { reason: 'tlsOnStartTlsPort', listener: 'submission' },
  ],
  [
    'speaks in clear on the port for TLS',
    (at) => {
      const socket = connect(at.port('submissions'), '127.0.0.1');
      socket.write('EHLO client.test\r\n');
      return closed(socket);
    },
    { reason: 'clearOnTlsPort', listener: 'submissions' },
  ],
  [
    'waits in clear on the port for TLS, and goes',
    async (at) => {
      const socket = connect(at.port('submissions'), '127.0.0.1');
      await once(socket, 'connect');
      socket.end();
      return closed(socket);
    },
    { reason: 'clearOnTlsPort' },
  ],
  ['refuses the certificate and says so', openssl('submissions', '-verify_return_error'), { reason: 'certificateRefused' }],
  [
    'refuses the certificate after STARTTLS and says so',
    openssl('submission', '-starttls', 'smtp', '-verify_return_error'),
    { reason: 'certificateRefused', listener: 'submission' },
  ],
  [
    'refuses the certificate without a word',
    (at) => closed(connectTls({ port: at.port('submissions'), host: '127.0.0.1' })),
    { reason: 'leftAfterTls' },
  ],
  ['knows old TLS only', openssl('submissions', '-tls1_1', '-cipher', 'ALL@SECLEVEL=0'), { reason: 'oldTls' }],
  [
    'a wrong password, twice',
    secured(plain(USER, 'wrong'), plain(USER, `${PASSWORD} `)),
    { reason: 'wrongPassword', times: 2, user: USER, mends: [{ do: 'newPassword' }] },
  ],
  ['another name', secured(plain('anna', PASSWORD)), { reason: 'otherName', user: 'anna' }],
  [
    'a login that is disabled',
    secured(`AUTH PLAIN ${PLAIN}`),
    { reason: 'disabled', mends: [{ do: 'enable' }] },
    { credential: { disabled: true } },
  ],
  ['TLS, but no login', secured('MAIL FROM:<anna@sender.test>'), { reason: 'noLogin' }],
  ['a mechanism that is not offered', secured('AUTH CRAM-MD5'), { reason: 'mechanism' }],
  [
    'a foreign sender',
    secured(`AUTH PLAIN ${PLAIN}`, 'MAIL FROM:<root@web1.example>'),
    {
      reason: 'wrongSender',
      user: USER,
      sender: 'root@web1.example',
      mends: [
        { do: 'allowSender', sender: 'root@web1.example' },
        { do: 'rewrite', sender: 'noreply@sender.test' },
      ],
    },
  ],
  [
    'a sender without a domain that reports could reach',
    secured(`AUTH PLAIN ${PLAIN}`, 'MAIL FROM:<root@web1>'),
    { reason: 'wrongSender', sender: 'root@web1', mends: [{ do: 'rewrite', sender: 'noreply@sender.test' }] },
  ],
  [
    'a recipient that is no address',
    secured(`AUTH PLAIN ${PLAIN}`, 'MAIL FROM:<anna@sender.test>', 'RCPT TO:<nobody>'),
    { reason: 'recipient' },
  ],
  [
    'a message that is too large',
    secured(`AUTH PLAIN ${PLAIN}`, 'MAIL FROM:<anna@sender.test> SIZE=2000'),
    { reason: 'tooLarge' },
    { limits: { maxMessageSize: 1000 } },
  ],
];

describe('a client that', () => {
  const cases = CASES.map(([name, client, expected, options]) => ({ name, client, expected, options }));
  test.each(cases)('$name', async ({ client, expected, options }) => {
    rig = await startRig(options);
    await client(rig);
    const session = await latest('refused');
    expect(session).toMatchObject({ ip: '127.0.0.1', ...expected });
    expect(session.sentence).toMatch(/^[A-Z].*\.$/);
    expect(session.advice).toMatch(/^[A-Z].*\.$/);
    expect(sessions()).toHaveLength(1);
  });
});

test('commands that are sent behind a refused one do not hide its reason', async () => {
  rig = await startRig();
  const client = await rig.loggedIn();
  client.send('MAIL FROM:<root@web1.example>\r\nRCPT TO:<you@alpha.test>\r\nDATA\r\nQUIT\r\n');
  await client.closed();
  expect(await latest('refused')).toMatchObject({
    reason: 'wrongSender',
    sender: 'root@web1.example',
    reply: expect.stringMatching(/^553/),
  });
});

test('a wrong From is named with the address that the login may not use', async () => {
  rig = await startRig();
  const client = await rig.loggedIn();
  await client.askAll(['MAIL FROM:<anna@sender.test>', 'RCPT TO:<you@alpha.test>', 'DATA']);
  await client.ask('From: shop@web1.example\r\n\r\nHello\r\n.');
  expect(await latest('refused')).toMatchObject({ reason: 'wrongFrom', sender: 'shop@web1.example' });
});

test('a session that works after all has no reason left, and names its message', async () => {
  rig = await startRig();
  const client = await rig.tls();
  await client.askAll(['EHLO x', plain(USER, 'wrong'), `AUTH PLAIN ${PLAIN}`]);
  expect(await latest('loggedIn')).toMatchObject({ user: USER, mechanism: 'PLAIN', reason: null, times: 0 });
  await client.askAll(['MAIL FROM:<anna@sender.test>', 'RCPT TO:<you@alpha.test>', 'DATA']);
  await client.ask('From: anna@sender.test\r\n\r\nHello\r\n.');
  expect(await latest('accepted')).toMatchObject({ queueId: rig.queued[0]!.message.id, reason: null, mends: [] });
});

test('sessions of other logins of the relay are not shown, those without a name are', async () => {
  rig = await startRig();
  await secured(plain('other@sender.test', 'wrong'))(rig);
  await inClear('EHLO x', 'QUIT')(rig);
  await vi.waitFor(() => expect(sessions().map(({ user }) => user)).toEqual([null]));
});
