/** Unusual but valid messages, always the same ones, which a signer must handle correctly byte by byte. */

/** A message as a client sends it, its stuffed dots removed. */
export type OddMessage = { readonly name: string; readonly content: Buffer; readonly smtpUtf8?: boolean };

const FROM = 'From: Ann Author <ann@sender.test>\r\n';
const BASE = `${FROM}To: bob@example.org\r\nSubject: Hello\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <base@sender.test>\r\n`;
const TEXT = 'Hello Bob,\r\n\r\nthis is a line.\r\n';

/** Header sections: each line with CRLF, no empty line at the end. */
const HEADERS: Readonly<Record<string, string | Buffer>> = {
  'plain header': BASE,
  'only From': FROM,
  'missing Date': `${FROM}Subject: x\r\nMessage-ID: <a@sender.test>\r\n`,
  'missing Message-ID': `${FROM}Subject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n`,
  'folded Subject': BASE.replace('Hello', 'A subject\r\n that goes on\r\n\tand on'),
  'folded with tabs': BASE.replace('Hello', '\r\n\t\ta\r\n \t b'),
  'folded at once': BASE.replace('Subject: Hello', 'Subject:\r\n Hello'),
  'fold before a blank run': BASE.replace('Hello', 'a  \r\n   b'),
  'blanks at the end of values': BASE.replaceAll('\r\n', ' \t \r\n'),
  'tabs after the colon': BASE.replaceAll(': ', ':\t\t'),
  'no blank after the colon': BASE.replaceAll(': ', ':'),
  'many blanks inside': BASE.replace('Hello', 'a     b\t\tc \t d'),
  'empty Subject': BASE.replace('Subject: Hello', 'Subject:'),
  'blank Subject': BASE.replace('Subject: Hello', 'Subject:   \t '),
  'continuation of blanks only': BASE.replace('Hello', 'Hello\r\n  \t'),
  'names in odd case': BASE.replace('From', 'fROM').replace('Subject', 'SUBJECT').replace('Message-ID', 'message-id'),
  'long Subject line': BASE.replace('Hello', 'word '.repeat(300)),
  'Subject of 900 words folded': BASE.replace('Hello', `${'word word word\r\n '.repeat(300)}end`),
  'encoded words': BASE.replace('Hello', '=?utf-8?q?H=C3=A9llo?=\r\n =?utf-8?b?w6k=?='),
  'utf-8 header': BASE.replace('Hello', 'Grüße aus Köln ☃'),
  'latin-1 header': Buffer.from(BASE.replace('Hello', 'Gr\xfc\xdfe'), 'latin1'),
  'folded List-Unsubscribe': `${BASE}List-Unsubscribe: <mailto:leave@sender.test?subject=leave>,\r\n\t<https://sender.test/leave/${'a'.repeat(120)}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n`,
  'all list fields': `${BASE}List-Id: News <news.sender.test>\r\nList-Help: <mailto:help@sender.test>\r\nList-Post: NO\r\nList-Archive: <https://sender.test/>\r\n`,
  threads: `${BASE}In-Reply-To: <one@sender.test>\r\nReferences: <one@sender.test>\r\n <two@sender.test>\r\n\t<three@sender.test>\r\n`,
  'long References': `${BASE}References:${Array.from({ length: 80 }, (_, i) => `\r\n <thread-${i}.${'x'.repeat(30)}@sender.test>`).join('')}\r\n`,
  'doubled List-Id': `${BASE}List-Id: one.example.org\r\nList-Id: two.example.org\r\nList-Id: three.example.org\r\n`,
  'hundreds of References': `${BASE}${'References: <a@sender.test>\r\n'.repeat(300)}`,
  'several Comments and Keywords': `${BASE}Comments: a\r\nComments: b\r\nKeywords: c\r\nKeywords:\r\n d\r\n`,
  'Bcc to remove': `${BASE}Bcc: hidden@example.org,\r\n secret@example.org\r\nX-After: yes\r\n`,
  'Return-Path and Resent-Bcc to remove': `Return-Path: <x@sender.test>\r\n${BASE}Resent-Bcc: y@example.org\r\n`,
  'Received fields': `${'Received: from a.test by b.test with SMTP id 1;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n'.repeat(12)}${BASE}`,
  'another signature, not aligned': `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=other.example;\r\n s=x; h=From:To; bh=AAAA; b=AAAA\r\n${BASE}`,
  'several authors with Sender': `${BASE.replace('Ann Author <ann@sender.test>', 'ann@sender.test,\r\n Bo <bo@sender.test>')}Sender: ann@sender.test\r\n`,
  'From with quotes and comments': BASE.replace('Ann Author', '"Author, \\"Ann\\"" (the (real) one)\r\n'),
  'To of 500 addresses': BASE.replace(
    'bob@example.org',
    Array.from({ length: 500 }, (_, i) => `r${i}@example.org`).join(',\r\n '),
  ),
  'empty group in To': BASE.replace('bob@example.org', 'undisclosed-recipients:;'),
  'huge header': `${BASE}${Array.from({ length: 1500 }, (_, i) => `X-Filler-${i}: ${'abc '.repeat(20)}\r\n`).join('')}`,
  'a header field of 60 KB in one line': `${BASE}X-Long: ${'y'.repeat(60_000)}\r\n`,
  'Exchange fields': `${BASE}x-ms-tnef-correlator: <a@sender.test>\r\nThread-Topic: Hello\r\nThread-Index: AdTx\r\nContent-Language: de-DE\r\nMIME-Version: 1.0\r\n`,
  'resent fields': `Resent-From: ann@sender.test\r\nResent-To: c@example.org\r\nResent-Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n${BASE}`,
  'feedback and auto fields': `${BASE}Auto-Submitted: auto-generated\r\nFeedback-ID: 1:2:3:sender\r\nAutocrypt: addr=ann@sender.test;\r\n keydata=AAAA\r\n`,
  'an empty field of every signed kind': `${BASE}Cc:\r\nReply-To:\r\nMIME-Version:\r\nContent-Type:\r\nContent-Transfer-Encoding:\r\nReferences:\r\n`,
  'values with colons and semicolons': `${BASE}X-Odd: a: b; c=d;; =\r\nX-Odd2:::\r\n`,
  'bare LF in the header': BASE.replaceAll('\r\n', '\n'),
  'several authors in brackets': `${BASE.replace('Ann Author', 'Bo <bo@sender.test>,\r\n Ann')}Sender: ann@sender.test\r\n`,
};

/** Bodies; `undefined`: there is not even the empty line. */
const BODIES: Readonly<Record<string, string | Buffer | undefined>> = {
  'plain body': TEXT,
  'no body': undefined,
  'empty body': '',
  'one CRLF': '\r\n',
  'only CRLFs': '\r\n'.repeat(7),
  'only blanks': '   \t ',
  'lines of blanks only': ' \r\n\t\r\n \t \r\n',
  'no newline at the end': 'Hello',
  'a blank at the end, no newline': 'Hello ',
  'many newlines at the end': `Hello${'\r\n'.repeat(40)}`,
  'blank lines at the end': 'Hello\r\n \r\n\t\r\n  \r\n',
  'newlines at the start': '\r\n\r\nHello\r\n',
  'blanks at line ends': 'a \r\nb\t\r\nc \t \r\n',
  'runs of blanks': 'a  b   c\t\td \t e\r\n',
  'indented lines': '  if (x) {\r\n\t\treturn;\r\n  }\r\n',
  'one space only': ' \r\n',
  'a single tab between words': 'a\tb\r\n',
  'dot lines': '.\r\n..\r\n...\r\n.hidden\r\n. \r\n .\r\n.\r\n',
  'a lone dot at the end': 'x\r\n.\r\n',
  'a lone dot alone': '.\r\n',
  '8-bit utf-8': 'Grüße, Ελληνικά, 日本語 — ☃\r\n',
  '8-bit latin-1': Buffer.from('Gr\xfc\xdfe \x80\x81\xff\r\n', 'latin1'),
  'all bytes but NUL, CR, LF': Buffer.concat([
    Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((b) => b !== 13 && b !== 10)),
    Buffer.from('\r\n'),
  ]),
  'control characters': 'a\x01b\x07c\x0bd\x0ce\x1bf\x7f\r\n',
  'form feeds and vertical tabs at line ends': 'a \x0c\r\nb\x0b \r\n',
  'no-break spaces': Buffer.from('a\xa0\xa0b \xa0\r\n', 'latin1'),
  'a line of 998': `${'x'.repeat(998)}\r\n`,
  'a line of 1500 words': `${'word '.repeat(1500)}\r\n`,
  'a line of 65536': `${'y'.repeat(65_536)}\r\n`,
  'a line of 6000 blanks': `a${' '.repeat(6000)}b\r\n`,
  'lines of 76 base64': `${`${'QUJD'.repeat(19)}\r\n`.repeat(900)}`,
  'quoted-printable': 'a=20\r\n=2E\r\nsoft=\r\nbreak=\r\n',
  'bare LF': 'one\ntwo\n\nthree\n',
  'bare CR': 'one\rtwo\r\rthree\r',
  'mixed newlines': 'one\r\ntwo\nthree\rfour\n\rfive\r\r\nsix',
  'bare LF with blanks before': 'one \ntwo\t\nthree  \n\n\n',
  'From at the start of a line': 'From here to there\r\n>From\r\n',
  'looks like a header': 'Subject: not a header\r\n\r\n',
  multipart:
    'preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>  two</p>\r\n--b--\r\nepilogue\r\n\r\n',
  'S/MIME': `--b\r\nContent-Type: text/plain\r\n\r\nsigned\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n${'MIIB'.repeat(18)}\r\n--b--\r\n`,
  'message/rfc822':
    '--b\r\nContent-Type: message/rfc822\r\n\r\nDKIM-Signature: v=1; d=x\r\nFrom: z@z.test\r\n\r\ninner\r\n--b--\r\n',
  '300 KB of text': 'The quick brown fox  jumps over the lazy dog. \r\n'.repeat(6500),
  '300 KB of base64': `${'QUJD'.repeat(19)}\r\n`.repeat(4000),
  '5000 empty lines, then text': `${'\r\n'.repeat(5000)}end\r\n`,
  '5000 empty lines at the end': `start${'\r\n'.repeat(5000)}`,
};

/** The headers that are combined with every body. */
const CROSSED_HEADERS = ['only From', 'folded with tabs', 'blank Subject', 'utf-8 header', 'Bcc to remove', 'doubled List-Id'];
const CROSSED_BODIES = [
  'no body',
  'empty body',
  'only CRLFs',
  'lines of blanks only',
  'no newline at the end',
  'blank lines at the end',
  'blanks at line ends',
  'dot lines',
  '8-bit latin-1',
  'mixed newlines',
  'multipart',
  'newlines at the start',
];

/** More than 200 messages, each of them to be signed and verified. */
export function oddMessages(): readonly OddMessage[] {
  const pairs = new Set([
    ...Object.keys(HEADERS).map((header) => `${header} / plain body`),
    ...Object.keys(BODIES).map((body) => `plain header / ${body}`),
    ...CROSSED_HEADERS.flatMap((header) => CROSSED_BODIES.map((body) => `${header} / ${body}`)),
  ]);
  const made = [...pairs].map((name): OddMessage => {
    const [header, body] = name.split(' / ') as [string, string];
    return { name, content: assemble(HEADERS[header]!, BODIES[body]), ...(header === 'utf-8 header' && { smtpUtf8: true }) };
  });
  return [...made, ...randomMessages(60)];
}

function assemble(header: string | Buffer, body: string | Buffer | undefined): Buffer {
  const parts = [header, ...(body === undefined ? [] : ['\r\n', body])];
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

/** Bodies of the pieces that matter to canonical forms, thrown together by a generator with a fixed seed. */
function randomMessages(count: number): OddMessage[] {
  const pieces = [
    '\r\n',
    '\r\n',
    ' ',
    '\t',
    '  ',
    'a',
    'word',
    '.',
    '\r\n.',
    'ü',
    '\n',
    '=20',
    '\r\n \r\n',
    'x'.repeat(80),
    '\x0c',
  ];
  const random = generator(20261121);
  return Array.from({ length: count }, (_, n) => {
    const body = Array.from({ length: 5 + random(200) }, () => pieces[random(pieces.length)]).join('');
    const subject = Array.from({ length: random(20) }, () => ['a', ' ', '\t', '\r\n ', '\r\n\tb', '  '][random(6)]).join('');
    // a lone dot beside a bare newline is refused, so there is none here
    const safe = body.replace(/\n\./g, '\n:').replace(/^\./, ':');
    const header = BASE.replace('Hello', () => `s${subject}e`);
    return { name: `random ${n}`, content: Buffer.from(`${header}\r\n${safe}`) };
  });
}

/** Numbers below a bound, the same on every machine. */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
