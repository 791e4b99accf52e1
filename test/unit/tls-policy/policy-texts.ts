/** Policy files as they are found, and as they should not be. Those of large providers are written down from memory: forms, not facts of today. */
import type { PolicyFile } from '../../../src/tls-policy/mta-sts.ts';

type Good = {
  readonly what: string;
  readonly text: string;
  readonly is: Partial<PolicyFile>;
  /** Hosts that it means, and hosts that it does not mean. */
  readonly names?: readonly string[];
  readonly not?: readonly string[];
};
type Invalid = { readonly what: string; readonly text: string | Uint8Array; readonly because: RegExp };

const lines = (...all: readonly string[]) => `${all.join('\n')}\n`;
const crlf = (...all: readonly string[]) => `${all.join('\r\n')}\r\n`;
const enforced = (...more: readonly string[]) => lines('version: STSv1', 'mode: enforce', 'max_age: 86400', ...more);
const YEAR = 31_557_600;

const OF_PROVIDERS: readonly Good[] = [
  {
    what: 'of a large provider, with LF',
    text: lines(
      ...['version: STSv1', 'mode: enforce', 'mx: gmail-smtp-in.l.google.com', 'mx: *.gmail-smtp-in.l.google.com'],
      'max_age: 86400',
    ),
    is: { mode: 'enforce', maxAge: 86_400 },
    names: ['gmail-smtp-in.l.google.com', 'alt1.gmail-smtp-in.l.google.com'],
    not: ['aspmx.l.google.com'],
  },
  {
    what: 'of a provider of domains, with its old and its new hosts',
    text: lines(
      ...['version: STSv1', 'mode: enforce', 'mx: smtp.google.com', 'mx: aspmx.l.google.com', 'mx: *.aspmx.l.google.com'],
      'max_age: 86400',
    ),
    is: { mx: ['smtp.google.com', 'aspmx.l.google.com', '*.aspmx.l.google.com'] },
    names: ['smtp.google.com', 'alt4.aspmx.l.google.com'],
    not: ['x.smtp.google.com'],
  },
  {
    what: 'of a provider with one pattern, with CRLF',
    text: crlf('version: STSv1', 'mode: enforce', 'mx: *.olc.protection.outlook.com', 'max_age: 604800'),
    is: { mode: 'enforce', maxAge: 604_800, mx: ['*.olc.protection.outlook.com'] },
    names: ['outlook-com.olc.protection.outlook.com'],
    not: ['olc.protection.outlook.com', 'a.b.olc.protection.outlook.com'],
  },
  {
    what: 'of a company behind a provider, without a last line end',
    text: 'version: STSv1\nmode: enforce\nmx: *.mail.protection.outlook.com\nmax_age: 604800',
    is: { mx: ['*.mail.protection.outlook.com'] },
    names: ['example-com.mail.protection.outlook.com'],
  },
  {
    what: 'of a provider that names one label more than its pattern means',
    text: enforced('mx: *.mx.microsoft'),
    is: { mode: 'enforce' },
    names: ['contoso.mx.microsoft'],
    not: ['contoso.h-v1.mx.microsoft'],
  },
  {
    what: 'of a provider that tests',
    text: lines(
      ...['version: STSv1', 'mode: testing', 'mx: *.am0.yahoodns.net', 'mx: *.mail.gm0.yahoodns.net'],
      ...['mx: *.mail.am0.yahoodns.net', 'max_age: 86400'],
    ),
    is: { mode: 'testing' },
    names: ['mta5.am0.yahoodns.net', 'mx-eu.mail.am0.yahoodns.net'],
    not: ['x.y.am0.yahoodns.net'],
  },
  {
    what: 'of a provider that names two hosts and lasts for a month',
    text: lines('version: STSv1', 'mode: enforce', 'max_age: 2592000', 'mx: mx1.comcast.net', 'mx: mx2.comcast.net'),
    is: { maxAge: 2_592_000, mx: ['mx1.comcast.net', 'mx2.comcast.net'] },
    names: ['mx2.comcast.net'],
    not: ['mx3.comcast.net'],
  },
  {
    what: 'of a provider with hosts of its own, mode last',
    text: lines('version: STSv1', 'mx: mail.protonmail.ch', 'mx: mailsec.protonmail.ch', 'max_age: 604800', 'mode: enforce'),
    is: { mode: 'enforce', mx: ['mail.protonmail.ch', 'mailsec.protonmail.ch'] },
    names: ['mailsec.protonmail.ch'],
  },
  {
    what: 'of a provider with hosts under another name',
    text: crlf(
      ...['version: STSv1', 'mode: enforce', 'mx: in1-smtp.messagingengine.com', 'mx: in2-smtp.messagingengine.com'],
      'max_age: 604800',
    ),
    is: { mode: 'enforce' },
    names: ['in1-smtp.messagingengine.com'],
    not: ['in3-smtp.messagingengine.com'],
  },
  {
    what: 'of a provider whose certificate has a pattern too',
    text: lines('version: STSv1', 'mode: enforce', 'mx: *.gmx.net', 'mx: *.web.de', 'max_age: 604800'),
    is: { mx: ['*.gmx.net', '*.web.de'] },
    names: ['mx00.gmx.net', 'mx-ha03.web.de'],
    not: ['gmx.net', 'mx00.gmx.de'],
  },
];

const ODD: readonly Good[] = [
  { what: 'in the least form', text: 'version:STSv1\nmode:none\nmax_age:0', is: { mode: 'none', maxAge: 0, mx: [] } },
  { what: 'with blanks and tabs', text: enforced('mx: \t a.example \t'), is: { mx: ['a.example'] } },
  { what: 'with CRLF and LF mixed', text: `version: STSv1\r\n${enforced('mx: a.example')}`, is: { mode: 'enforce' } },
  {
    what: 'with empty lines in between and at the end',
    text: `${enforced('', 'mx: a.example', ' ', '')}\n`,
    is: { mx: ['a.example'] },
  },
  { what: 'with unknown fields', text: enforced('mx: a.example', 'future_1: any text, even: ünïcode', 'a.b-c: x'), is: {} },
  { what: 'with keys in another case beside its own', text: enforced('Mode: none', 'mx: a.example'), is: { mode: 'enforce' } },
  { what: 'with two modes, of which the first counts', text: enforced('mode: none', 'mx: a.example'), is: { mode: 'enforce' } },
  { what: 'with two ages, of which the first counts', text: enforced('max_age: x', 'mx: a.example'), is: { maxAge: 86_400 } },
  { what: 'with ten digits of age', text: lines('version: STSv1', 'mode: none', 'max_age: 9999999999'), is: { maxAge: YEAR } },
  {
    what: 'with a second more than a year',
    text: lines('version: STSv1', 'mode: none', 'max_age: 31557601'),
    is: { maxAge: YEAR },
  },
  {
    what: 'with zeros before its age',
    text: lines('version: STSv1', 'mode: none', 'max_age: 0000086400'),
    is: { maxAge: 86_400 },
  },
  {
    what: 'with capitals',
    text: enforced('mx: MX1.Example.ORG', 'mx: *.Example.NET'),
    is: { mx: ['mx1.example.org', '*.example.net'] },
  },
  {
    what: 'with a final dot',
    text: enforced('mx: mx1.example.org.'),
    is: { mx: ['mx1.example.org'] },
    names: ['mx1.example.org'],
  },
  {
    what: 'with names in Unicode',
    text: enforced('mx: *.bücher.example', 'mx: 例え.example'),
    is: { mx: ['*.xn--bcher-kva.example', 'xn--r8jz45g.example'] },
    names: ['mx.xn--bcher-kva.example'],
  },
  {
    what: 'with an address, which is the name of no host',
    text: enforced('mx: 192.0.2.1', 'mx: mx.example.org'),
    is: { mx: ['192.0.2.1', 'mx.example.org'] },
    names: ['mx.example.org'],
    not: ['192.0.2.1'],
  },
  { what: 'with an underscore', text: enforced('mx: mx_1.example.org'), is: {}, names: ['mx_1.example.org'] },
  {
    what: 'with a mode of none and an mx that is none',
    text: lines('version: STSv1', 'mode: none', 'mx:', 'max_age: 60'),
    is: { mx: [] },
  },
  {
    what: 'with a thousand hosts',
    text: enforced(...Array.from({ length: 1000 }, (_, i) => `mx: mx${i}.example.org`)),
    is: { mode: 'enforce' },
    names: ['mx999.example.org'],
    not: ['mx1000.example.org'],
  },
];

export const GOOD_POLICIES: readonly Good[] = [...OF_PROVIDERS, ...ODD];

export const INVALID_POLICIES: readonly Invalid[] = [
  { what: 'empty', text: '', because: /no version/ },
  {
    what: 'a page of the web',
    text: '<!DOCTYPE html>\n<html><head><title>404: not found</title>',
    because: /line 1 is not a field/,
  },
  { what: 'of another version', text: lines('version: STSv2', 'mode: none', 'max_age: 1'), because: /version is not STSv1/ },
  { what: 'whose version is in another case', text: lines('version: stsv1', 'mode: none', 'max_age: 1'), because: /version/ },
  { what: 'without a version', text: lines('mode: none', 'max_age: 1'), because: /no version/ },
  { what: 'without a mode', text: lines('version: STSv1', 'mx: a.example', 'max_age: 1'), because: /no mode/ },
  { what: 'of an unknown mode', text: lines('version: STSv1', 'mode: report', 'max_age: 1'), because: /its mode/ },
  { what: 'without an age', text: lines('version: STSv1', 'mode: none'), because: /no max_age/ },
  { what: 'with eleven digits of age', text: lines('version: STSv1', 'mode: none', 'max_age: 10000000000'), because: /max_age/ },
  { what: 'with an age below zero', text: lines('version: STSv1', 'mode: none', 'max_age: -1'), because: /max_age/ },
  { what: 'with an age in days', text: lines('version: STSv1', 'mode: none', 'max_age: 7d'), because: /max_age/ },
  { what: 'without an mx', text: enforced(), because: /names no mx/ },
  { what: 'with a misspelt mx', text: enforced('nmx: a.example'), because: /names no mx/ },
  { what: 'with an empty mx', text: enforced('mx: '), because: /its mx number 1/ },
  { what: 'with an mx for everything', text: enforced('mx: *'), because: /its mx number 1/ },
  { what: 'with two stars', text: enforced('mx: a.example', 'mx: *.*.example'), because: /its mx number 2/ },
  { what: 'with a star in a label', text: enforced('mx: mx*.example.org'), because: /its mx number 1/ },
  { what: 'with the form of a draft', text: enforced('mx: .example.org'), because: /its mx number 1/ },
  { what: 'with several hosts in one line', text: enforced('mx: a.example, b.example'), because: /its mx number 1/ },
  { what: 'with an IPv6 address', text: enforced('mx: 2001:db8::1'), because: /its mx number 1/ },
  { what: 'with a blank before the colon', text: enforced('mx : a.example'), because: /line 4 is not a field/ },
  { what: 'with a blank before the key', text: enforced(' mx: a.example'), because: /line 4 is not a field/ },
  { what: 'with CR alone', text: 'version: STSv1\rmode: none\rmax_age: 1\r', because: /control character/ },
  { what: 'with NUL', text: enforced('mx: a.example\0'), because: /control character/ },
  { what: 'with a byte order mark', text: `\ufeff${enforced('mx: a.example')}`, because: /line 1 is not a field/ },
  { what: 'in UTF-16', text: Buffer.from(`\ufeff${enforced('mx: a.example')}`, 'utf16le'), because: /not UTF-8/ },
  { what: 'in Latin-1', text: Buffer.from(enforced('mx: a.example', 'x: \xfc'), 'latin1'), because: /not UTF-8/ },
  { what: 'in JSON', text: '{"version": "STSv1", "mode": "enforce"}', because: /line 1 is not a field/ },
  { what: 'with a comment', text: `# our policy\n${enforced('mx: a.example')}`, because: /line 1 is not a field/ },
  { what: 'with a line without a value', text: enforced('mx: a.example', 'x:'), because: /line 5 has no value/ },
];
