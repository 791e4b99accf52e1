/** Postfix and chasquid as destinations, found through Unbound and Knot: what they store, and what we report when they refuse. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Chasquid, hasChasquid, startChasquid } from '../support/chasquid.ts';
import { hasDkimpy, judgeByDkimpy, type TxtRecords, txtRecords } from '../support/dkim-judges.ts';
import { startKnot } from '../support/knot.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { hasPostfix, type Postfix, type StoredMail, startPostfixDestination } from '../support/postfix.ts';
import { freePort, loopbackAddress, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { readReport } from '../support/report-judge.ts';
import { type Submission, submit } from '../support/smtp-send.ts';
import { type NameServer, startUnbound } from '../support/unbound.ts';

const FROM = 'app@sender.test';
const PASSWORD = 'correct horse';
const PEERS = [
  requirePeer('postfix', hasPostfix()),
  requirePeer('chasquid', hasChasquid()),
  requirePeer('unbound', hasCommand('unbound')),
  requirePeer('knot', hasCommand('knotd')),
  requirePeer('python3', hasCommand('python3')),
];
const present = PEERS.every(Boolean);

let knot: NameServer;
let unbound: NameServer;
let postfix: Postfix;
let chasquid: Chasquid;
let relay: RelayProcess;
let dkim: TxtRecords;

beforeAll(async () => {
  if (!present) return;
  const addresses = { postfix: loopbackAddress(), chasquid: loopbackAddress(), unbound: loopbackAddress() };
  const port = await freePort(addresses.postfix, addresses.chasquid);
  relay = await prepareRelay({ dns: `${addresses.unbound}:53`, deliveryPort: port });
  await relay.addUser(FROM, PASSWORD, '--sender', '@sender.test');
  dkim = txtRecords([...(await relay.addDomain(relay.hostname)), ...(await relay.addDomain('sender.test'))]);
  const published = await relay.command(['domain', 'records', relay.hostname]);
  knot = await startKnot({ zone: 'test.', records: [...zone(addresses), published] });
  unbound = await startUnbound({ stubs: [{ zone: 'test.', server: knot }], address: addresses.unbound, port: 53 });
  const inPostfix = { hostname: 'mx.dest.test', domains: ['dest.test', 'sender.test'] };
  postfix = await startPostfixDestination({ address: addresses.postfix, port, ...inPostfix });
  const inChasquid = { hostname: 'mx.chasquid.test', domain: 'chasquid.test', users: ['anna', 'bert'] };
  chasquid = await startChasquid({ address: addresses.chasquid, port, nameserver: unbound.address, ...inChasquid });
  await relay.start();
});
afterAll(async () => {
  await relay?.close();
  await Promise.all([postfix?.close(), chasquid?.close()]);
  await unbound?.close();
  await knot?.close();
});

function zone(addresses: { postfix: string; chasquid: string }): string[] {
  return [
    'dest.test. 60 IN MX 10 mx.dest.test.',
    'sender.test. 60 IN MX 10 mx.dest.test.',
    `mx.dest.test. 60 IN A ${addresses.postfix}`,
    'chasquid.test. 60 IN MX 10 mx.chasquid.test.',
    `mx.chasquid.test. 60 IN A ${addresses.chasquid}`,
  ];
}

function send(to: readonly string[], message: string, dsn: Submission['dsn'] = {}): Promise<string> {
  const account = { address: relay.address, port: relay.ports.submissions, user: FROM, password: PASSWORD };
  return submit({ ...account, from: FROM, to, message, dsn });
}

const header = (token: string) => `From: <${FROM}>\r\nTo: <list@sender.test>\r\nSubject: ${token}\r\n\r\n`;

/** Waits for the mail of these recipients that holds the token. */
async function stored(box: { mailbox(): readonly StoredMail[] }, token: string, recipients: readonly string[]) {
  const mine = () => box.mailbox().filter(({ message }) => message.includes(token));
  const all = () => (mine().length >= recipients.length ? mine() : undefined);
  const context = () => relay.output().slice(-5000) + postfix.output().slice(-3000) + chasquid.output().slice(-3000);
  const found = await until(`mail for ${recipients.join(', ')}`, all, { context });
  expect(found.map(({ recipient }) => recipient).sort()).toEqual([...recipients].sort());
  return found;
}

/** Lines that servers like to change: dots, trailing blanks, 8 bit, long ones, From, empty ones at the end. */
const HARD_BODY = [
  ...['.', '..', '.x', 'From here', 'blank at the end ', '\ttab\t', 'Grüße, žluťoučký kůň, 日本語'],
  ...['x'.repeat(998), '', '', ...Array.from({ length: 2000 }, (_, i) => `line ${i} ${'abc '.repeat(i % 20)}`), '', ''],
].join('\r\n');

describe.skipIf(!present)('Postfix and chasquid behind Unbound and Knot', () => {
  test('every recipient gets the sent body unchanged, over TLS', async () => {
    const token = randomUUID();
    const inPostfix = ['anna@dest.test', 'bert@dest.test'];
    const inChasquid = ['anna@chasquid.test', 'bert@chasquid.test'];
    const reply = await send([...inPostfix, ...inChasquid], header(token) + HARD_BODY);
    const queueId = /queued as (\w+)/.exec(reply)![1];
    const mails = [...(await stored(postfix, token, inPostfix)), ...(await stored(chasquid, token, inChasquid))];
    for (const { message, reversePath } of mails) {
      expect(reversePath).toBe(FROM);
      const body = message.subarray(message.indexOf('\r\n\r\n') + 4).toString();
      expect(body.replace(/(\r\n)*$/, '')).toBe(HARD_BODY.replace(/(\r\n)*$/, ''));
    }
    for (const recipient of [...inPostfix, ...inChasquid]) {
      const relayed = await relay.event('relayed', (event) => event['recipient'] === recipient && event['queueId'] === queueId);
      expect(relayed).toMatchObject({ code: 250, tls: 'TLSv1.3', attempt: 1 });
    }
  });

  test('our signature verifies behind Postfix, whatever fields Postfix removes on the way', async () => {
    const token = randomUUID();
    const removed = ['Content-Length: 7', 'Bcc: hidden@dest.test', 'Return-Path: <x@sender.test>', 'Resent-Bcc: y@dest.test'];
    const others = ['Content-Language: de', 'Lines: 1', 'Status: RO', `Sender: ${FROM}`, 'Content-Type: text/plain'];
    await send(['anna@dest.test'], `${[...removed, ...others].join('\r\n')}\r\n${header(token)}Hello\r\n`);
    const [{ message }] = (await stored(postfix, token, ['anna@dest.test'])) as [StoredMail];
    expect(message.toString()).not.toMatch(/^(Content-Length|Bcc):/im);
    expect(await judgeByDkimpy(message, dkim)).toEqual(['ed25519-sha256 sender.test pass', 'rsa-sha256 sender.test pass']);
  });

  test.each([
    ['Postfix', 'unknown-person@dest.test', 'mx.dest.test'],
    ['chasquid', 'unknown@chasquid.test', 'mx.chasquid.test'],
  ])('a user that %s does not know is reported to the sender, the other gets the mail', async (_, unknown, mx) => {
    const token = randomUUID();
    await send([unknown, 'bert@dest.test'], `${header(token)}Hello\r\n`);
    const mails = await stored(postfix, token, ['bert@dest.test', FROM]);
    const { message, reversePath } = mails.find(({ recipient }) => recipient === FROM)!;
    expect(reversePath).toBe('');
    const report = await readReport(message);
    expect(report).toMatchObject({
      contentType: 'multipart/report',
      reportType: 'delivery-status',
      parts: ['text/plain', 'message/delivery-status', expect.stringMatching(/^(message\/rfc822|text\/rfc822-headers)$/)],
      perMessage: { 'reporting-mta': `dns; ${relay.hostname}` },
      original: { subject: token },
      defects: [],
    });
    expect(report.header).toMatchObject({ 'auto-submitted': 'auto-replied', to: expect.stringContaining(FROM) });
    expect(report.perRecipient).toEqual([
      expect.objectContaining({
        'final-recipient': `rfc822; ${unknown}`,
        action: 'failed',
        status: '5.1.1',
        'remote-mta': `dns; ${mx}`,
        'diagnostic-code': expect.stringMatching(/^smtp; 550\s+5\.1\.1 /),
      }),
    ]);
  });

  test('for NOTIFY=SUCCESS (RFC 3461) Postfix reports its recipients, and we report those of chasquid', async () => {
    const token = randomUUID();
    const dsn = { envid: 'order=7', ret: 'HDRS', notify: 'SUCCESS,FAILURE' } as const;
    await send(['anna@dest.test', 'anna@chasquid.test'], `${header(token)}Hello\r\n`, dsn);
    await stored(chasquid, token, ['anna@chasquid.test']);
    const mails = await stored(postfix, token, ['anna@dest.test', FROM, FROM]);
    const reports = await Promise.all(mails.filter((mail) => mail.recipient === FROM).map((mail) => readReport(mail.message)));
    const by = (mta: string) => reports.find(({ perMessage }) => perMessage['reporting-mta'] === `dns; ${mta}`);
    expect(by('mx.dest.test')?.perRecipient).toEqual([
      expect.objectContaining({ 'final-recipient': 'rfc822; anna@dest.test', action: 'delivered' }),
    ]);
    expect(by(relay.hostname)?.perRecipient).toEqual([
      expect.objectContaining({ 'final-recipient': 'rfc822; anna@chasquid.test', action: 'relayed', status: '2.0.0' }),
    ]);
    for (const report of reports) expect(report.perMessage).toMatchObject({ 'original-envelope-id': 'order=7' });
  });

  test('the report is signed by the host name of the relay', async () => {
    if (!hasDkimpy()) return;
    const token = randomUUID();
    await send(['unknown@dest.test'], `${header(token)}Hello\r\n`);
    const [mail] = await stored(postfix, token, [FROM]);
    expect(await judgeByDkimpy(mail!.message, dkim)).toContain(`rsa-sha256 ${relay.hostname} pass`);
  });
});
