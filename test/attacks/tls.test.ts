/** TLS on both sides: rows T01 to T10, behaviour rules 1, 2 and 18. */
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import { createSelfSigned } from '../../src/certificates/certificates.ts';
import { DAY } from '../../src/system/clock.ts';
import {
  type Attacked,
  codeOf,
  plain,
  RIGHT,
  send,
  startAttacked,
  submit,
  TEXT,
  UNCOUNTED,
  USER,
} from '../support/attack-rig.ts';
import { clientHello } from '../support/client-hello.ts';
import { startMx } from '../support/mx.ts';
import type { MxScript } from '../support/mx-server.ts';
import { makePair, type Pair } from '../support/pair.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { until } from '../support/program.ts';
import { attack, attacks, elsewhere } from './attack.ts';

let relay: Attacked;
let folder: string;
let expired: Pair;
const ours = () => ({ certificate: join(folder, 'relay.crt'), key: join(folder, 'relay.key') });

async function write(at = Date.now()): Promise<string> {
  const pair = await createSelfSigned('ecdsa', ['relay.test'], at);
  writeFileSync(ours().certificate, pair.certificate);
  writeFileSync(ours().key, pair.key);
  return pair.certificate;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'smarthost-tls-attacks-'));
  await write();
  const old = await createSelfSigned('ecdsa', ['mx.dest.test'], Date.now() - 1000 * DAY);
  expired = { cert: old.certificate, key: old.key };
  // A failing host rests for a while, so each variant has its own host.
  const routes = (['verify', 'encrypt'] as const).flatMap((level) =>
    STRIPPED.map(
      (_, i) => `  - { recipientDomain: v${i}.${level}.test, hosts: ['${addressOf(level, i)}:MX_PORT'], tls: ${level} }\n`,
    ),
  );
  relay = await startAttacked({
    mx: { tls: await makePair('mx.dest.test') },
    yaml: [
      UNCOUNTED,
      `tls: { mode: files, files: [{ certificate: ${ours().certificate}, key: ${ours().key} }] }`,
      'queue: { minFree: 1MiB, retry: [1h] }',
      `routes:\n${routes.join('')}`,
    ].join('\n'),
  });
});
afterEach(() => relay?.hangUp());
afterAll(async () => {
  await relay?.close();
  await rm(folder, { recursive: true });
});

attacks(
  'T01',
  'commands sent together with STARTTLS',
  '421 4.7.0 or a failed handshake; nothing of it is answered',
  [
    ['in the same segment', 'STARTTLS\r\nRSET\r\nMAIL FROM:<x@y.test>\r\n', false],
    ['200 lines', `STARTTLS\r\n${'NOOP\r\n'.repeat(200)}`, false],
    ['a line without its end', 'STARTTLS\r\nMAIL FR', false],
    ['in the next segment', 'STARTTLS\r\n', true],
  ],
  async (_, bytes, afterwards) => {
    const client = await relay.clear();
    await client.ask('EHLO client.test');
    client.send(bytes);
    const reply = codeOf(await client.reply());
    if (afterwards) {
      expect(reply).toBe('220 2.0.0');
      client.send('RSET\r\nMAIL FROM:<x@y.test>\r\n');
    } else {
      expect(reply).toBe('421 4.7.0');
    }
    await client.closed();
    expect(client.unread).not.toMatch(/^[2-5]\d\d[ -]/m); // a TLS alert at most
    await relay.stillWorks();
  },
);

attack('T02', 'state from before TLS', '503 after STARTTLS, for RCPT, DATA and AUTH alike', async () => {
  const client = await relay.clear();
  await client.ask('EHLO client.test');
  expect(codeOf(await client.ask(`MAIL FROM:<${USER}>`))).toBe('530 5.7.0');
  await client.startTls();
  expect(await client.askAll(['RCPT TO:<anna@dest.test>', 'DATA', RIGHT, 'STARTTLS'])).toEqual(Array(4).fill('503 5.5.1'));
  await client.ask('EHLO client.test');
  expect(codeOf(await client.ask(RIGHT))).toBe('235 2.7.0');
});

type Level = 'opportunistic' | 'verify' | 'encrypt';
const addressOf = (level: Level, variant: number) =>
  `127.0.${{ opportunistic: 40, verify: 41, encrypt: 42 }[level]}.${variant + 1}`;

/** Sends mail to a host with this behaviour. @returns what the log says about it */
async function deliver(level: Level, variant: number, { script = {}, tls }: { script?: MxScript; tls?: Pair }) {
  const address = addressOf(level, variant);
  const host = await startMx({ address, port: relay.mx.port, hostname: 'mx.dest.test', script, ...(tls && { tls }) });
  onTestFinished(() => host.close());
  const domain = `v${variant}.${level}.test`;
  relay.dns.set(domain, { MX: [`10 mx.${domain}`] });
  relay.dns.set(`mx.${domain}`, { A: [address] });
  const client = await relay.loggedIn();
  const id = await send(client, { text: TEXT, to: [`a@${domain}`] });
  client.close();
  const outcome = () => relay.log.find((one) => one['queueId'] === id && /^(relayed|delayed|failed)$/.test(one.event));
  return { line: await until('an outcome', outcome), host };
}

attacks(
  'T03',
  'replies without TLS after the 220 to STARTTLS',
  'delayed 4.5.0, the session is dropped',
  [
    ['whole replies', '220 go\r\n250-SIZE 1\r\n250 AUTH PLAIN\r\n', 100],
    ['a fragment', '220 go\r\n250', 101],
  ],
  async (_, raw, variant) => {
    const { line, host } = await deliver('opportunistic', variant, {
      tls: await makePair('mx.dest.test'),
      script: { STARTTLS: { raw } },
    });
    expect(line).toMatchObject({ event: 'delayed', status: '4.5.0' });
    expect([host.count(), host.sessions()]).toEqual([0, 1]);
  },
);

const STRIPPED: readonly (readonly [string, { script?: MxScript; tls?: 'good' | 'expired' | 'other' }, 'TLSv1.3' | 'clear'])[] = [
  ['no STARTTLS offered', {}, 'clear'],
  ['502 to STARTTLS', { tls: 'good', script: { STARTTLS: '502 5.5.1 What?' } }, 'clear'],
  ['454 to STARTTLS', { tls: 'good', script: { STARTTLS: '454 4.7.0 Later' } }, 'clear'],
  ['a broken handshake', { tls: 'good', script: { handshake: 'close' } }, 'clear'],
  ['an expired certificate', { tls: 'expired' }, 'TLSv1.3'],
  ['a certificate of another name', { tls: 'other' }, 'TLSv1.3'],
  ['a self-signed certificate', { tls: 'good' }, 'TLSv1.3'],
];
const hostOf = async ({ script, tls }: (typeof STRIPPED)[number][1]) => ({
  ...(script && { script }),
  ...(tls && { tls: tls === 'expired' ? expired : await makePair(tls === 'good' ? 'mx.dest.test' : 'other.test') }),
});

const variants = STRIPPED.map(([name, host, how], i) => [name, i, host, how] as const);

attacks(
  'T04',
  'stripping, at level opportunistic',
  'delivered, without TLS at a later attempt, and the log says how',
  variants,
  async (_, i, host, how) => {
    const { line: first } = await deliver('opportunistic', i, await hostOf(host));
    const failed = host.script !== undefined;
    expect(first.event).toBe(failed ? 'delayed' : 'relayed');
    if (failed) await relay.withStore((store) => store.messages.retry({ ids: [first['queueId']] }, Date.now()));
    const line = await relay.logged('relayed', (one) => one['queueId'] === first['queueId']);
    expect(line['tls'] ?? 'clear').toBe(how);
  },
);

attacks(
  'T04',
  'stripping, at level verify',
  'delayed with 4.7.x or the reply of the host, never delivered',
  variants,
  async (_, i, host) => {
    const { line, host: mx } = await deliver('verify', i, await hostOf(host));
    expect(line.event).toBe('delayed');
    expect(line['status']).toMatch(/^4\.7\.\d|^4\.5\.1$/); // ours, or what the host said to STARTTLS
    expect(mx.count()).toBe(0);
  },
);

attacks('T04', 'stripping, at level encrypt', 'in TLS, or delayed in the same way', variants, async (_, i, host, how) => {
  const { line, host: mx } = await deliver('encrypt', i, await hostOf(host));
  expect([line.event, mx.count()]).toEqual(how === 'clear' ? ['delayed', 0] : ['relayed', 1]);
  if (how === 'clear') expect(line['status']).toMatch(/^4\.7\.\d|^4\.5\.1$/); // ours, or what the host said to STARTTLS
});

elsewhere('T04', 'stripping, against DANE', 'test/integration/delivery-dane.test.ts');
elsewhere('T04', 'stripping, against MTA-STS enforce', 'test/integration/delivery-sts.test.ts');

const OPENSSL = requirePeer('openssl', hasCommand('openssl'));
if (OPENSSL) {
  attack('T05', 'renegotiation by the client, six times', 'refused at the first', async () => {
    const args = ['s_client', '-connect', `127.0.0.1:${relay.ports.submissions}`, '-tls1_2', '-crlf'];
    const client = spawn('openssl', args, { timeout: 30_000, killSignal: 'SIGKILL' });
    let output = '';
    for (const stream of [client.stdout, client.stderr])
      stream.setEncoding('latin1').on('data', (text: string) => (output += text));
    client.stdin.on('error', () => {}); // it has ended: its output tells why
    await until('the greeting', () => output.includes('220 '), { context: () => output });
    client.stdin.write('R\n'.repeat(6)); // its end stays open: s_client would leave before the answer
    await until('the refusal', () => /no renegotiation|handshake failure/.test(output), { context: () => output });
    expect(output).toContain('RENEGOTIATING');
    client.kill('SIGKILL');
    await relay.stillWorks();
  });
}

attack(
  'T06',
  '500 silent, stalled and foreign connections',
  'closed after some 30 s, capped per address, and nothing leaks',
  async () => {
    const hello = clientHello(Buffer.from('relay.test'));
    const huge = clientHello(Buffer.from('relay.test'), 16_000);
    const openings: readonly (Buffer | string)[] = [
      '',
      hello.subarray(0, 20),
      huge.subarray(0, 9000),
      Buffer.from('16030100', 'hex'),
    ];
    const open = () => process.getActiveResourcesInfo().filter((name) => /TCP(Socket|Server)Wrap/i.test(name)).length;
    const before = open();
    const sockets: Socket[] = [];
    for (let i = 0; i < 500; i++) {
      const socket = connect({ port: relay.ports.submissions, host: '127.0.0.1', localAddress: `127.0.7.${1 + (i % 4)}` });
      socket.on('error', () => {});
      socket.on('connect', () => socket.write(openings[i % openings.length]!));
      socket.resume();
      sockets.push(socket);
    }
    for (const foreign of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'SSH-2.0-OpenSSH_9.2\r\n']) {
      const client = relay.raw('submissions', '127.0.7.9');
      client.send(foreign);
      await client.closed();
      const clear = await relay.clear('127.0.7.9');
      clear.send(foreign);
      expect(codeOf(await clear.reply())).toBe('421 4.7.0');
      await clear.closed();
    }
    await relay.stillWorks('127.0.7.10'); // while all of them are there
    await until('all closed', () => sockets.every((socket) => socket.closed), { deadline: 200_000 }); // 30 s, for those who waited for a place 5 s more
    await until('nothing left of them', () => open() <= before + 20);
  },
);

attacks(
  'T07',
  'another protocol inside TLS',
  '421 4.7.0 at its first line',
  [
    ['a POST', 'POST / HTTP/1.1\r\nHost: relay.test\r\n\r\nMAIL FROM:<x@y.test>\r\n', []],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['h2']],
  ],
  async (_, bytes, protocols: string[]) => {
    const client = relay.raw('submissions');
    await client.upgrade({ ALPNProtocols: protocols }).catch(() => {}); // no protocol in common may end it already
    client.send(bytes);
    await client.closed();
    expect(client.unread.replace(/^220 .*\r\n/, '')).toMatch(/^421 4\.7\.0 .*\r\n$|^$/);
    await relay.stillWorks();
  },
);

attacks(
  'T08',
  'odd names in SNI',
  'the usual certificate, or an alert; the process lives',
  [
    ['unknown', Buffer.from('unknown.test')],
    ['empty', Buffer.alloc(0)],
    ['300 octets', Buffer.alloc(300, 'a')],
    ['with NUL', Buffer.from('relay.test\0evil.test')],
    ['in upper case', Buffer.from('RELAY.TEST')],
    ['an IP literal', Buffer.from('127.0.0.1')],
    ['no UTF-8', Buffer.from([0xff, 0xfe, 0x80])],
    ['a prototype name', Buffer.from('__proto__')],
  ],
  async (_, name: Buffer) => {
    const client = relay.raw('submissions');
    client.send(clientHello(name));
    const answer = await until('a TLS record', () => (client.unread.length > 2 ? client.unread : undefined));
    expect([0x15, 0x16]).toContain(answer.charCodeAt(0)); // alert or ServerHello
    client.close();
    await relay.stillWorks();
  },
);

/** The serial number that a new client sees. */
async function serial(): Promise<string> {
  const client = await relay.tls();
  const { serialNumber } = (client.socket as TLSSocket).getPeerX509Certificate()!;
  client.close();
  return serialNumber;
}

attack(
  'T09',
  'certificates replaced under 20 sessions',
  'the old pair is served until the new one is complete and valid; no session ends',
  async () => {
    const before = await serial();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => relay.loggedIn()));
    const next = await createSelfSigned('ecdsa', ['relay.test'], Date.now());
    for (const spoil of [
      () => writeFileSync(ours().certificate, next.certificate.slice(0, 200)),
      () => writeFileSync(ours().certificate, next.certificate), // and the key is the old one
      () => writeFileSync(ours().key, ''),
      () => rmSync(ours().key),
    ]) {
      spoil();
      await relay.reload();
      expect(await serial()).toBe(before);
    }
    const certificate = await write();
    await relay.reload();
    await until('the new one', async () => (await serial()) !== before);
    expect(certificate).not.toBe('');
    for (const session of sessions) await send(session, { text: TEXT });
  },
);

attack('T10', 'the connection ends within DATA, without close_notify', 'nothing is queued', async () => {
  await relay.lettingNothingIn(async () => {
    for (const how of ['end', 'reset'] as const) {
      const client = relay.raw('submissions');
      const wire = client.socket;
      await client.upgrade();
      await client.reply();
      await client.askAll(['EHLO client.test', RIGHT, `MAIL FROM:<${USER}>`, 'RCPT TO:<anna@dest.test>', 'DATA']);
      client.send(TEXT);
      await new Promise((resolve) => wire.write('', resolve));
      if (how === 'end') wire.destroySoon();
      else wire.resetAndDestroy();
      await client.closed();
    }
  });
  expect(await relay.withStore(async (store) => (await store.messages.list({ limit: 1000 })).length)).toBeGreaterThanOrEqual(0);
  const client = await relay.tls();
  await client.ask('EHLO client.test');
  expect(codeOf(await client.ask(plain(USER, 'wrong')))).toBe('535 5.7.8');
  expect(await submit(await relay.loggedIn(), { text: TEXT })).toMatch(/^250 /);
});
