/** dkimpy and Mail::DKIM verify our signatures on mail that a real Postfix has stored: RFC 6376, RFC 8463. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  hasDkimpy,
  hasMailDkim,
  judgeByDkimpy,
  judgeByMailDkim,
  publish,
  type TxtRecords,
  txtRecords,
} from '../support/dkim-judges.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostfix, type Postfix, startPostfixDestination } from '../support/postfix.ts';
import { freePort, loopbackAddress, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { submit } from '../support/smtp-send.ts';

const FROM = 'app@sender.test';
const PASSWORD = 'correct horse';
const present = requirePeer('postfix', hasPostfix()) && hasDkimpy() && hasMailDkim();

let postfix: Postfix;
let dns: DnsServer;
let relay: RelayProcess;
let records: TxtRecords;

beforeAll(async () => {
  if (!present) return;
  const address = loopbackAddress();
  const port = await freePort(address);
  dns = await startDnsServer({ zone: { 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: [address] } } });
  postfix = await startPostfixDestination({ address, port, hostname: 'mx.dest.test', domains: ['dest.test'] });
  relay = await prepareRelay({ dns: dns.server, deliveryPort: port });
  await relay.addUser(FROM, PASSWORD, '--sender', '@sender.test');
  records = txtRecords(await relay.addDomain('sender.test'));
  publish(dns, records);
  await relay.start();
});
afterAll(async () => {
  await relay?.close();
  await Promise.all([postfix?.close(), dns?.close()]);
});

const FIELDS = [`From: "App, the" <${FROM}>`, 'To: <anna@dest.test>', 'Message-ID: <fixed@sender.test>'];

/** Shapes of mail whose canonical form is easy to get wrong. */
const SHAPES: readonly (readonly [name: string, fields: readonly string[], body: string])[] = [
  ['a plain message', FIELDS, 'Hello\r\n'],
  ['an empty body', FIELDS, ''],
  ['a body of empty lines', FIELDS, '\r\n\r\n\r\n'],
  ['blanks inside, at the end of lines, and empty lines at the end', FIELDS, 'a  b\t\tc \t\r\n \t\r\nd\r\n\r\n\r\n'],
  ['no line end at the end', FIELDS, 'last line'],
  ['lines with dots', FIELDS, '.\r\n..\r\n.x\r\n'],
  ['folded and oddly spaced fields', [...FIELDS, 'X-Odd   :   a\r\n\tb  \r\n  c', 'Cc:\r\n <bert@dest.test>'], 'Hello\r\n'],
  ['repeated fields', [...FIELDS, 'Comments: one', 'Comments: two', 'Keywords: x'], 'Hello\r\n'],
  ['bytes over 127 in header and body', [...FIELDS, 'Comments: Grüße'], 'žluťoučký kůň\r\n日本語\r\n'],
  ['300 KB', FIELDS, `${'0123456789 abcdefgh '.repeat(45)}\r\n`.repeat(340)],
];

describe.skipIf(!present)('what Postfix stored passes dkimpy and Mail::DKIM', () => {
  test.each(SHAPES)('%s', async (_, fields, body) => {
    const token = randomUUID();
    const message = [...fields, `Subject: ${token}`, 'MIME-Version: 1.0', '', body].join('\r\n');
    const { address, ports } = relay;
    const account = { address, port: ports.submissions, user: FROM, password: PASSWORD };
    await submit({ ...account, from: FROM, to: ['anna@dest.test'], message: Buffer.from(message) });
    const probe = () => postfix.mailbox().find((mail) => mail.message.includes(token));
    const mail = await until('the mail', probe, { context: () => relay.output().slice(-3000) + postfix.output().slice(-3000) });
    expect(await judgeByDkimpy(mail.message, records)).toEqual([
      'ed25519-sha256 sender.test pass',
      'rsa-sha256 sender.test pass',
    ]);
    // Mail::DKIM of Debian 12 does not know Ed25519: to it that signature is "invalid", which is no failure
    expect(await judgeByMailDkim(mail.message, records)).toEqual([
      expect.stringMatching(/^ed25519-sha256 sender\.test (pass|invalid)$/),
      'rsa-sha256 sender.test pass',
    ]);
  });

  test('a changed body, subject or sender, and an added subject, fail', async () => {
    const token = randomUUID();
    const message = [...FIELDS, `Subject: ${token}`, '', 'Pay 10 Euro', ''].join('\r\n');
    const { address, ports } = relay;
    const account = { address, port: ports.submissions, user: FROM, password: PASSWORD };
    await submit({ ...account, from: FROM, to: ['anna@dest.test'], message });
    const mail = await until('the mail', () => postfix.mailbox().find((one) => one.message.includes(token)));
    const text = mail.message.toString('latin1');
    const forgeries = [
      text.replace('Pay 10', 'Pay 90'),
      text.replace(`Subject: ${token}`, 'Subject: other'),
      text.replace('From: "App', 'From: "Bank'),
      `Subject: second\r\n${text}`,
      `From: <other@sender.test>\r\n${text}`,
    ];
    for (const forgery of forgeries) {
      expect(forgery).not.toBe(text);
      expect((await judgeByDkimpy(Buffer.from(forgery, 'latin1'), records)).join()).not.toContain('pass');
    }
  });
});
