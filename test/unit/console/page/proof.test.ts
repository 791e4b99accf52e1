/** The proof of a message, the rows of a live list, and where a search goes. */
import { expect, test } from 'vitest';
import { newestOf } from '../../../../src/console/page/mail/live-rows.ts';
import { proofText } from '../../../../src/console/page/mail/proof.ts';
import { searchHref } from '../../../../src/console/page/url.ts';

test('a proof has time, host, address, TLS, reply and ids, in UTC', () => {
  const attempt = {
    ...{ at: '2026-11-28T09:42:05.400Z', mx: 'mx.alpha.test', ip: '192.0.2.5', tls: 'TLSv1.3', outcome: 'relayed' as const },
    ...{ code: 250, status: '2.0.0', reply: '250 2.0.0 Ok: queued as 4F2K9', seconds: 0.3 },
  };
  const recipient = {
    ...{ recipient: 'anna@alpha.test', state: 'relayed' as const, nextAttemptAt: null },
    ...{ expiresAt: '2026-12-03T09:42:05.113Z', lastReply: attempt.reply, attempts: [attempt] },
  };
  const message = {
    ...{ id: '1m80c1e7zdvtr', messageId: '<1@corp.example>', user: 'exchange', reversePath: 'max@corp.example', size: 49152 },
    ...{ acceptedAt: '2026-11-28T09:42:05.113Z', client: { ip: '203.0.113.9', tls: 'TLSv1.2', mechanism: 'LOGIN' } },
    ...{ subject: 'Offer\u202e', recipients: [recipient], signatures: ['s1._domainkey.corp.example'], about: null, reports: [] },
    ...{ states: { relayed: 1 }, next: null },
  };
  expect(proofText(message, 'relay.example.net')).toBe(`Message 1m80c1e7zdvtr at relay.example.net
Message-ID: <1@corp.example>
Subject: Offer⟦U+202E⟧
From: <max@corp.example>
Accepted: 2026-11-28 09:42:05.113 UTC, 49152 octets, from exchange, 203.0.113.9, TLSv1.2, LOGIN
Signed: s1._domainkey.corp.example

To: <anna@alpha.test>: relayed
  2026-11-28 09:42:05.400 UTC  mx.alpha.test [192.0.2.5]  TLSv1.3  250 2.0.0 Ok: queued as 4F2K9  (0.3 s)
`);
  expect(proofText({ ...message, states: { relayed: 50, delayed: 1 } }, 'relay.example.net')).toMatch(
    /\n\nand 50 other recipients, which this text leaves out\n$/,
  );
});

test('of a message that was told twice the last row is shown, the newest message first', () => {
  const rows = [
    { id: '2', state: 'relayed' },
    { id: '3', state: 'queued' },
    { id: '2', state: 'queued' },
    { id: '1', state: 'queued' },
  ];
  expect(newestOf(rows).map(({ id, state }) => `${id} ${state}`)).toEqual(['3 queued', '2 relayed', '1 queued']);
});

test('a search goes to a message by its id, to a list by a Message-ID or a part of an address', () => {
  expect(searchHref('1m8gtrvg1fy1ncg9s')).toBe('/messages/1m8gtrvg1fy1ncg9s');
  expect(searchHref('<a@b.example>')).toBe('/messages?messageId=%3Ca%40b.example%3E');
  expect(searchHref('anna@alpha.example')).toBe('/messages?to=anna%40alpha.example');
});
