/** RFC 8460 §3: which records want reports, and where. */
import { expect, test } from 'vitest';
import { readReportRecord } from '../../../src/tls-policy/report-record.ts';

const uris = (...texts: string[]) => readReportRecord(texts)?.map(({ uri }) => uri);
const A = 'mailto:a@example.org';

test.each([
  ['the least', 'v=TLSRPTv1;rua=mailto:a@example.org', [A]],
  ['blanks and a delimiter at the end', 'v=TLSRPTv1 ;  rua=mailto:a@example.org ; ', [A]],
  [
    'several addresses, with blanks',
    'v=TLSRPTv1; rua=mailto:a@example.org , https://reports.example.org/v1/tlsrpt',
    [A, 'https://reports.example.org/v1/tlsrpt'],
  ],
  ['fields that nobody knows', 'v=TLSRPTv1; x-y.z=1=2; rua=mailto:a@example.org; q=', undefined],
  ['an extension before', 'v=TLSRPTv1; x-y.z=1:2; rua=mailto:a@example.org', [A]],
  ['the first of two rua', 'v=TLSRPTv1; rua=mailto:a@example.org; rua=mailto:b@example.org', [A]],
  ['a subject in the URI, which is left out', 'v=TLSRPTv1; rua=mailto:a@example.org?subject=x', [A]],
  ['percent codes', 'v=TLSRPTv1; rua=mailto:a%2Bb%21c@example.org', ['mailto:a+b!c@example.org']],
  [
    'a domain in capitals and another script',
    'v=TLSRPTv1; rua=MAILTO:a@EXAMPLE.org,mailto:a@b%C3%BCcher.example',
    [A, 'mailto:a@xn--bcher-kva.example'],
  ],
  ['one address twice', 'v=TLSRPTv1; rua=mailto:a@example.org,mailto:a@Example.ORG', [A]],
  ['a port and a query', 'v=TLSRPTv1; rua=https://r.example.org:8443/x?a=b#c', ['https://r.example.org:8443/x?a=b']],
])('%s', (_, text, found) => expect(uris(text)).toEqual(found));

test.each([
  ['no record', []],
  ['others only', ['v=spf1 -all', 'v=TLSRPTv2; rua=mailto:a@example.org']],
  ['two records', ['v=TLSRPTv1; rua=mailto:a@example.org', 'v=TLSRPTv1; rua=mailto:a@example.org']],
  ['no rua', ['v=TLSRPTv1;', 'x']],
  ['an empty rua', ['v=TLSRPTv1; rua=']],
  ['no delimiter', ['v=TLSRPTv1 rua=mailto:a@example.org']],
  ['another case of the version', ['V=TLSRPTv1; rua=mailto:a@example.org']],
  ['blanks before the version', [' v=TLSRPTv1; rua=mailto:a@example.org']],
  ['a field without a value', ['v=TLSRPTv1; rua; rua=mailto:a@example.org']],
  ['an empty field', ['v=TLSRPTv1;; rua=mailto:a@example.org']],
  ['a control character', ['v=TLSRPTv1; rua=mailto:a@example.org\r\nBcc: x']],
])('%s: no reports are wanted', (_, texts) => expect(readReportRecord(texts)).toBeUndefined());

test.each([
  ['an address without a scheme', 'postmaster@example.org'],
  ['another scheme', 'ftp://example.org/'],
  ['plain HTTP', 'http://example.org/'],
  ['an address literal', 'https://192.0.2.1/'],
  ['an address literal, written as a number', 'https://3221225985/'],
  ['an address literal of IPv6', 'https://[2001:db8::1]/'],
  ['a name without a dot', 'https://localhost/'],
  ['a login in the URI', 'https://user:secret@example.org/'],
  ['a size, as DMARC has it', 'mailto:b@example.org!10m'],
  ['two mailboxes in one URI', 'mailto:b@example.org%2Cc@example.org'],
  ['a line end in the address', 'mailto:b%0D%0ABcc%3Ax@example.org'],
  ['half a percent code', 'mailto:b%4@example.org'],
  ['a local part that needs SMTPUTF8', 'mailto:j%C3%BCrgen@example.org'],
  ['no domain', 'mailto:b'],
  ['nothing', ''],
])('%s is passed over, and the good address beside it stays', (_, uri) =>
  expect(uris(`v=TLSRPTv1; rua=${uri},mailto:a@example.org`)).toEqual([A]),
);

test('at most five addresses are taken, and an address that is too long is ignored', () => {
  const many = Array.from({ length: 9 }, (_, i) => `mailto:a${i}@example.org`);
  expect(uris(`v=TLSRPTv1; rua=${many.join(',')}`)).toEqual(many.slice(0, 5));
  expect(uris(`v=TLSRPTv1; rua=mailto:${'a'.repeat(5000)}@example.org`)).toBeUndefined();
});
