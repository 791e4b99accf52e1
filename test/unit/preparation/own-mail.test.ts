/** Our own mail: one header, and SMTPUTF8 where it needs it. */
import { expect, test } from 'vitest';
import { createPreparation, type OwnMail, prepareOwnMail, textContent } from '../../../src/preparation/preparation.ts';
import { HOSTNAME, MemorySpools, NOW, signerWith } from '../../support/prepare.ts';

async function write(rest: Partial<OwnMail> = {}) {
  const preparation = createPreparation({
    hostname: HOSTNAME,
    maxMessageSize: 1024 * 1024,
    maxHeaderSize: 64 * 1024,
    bareNewlines: 'normalize',
    createSpool: new MemorySpools().create,
    signer: signerWith([]),
  });
  const mail: OwnMail = {
    ...{ id: '0123456789abc', now: NOW, lifetime: 1000, reversePath: '', to: 'bob@example.org', subject: 'Hello' },
    ...{
      from: { name: 'Relay', address: `postmaster@${HOSTNAME}` },
      autoSubmitted: 'auto-generated',
      content: textContent(['Hi']),
    },
    ...rest,
  };
  const destinationOf = (_: unknown, address: string) => address.slice(address.lastIndexOf('@') + 1);
  const message = await prepareOwnMail(mail, { hostname: HOSTNAME, preparation, destinationOf, signs: () => true });
  const text = Buffer.from(message.content.kind === 'inline' ? message.content.bytes : []).toString();
  return { message, text };
}

test('has the fields of any message, and gets no report', async () => {
  const { message, text } = await write({ inReplyTo: '<1@example.org>' });
  expect(text.split('\r\n')).toEqual([
    ...[
      'From: Relay <postmaster@relay.test>',
      'To: <bob@example.org>',
      'Subject: Hello',
      'Date: Sat, 21 Nov 2026 10:00:00 +0000',
    ],
    ...[
      expect.stringMatching(/^Message-ID: <0123456789abc\.[0-9a-z]{10}@relay\.test>$/),
      'In-Reply-To: <1@example.org>',
      'References: <1@example.org>',
    ],
    ...['Auto-Submitted: auto-generated', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8'],
    ...['Content-Transfer-Encoding: 7bit', '', 'Hi', ''],
  ]);
  expect(message).toMatchObject({
    ...{ user: null, reversePath: '', body: '7BIT', needsSmtpUtf8: false, acceptedAt: NOW, expiresAt: NOW + 1000 },
    recipients: [{ address: 'bob@example.org', destination: 'example.org', notify: ['NEVER'] }],
  });
});

test('gets a report if it has a sender', async () => {
  const { message } = await write({ reversePath: 'anna@sender.test' });
  expect(message.recipients[0]!.notify).toBeUndefined();
});

test.each([
  ['recipient', { to: 'jürgen@example.org' }],
  ['author', { from: { address: 'jürgen@example.org' } }],
])('needs SMTPUTF8 where its %s is not ASCII', async (_, rest) => {
  expect((await write(rest)).message.needsSmtpUtf8).toBe(true);
});

test('8-bit text is named as that, and needs no SMTPUTF8', async () => {
  const { message, text } = await write({ content: textContent(['Grüße']) });
  expect(message).toMatchObject({ body: '8BITMIME', needsSmtpUtf8: false });
  expect(text).toContain('Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n');
});

test('an address that is too long for a header line is only in the envelope', async () => {
  const to = `${'a'.repeat(2000)}@example.org`;
  const { message, text } = await write({ to });
  expect(message.recipients[0]!.address).toBe(to);
  expect(text).toContain('\r\nTo: undisclosed-recipients:;\r\n');
  expect(Math.max(...text.split('\r\n').map((line) => line.length))).toBeLessThan(998);
});
