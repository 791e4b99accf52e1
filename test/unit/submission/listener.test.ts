/** Ports, certificates, and which clients get a session. */
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf, RawClient } from '../../support/raw-client.ts';
import {
  fakeFailures,
  PASSWORD,
  PLAIN,
  type Rig,
  type RigOptions,
  startRig,
  testCertificates,
  USER,
} from '../../support/submission-rig.ts';

let rig: Rig;
const start = async (options?: RigOptions) => {
  rig = await startRig(options);
  return rig;
};
afterEach(() => rig.close());

const MAIL = 'MAIL FROM:<anna@sender.test>';
const RCPT = 'RCPT TO:<bob@example.org>';
const TEXT = 'From: anna@sender.test\r\n\r\nHello\r\n.\r\n';
const WRONG = `AUTH PLAIN ${Buffer.from(`\0${USER}\0not-right`).toString('base64')}`;
const keyTypeOf = (client: RawClient) =>
  new X509Certificate((client.socket as TLSSocket).getPeerCertificate().raw).publicKey.asymmetricKeyType;

describe('ports', () => {
  test('one that is taken is named in one sentence, and none stays open', async () => {
    await start();
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const listeners = [
      { name: 'submissions', address: '127.0.0.1', port: 0 },
      { name: 'submission', address: '127.0.0.1', port },
    ] as const;
    await expect(startRig({ listeners })).rejects.toThrow(
      `listen.submission: 127.0.0.1:${port} cannot be opened (another program uses it)`,
    );
    taken.close();
  });

  test('[::] takes IPv4 too', async () => {
    await start({ listeners: [{ name: 'submission', address: '::', port: 0 }] });
    const client = await rig.clear();
    expect(client.transcript).toEqual(['220 relay.example.net ESMTP']);
    expect(rig.events('connected')).toMatchObject([{ listener: 'submission', ip: '127.0.0.1' }]);
  });

  test('no certificate, or a key that does not fit, is no start', async () => {
    await start();
    const { key, cert } = await testCertificates();
    await expect(startRig({ tls: { key: [], cert: [] } })).rejects.toThrow('certificate');
    await expect(startRig({ tls: { key: [...key].reverse(), cert } })).rejects.toThrow();
  });
});

describe('TLS', () => {
  test('both certificates are served, by what the client can', async () => {
    await start();
    const modern = await RawClient.tls(rig.port('submissions'));
    expect(keyTypeOf(modern)).toBe('ec');
    expect((modern.socket as TLSSocket).getProtocol()).toBe('TLSv1.3');
    const old = await RawClient.tls(rig.port('submissions'), { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' });
    expect(keyTypeOf(old)).toBe('rsa');
  });

  test.each(['submissions', 'submission'] as const)(
    'both certificates are served to who asks for a name, on %s',
    async (name) => {
      await start();
      const keyTypes: unknown[] = [];
      for (const ciphers of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']) {
        const options = { maxVersion: 'TLSv1.2', ciphers, servername: 'relay.test' } as const;
        const client = name === 'submission' ? await rig.clear() : RawClient.clear(rig.port(name));
        if (name === 'submission') await client.ask('STARTTLS');
        await client.upgrade(options);
        keyTypes.push(keyTypeOf(client));
      }
      expect(keyTypes).toEqual(['ec', 'rsa']);
    },
  );

  test.each([
    { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
  ] as const)('%j is refused', async (options) => {
    await start();
    await expect(RawClient.tls(rig.port('submissions'), options)).rejects.toThrow();
    expect((await rig.tls()).transcript).toHaveLength(1);
  });

  test('renegotiation is refused at the first try', async () => {
    await start();
    const client = await RawClient.tls(rig.port('submissions'), { maxVersion: 'TLSv1.2' });
    await client.reply();
    const error = await new Promise<Error | null>((resolve) => {
      client.socket.once('error', resolve);
      client.socket.once('close', () => resolve(new Error('closed')));
      (client.socket as TLSSocket).renegotiate({}, resolve);
    });
    expect(error).toBeInstanceOf(Error);
  });

  test.each(['unknown.test', 'A'.repeat(250), 'RELAY.TEST'])(
    'the name %.20s gets the certificate there is',
    async (servername) => {
      await start();
      const client = await RawClient.tls(rig.port('submissions'), { servername, checkServerIdentity: () => undefined });
      expect(codeOf(await client.reply())).toBe('220');
    },
  );

  test('garbage and half a handshake do no harm', async () => {
    await start();
    const garbage = RawClient.clear(rig.port('submissions'));
    garbage.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await garbage.closed();
    const half = RawClient.clear(rig.port('submissions'));
    half.send(Buffer.from('16030100', 'hex'));
    const starttls = await rig.clear();
    await starttls.ask('STARTTLS');
    starttls.send('NOOP\r\nNOOP\r\n');
    await starttls.closed();
    expect((await rig.tls()).transcript).toHaveLength(1);
    half.close();
  });

  test.each(['submissions', 'submission'] as const)('a broken record after the handshake closes at once, on %s', async (name) => {
    await start();
    const client = name === 'submission' ? await rig.clear() : RawClient.clear(rig.port(name));
    if (name === 'submission') await client.ask('STARTTLS');
    const raw = client.socket;
    await client.upgrade();
    if (name === 'submissions') await client.reply();
    raw.write(Buffer.from('1703030005aaaaaaaaaa', 'hex'));
    await client.closed();
    await expect.poll(() => rig.submission.sessions()).toBe(0);
    expect((await rig.loggedIn(name)).transcript.at(-1)).toMatch(/^235 /);
  });

  test('a handshake that does not end in 10 s is closed, however it trickles', async () => {
    let time = 0;
    await start({ monotonic: () => time });
    const implicit = RawClient.clear(rig.port('submissions'));
    implicit.send(Buffer.from('16030100', 'hex'));
    const starttls = await rig.clear();
    await starttls.ask('STARTTLS');
    const timer = setInterval(() => [implicit, starttls].map((client) => client.send(Buffer.from([0]))), 100);
    time += 10_001;
    await Promise.all([implicit.closed(), starttls.closed()]);
    clearInterval(timer);
  });

  test('a new certificate serves the next handshake, running sessions go on', async () => {
    await start();
    const before = await rig.loggedIn();
    const { key, cert } = await testCertificates();
    expect(() => rig.submission.setTls({ key: [key[1]!], cert: [cert[0]!] })).toThrow();
    rig.submission.setTls({ key: [key[1]!], cert: [cert[1]!] });
    const after = await rig.clear();
    await after.startTls();
    expect(keyTypeOf(after)).toBe('rsa');
    expect(keyTypeOf(await RawClient.tls(rig.port('submissions')))).toBe('rsa');
    expect(codeOf(await before.ask(MAIL))).toBe('250 2.1.0');
  });

  test('sessions are resumed', async () => {
    await start();
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await RawClient.tls(rig.port('submissions'), { maxVersion });
      const ticket = new Promise<Buffer>((resolve) => (first.socket as TLSSocket).once('session', resolve));
      await first.reply();
      const session = maxVersion === 'TLSv1.2' ? (first.socket as TLSSocket).getSession()! : await ticket;
      const second = await RawClient.tls(rig.port('submissions'), { maxVersion, session });
      expect((second.socket as TLSSocket).isSessionReused()).toBe(true);
    }
  });
});

describe('who may come in', () => {
  test('an address with too many failed logins gets 421, on 465 nothing, others come in', async () => {
    await start({ auth: { failuresPerMinute: 2 } });
    const guesser = await rig.tls();
    await guesser.ask('EHLO x');
    expect(await guesser.askAll([WRONG, WRONG])).toEqual(['535 5.7.8', '535 5.7.8']);
    expect(codeOf(await guesser.ask(`AUTH PLAIN ${PLAIN}`))).toBe('421 4.7.0');
    const clear = RawClient.clear(rig.port('submission'));
    expect(codeOf(await clear.reply())).toBe('421 4.7.0');
    await clear.closed();
    await expect(RawClient.tls(rig.port('submissions'))).rejects.toThrow();
    expect((await rig.clear('127.0.0.2')).transcript).toHaveLength(1);
  });

  test('of a hundred guesses at once only some are heard, and a right one among the others is no login', async () => {
    const failures = fakeFailures();
    await start({ auth: { failuresPerMinute: 5, failureDelay: 50 }, failures });
    const clients = await Promise.all(Array.from({ length: 30 }, () => rig.tls()));
    await Promise.all(clients.map((client) => client.ask('EHLO x')));
    const codes = await Promise.all(clients.map((client) => client.ask(WRONG).then(codeOf)));
    expect(new Set(codes)).toEqual(new Set(['535 5.7.8', '421 4.7.0']));
    expect(codes.filter((code) => code === '535 5.7.8').length).toBeLessThan(30);
  });

  test('guesses are counted also while the store cannot be written', async () => {
    const failures = { putFailures: () => Promise.reject(new Error('disk')), failures: async () => [] };
    await start({ auth: { failuresPerMinute: 2 }, failures });
    const codes: string[] = [];
    for (let i = 0; i < 2; i++) {
      const client = await rig.tls();
      await client.ask('EHLO x');
      codes.push(codeOf(await client.ask(WRONG)));
    }
    expect(codes).toEqual(['535 5.7.8', '535 5.7.8']);
    expect(codeOf((await rig.clear()).transcript[0]!)).toBe('421 4.7.0');
    expect(rig.events('failureNotKept')).toHaveLength(2);
  });

  test('one session more than allowed waits for a place', async () => {
    await start({ limits: { maxSessionsPerAddress: 2 } });
    const [first] = [await rig.tls(), await rig.tls()];
    const third = RawClient.clear(rig.port('submission'));
    const other = await rig.clear('127.0.0.2');
    expect(other.transcript).toHaveLength(1);
    expect(third.transcript).toHaveLength(0);
    await first!.ask('QUIT');
    expect(codeOf(await third.reply())).toBe('220');
  });

  test('and is refused in the end, under TLS too', async () => {
    await start({ limits: { maxSessionsPerAddress: 1 } });
    await rig.tls();
    const tls = RawClient.tls(rig.port('submissions')).then((client) => client.reply());
    expect(codeOf(await RawClient.clear(rig.port('submission')).reply())).toBe('421 4.7.0');
    expect(codeOf(await tls)).toBe('421 4.7.0');
  });

  test('forty sessions at once work', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 40 }, () => rig.loggedIn()));
    expect(rig.submission.sessions()).toBe(40);
    expect(await Promise.all(clients.map((client) => client.ask(MAIL).then(codeOf)))).toEqual(Array(40).fill('250 2.1.0'));
    for (const client of clients) client.close();
    await expect.poll(() => rig.submission.sessions()).toBe(0);
  });

  test('a trusted proxy says who the client is, before TLS too; others are not asked', async () => {
    await start({ limits: { proxyTrust: ['127.0.0.2/32'] } });
    const clear = RawClient.clear(rig.port('submission'), '127.0.0.2');
    clear.send('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n');
    expect(codeOf(await clear.reply())).toBe('220');
    const inner = RawClient.clear(rig.port('submissions'), '127.0.0.2');
    inner.send('PROXY TCP6 2001:db8::1 ::1 1 2\r\n');
    await inner.upgrade();
    expect(codeOf(await inner.reply())).toBe('220');
    const liar = RawClient.clear(rig.port('submission'), '127.0.0.2');
    liar.send('EHLO x\r\n');
    await liar.closed();
    const stranger = RawClient.clear(rig.port('submission'));
    stranger.send('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n');
    expect(codeOf(await stranger.reply())).toBe('421 4.7.0');
    expect(rig.events('connected').map(({ ip }) => ip)).toEqual(['192.0.2.1', '2001:db8::1', '127.0.0.1']);
  });
});

describe('closing', () => {
  test('idle sessions end, a transaction may end first, and new connections are refused', async () => {
    await start();
    const [idle, sending] = [await rig.loggedIn(), await rig.loggedIn()];
    await sending.askAll([MAIL, RCPT, 'DATA']);
    const closed = rig.submission.close(5000);
    expect(codeOf(await idle.reply())).toBe('421 4.3.2');
    await idle.closed();
    sending.send(TEXT);
    expect(codeOf(await sending.reply())).toBe('250 2.0.0');
    expect(codeOf(await sending.reply())).toBe('421 4.3.2');
    await closed;
    expect(rig.queued).toHaveLength(1);
    await expect(RawClient.tls(rig.port('submissions'))).rejects.toThrow();
  });

  test('what does not end in time is ended, and is not queued', async () => {
    await start();
    const client = await rig.loggedIn();
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send('From: anna@sender.test\r\n\r\nHel');
    await rig.submission.close(100);
    expect(codeOf(await client.reply())).toBe('421 4.3.2');
    await client.closed();
    expect(rig.aborted).toHaveLength(1);
    expect(rig.queued).toHaveLength(0);
  });

  test('a handshake under way is dropped', async () => {
    await start();
    const half = RawClient.clear(rig.port('submissions'));
    half.send(Buffer.from('16030100', 'hex'));
    const starttls = await rig.clear();
    await starttls.ask('STARTTLS');
    await rig.submission.close(5000);
    await half.closed();
    await starttls.closed();
  });
});

test('what can change does so without dropping a session', async () => {
  await start();
  const client = await rig.loggedIn();
  rig.submission.reload({
    hostname: 'new.example.net',
    limits: { ...(await import('../../support/submission-rig.ts')).LIMITS, maxMessageSize: 1000 },
  });
  expect((await client.ask('EHLO x')).split('\n').slice(0, 2)).toEqual(['250-new.example.net', '250-SIZE 1000']);
  expect(codeOf(await client.ask(`${MAIL} SIZE=1001`))).toBe('552 5.3.4');
});

test('no log line holds a password', async () => {
  await start();
  const client = await rig.clear();
  await client.askAll(['EHLO x', `AUTH PLAIN ${PLAIN}`]);
  await client.startTls();
  await client.askAll(['EHLO x', WRONG, `AUTH PLAIN ${PLAIN}`, `AUTH PLAIN ${PLAIN}`]);
  const log = JSON.stringify(rig.log);
  for (const secret of [PASSWORD, PLAIN, Buffer.from(PASSWORD).toString('base64'), 'not-right']) {
    expect(log).not.toContain(secret);
  }
});

describe('a clock that is set', () => {
  test('forward costs no session its life', async () => {
    let time = Date.now();
    await start({ now: () => time });
    const client = await rig.loggedIn();
    client.send('MAIL FROM:<anna@sender.test>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n');
    for (let i = 0; i < 3; i++) await client.reply();
    time += 3_600_000;
    await new Promise((resolve) => setTimeout(resolve, 1200)); // longer than between two looks at the deadlines
    expect(codeOf(await client.ask('From: anna@sender.test\r\n\r\nHello\r\n.'))).toBe('250 2.0.0');
  });

  test('back leaves no session for ever, and no address locked out for longer than it was', async () => {
    let time = Date.now();
    await start({ now: () => time, limits: { idleTimeout: 200 }, auth: { failuresPerMinute: 2, failuresPerDay: 2 } });
    const client = await rig.tls();
    await client.ask('EHLO client.test');
    for (let i = 0; i < 2; i++) await client.ask(`AUTH PLAIN ${Buffer.from(`\0${USER}\0wrong${i}`).toString('base64')}`);
    time -= 365 * 86_400_000;
    await client.closed();
    const again = await rig.loggedIn();
    expect(codeOf(await again.ask('MAIL FROM:<anna@sender.test>'))).toBe('250 2.1.0');
  });
});
