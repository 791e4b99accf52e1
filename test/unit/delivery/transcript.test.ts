import type { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { createTranscript } from '../../../src/delivery/transcript.ts';

function at(...times: number[]) {
  return createTranscript(() => times.shift() ?? 0);
}

test('commands, replies and notes stand in their order, with seconds since the start', () => {
  const transcript = at(1000, 1000, 1012.4, 1012.4, 1013, 1013);
  transcript.note('connecting to mx.example.org [192.0.2.1] port 25');
  transcript.received({ code: 220, lines: ['mx.example.org ESMTP'] });
  transcript.sent('EHLO relay.test\r\n', false);
  transcript.received({ code: 250, lines: ['mx.example.org', 'PIPELINING'] });
  expect(transcript.text().split('\n')).toEqual([
    '0.000 * connecting to mx.example.org [192.0.2.1] port 25',
    '0.012 < 220 mx.example.org ESMTP',
    '0.012 > EHLO relay.test',
    '0.013 < 250-mx.example.org',
    '0.013 < 250 PIPELINING',
  ]);
});

test('commands that leave in one write are lines of their own', () => {
  const transcript = at(0, 0, 0, 0);
  transcript.sent('MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n', false);
  expect(transcript.text()).toBe('0.000 > MAIL FROM:<a@b.test>\n0.000 > RCPT TO:<c@d.test>\n0.000 > DATA');
});

test('data sent for AUTH are never kept, but the mechanism is', () => {
  const transcript = at();
  for (const line of ['AUTH PLAIN AHVzZXIAc2VjcmV0', 'AUTH LOGIN', 'dXNlcg==', 'c2VjcmV0']) transcript.sent(`${line}\r\n`, true);
  expect(
    transcript
      .text()
      .split('\n')
      .map((line) => line.slice(8)),
  ).toEqual(['AUTH PLAIN ***', 'AUTH LOGIN', '***', '***']);
});

test('the transcript has a limit, however much the other side sends', () => {
  const transcript = at();
  for (let i = 0; i < 100; i++) transcript.received({ code: 250, lines: Array.from({ length: 50 }, () => 'é'.repeat(900)) });
  transcript.note('later');
  const text = transcript.text();
  expect(Buffer.byteLength(text)).toBeLessThan(19_000);
  expect(text).toMatch(/\* … the rest is not kept$/);
  expect(text.match(/not kept/g)).toHaveLength(1);
});

test('a line of the other side stays one line, with a limit', () => {
  const transcript = at();
  transcript.received({ code: 250, lines: [`a\rb\nc${'x'.repeat(5000)}`] });
  expect(transcript.text()).toMatch(/^0\.000 < 250 a b cx+…$/);
  expect(transcript.text().length).toBeLessThan(1100);
});

test('TLS is noted with its certificate, and with whether that would be trusted', () => {
  const socket = (authorized: boolean, certificate: object) =>
    ({
      getPeerCertificate: () => certificate,
      getProtocol: () => 'TLSv1.3',
      getCipher: () => ({ name: 'TLS_AES_256_GCM_SHA384' }),
      authorized,
      authorizationError: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    }) as unknown as TLSSocket;
  const certificate = { subject: { CN: 'mx.test' }, issuer: { O: 'Some CA' }, valid_to: 'Nov 22 00:00:00 2027 GMT' };
  const transcript = at();
  transcript.secured(socket(true, certificate));
  transcript.secured(socket(false, certificate));
  transcript.secured(socket(false, {}));
  expect(transcript.text().split('\n')).toEqual([
    '0.000 * TLSv1.3 with TLS_AES_256_GCM_SHA384; certificate of mx.test by Some CA until Nov 22 00:00:00 2027 GMT, trusted',
    '0.000 * TLSv1.3 with TLS_AES_256_GCM_SHA384; certificate of mx.test by Some CA until Nov 22 00:00:00 2027 GMT, not trusted: DEPTH_ZERO_SELF_SIGNED_CERT',
    '0.000 * TLSv1.3 with TLS_AES_256_GCM_SHA384; no certificate',
  ]);
});
