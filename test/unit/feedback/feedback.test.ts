/** Reports of receivers: the forms that they send, and what is refused. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { FeedbackSums, readFeedback } from '../../../src/feedback/feedback.ts';
import { complaintMail, mailWith, zip } from './wrap.ts';

const sample = (name: string) => readFileSync(new URL(`samples/${name}.xml`, import.meta.url));
const own = { addresses: new Set(['192.0.2.25']), keys: new Set(['s1._domainkey.example.org']) };
const read = (bytes: Buffer | string) => readFeedback(Buffer.from(bytes), own);

async function sumsOf(bytes: Buffer) {
  const { reports } = await read(bytes);
  const sums = new FeedbackSums(own);
  for (const report of reports) sums.merge(report.sums);
  return sums
    .list()
    .map(({ domain, source, sender, dmarc, dkim, spf, disposition, messages }) =>
      [domain, source, sender, dmarc, dkim, spf, disposition, messages].join(' '),
    );
}

/** domain, source, sender, DMARC, DKIM, SPF, disposition, messages */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  google: [
    'example.org 198.51.100.77 other fail fail fail quarantine 9',
    'example.org 2001:db8::19 passed on pass pass fail none 2',
    'example.org 192.0.2.25 us pass pass pass none 41',
  ],
  yahoo: ['example.org 192.0.2.25 us pass pass pass none 3'],
  microsoft: ['example.org 203.0.113.9 other fail fail fail quarantine 1', 'example.org 192.0.2.25 us pass fail pass none 5'],
  mailru: ['example.org 192.0.2.25 us pass pass pass none 7'],
  fastmail: ['example.org 192.0.2.25 us pass pass pass none 2'],
  rfc9990: ['example.org 192.0.2.25 us pass pass pass pass 12', 'news.example.org 198.51.100.77 other fail fail fail reject 4'],
};

/** Each equals sign and each third character is encoded, and lines are cut. */
const quoted = (xml: Buffer) =>
  [...xml.toString('latin1')]
    .map((one, i) => (one === '=' || i % 3 === 0 ? `=${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}` : one))
    .map((one, i) => (i % 20 === 19 ? `${one}=\r\n` : one))
    .join('');

const FORMS: Readonly<Record<string, (xml: Buffer) => Buffer>> = {
  XML: (xml) => xml,
  'XML with a byte order mark': (xml) => Buffer.concat([Buffer.from('\ufeff'), xml]),
  gzip: (xml) => gzipSync(xml),
  zip: (xml) => zip({ data: xml }),
  'zip, not compressed': (xml) => zip({ data: xml, stored: true }),
  'a mail with gzip': (xml) => mailWith(gzipSync(xml)),
  'a mail with zip under a wrong type': (xml) => mailWith(zip({ data: xml }), 'application/octet-stream', 'report'),
  'a mail with XML': (xml) => mailWith(xml, 'text/xml', 'report.xml'),
  'a mail with quoted-printable': (xml) =>
    Buffer.from(
      `From: r@example.com\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${quoted(xml)}`,
    ),
  'a mail that is the zip itself': (xml) =>
    Buffer.from(
      `From: r@example.com\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\n${zip({ data: xml }).toString('base64')}\n`,
    ),
  'a forwarded mail in a mailbox file': (xml) =>
    Buffer.concat([
      Buffer.from('From x Wed Nov 25 2026\nFrom: y@example.org\nContent-Type: message/rfc822\n\n'),
      mailWith(gzipSync(xml)),
    ]),
};

describe.each(Object.entries(FORMS))('%s', (_, wrap) => {
  test.each(Object.entries(EXPECTED))('of %s gives the sums', async (name, expected) => {
    expect(await sumsOf(wrap(sample(name)))).toEqual(expected);
  });
});

test('says what a report says about itself', async () => {
  const { reports } = await read(sample('rfc9990'));
  expect(reports[0]!.head).toEqual({
    ...{ reporter: 'receiver.example', contact: 'dmarc@receiver.example', domain: 'example.org', errors: [] },
    reportId: '20261125.example.org.7781@receiver.example',
    begin: Date.UTC(2026, 10, 25),
    end: Date.UTC(2026, 10, 25, 23, 59, 59),
    policy: { p: 'reject', sp: 'none', np: 'reject', adkim: 's', fo: '0', testing: 'y', discovery_method: 'treewalk' },
  });
  expect((await read(sample('fastmail'))).reports[0]!.head.errors).toEqual(['A <selector> could not be looked up (timeout)']);
});

test('names what the receivers verified, so that a service can be recognized', async () => {
  const { reports } = await read(sample('google'));
  expect(reports[0]!.sums.list().map(({ verified }) => verified)).toEqual([
    ['spf bounce.bulk.example'],
    ['dkim example.org', 'spf list.example.net'],
    ['dkim example.org', 'spf example.org'],
  ]);
});

test('a text that comes in any pieces is read alike', async () => {
  const { readAggregate } = await import('../../../src/feedback/aggregate.ts');
  const bytes = Buffer.concat([sample('fastmail'), Buffer.from('<!-- ü -->')]);
  for (const size of [1, 2, 7, 100]) {
    const found: unknown[] = [];
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const head = await readAggregate(pieces(), (record) => found.push(record));
    expect(head.errors).toEqual(['A <selector> could not be looked up (timeout)']);
    expect(found).toHaveLength(1);
  }
});

describe('a complaint', () => {
  test('is read, with the mail that it is about', async () => {
    expect(await read(complaintMail())).toEqual({
      reports: [],
      complaints: [
        {
          ...{ type: 'abuse', reporter: 'Receiver-Feedback/1.0', arrived: 'Wed, 25 Nov 2026 14:00:00 +0000' },
          ...{ source: '192.0.2.25', sender: '<news@example.org>', recipients: ['<redacted@receiver.example>'] },
          ...{ domain: 'example.org', incidents: 1, from: '<news@example.org>', subject: 'Your invoice', ours: true },
          messageId: '<1h8m2k9x70abc.1@relay.example.net>',
        },
      ],
    });
  });

  test('is ours by our address or by the name of our key, and else not', async () => {
    const ours = async (...about: Parameters<typeof complaintMail>) => (await read(complaintMail(...about))).complaints[0]!.ours;
    expect(await ours('d=other.example; s=x', '192.0.2.25')).toBe(true);
    expect(await ours('s=S1; d=Example.ORG', '203.0.113.1')).toBe(true);
    expect(await ours('d=other.example; s=s1', '203.0.113.1')).toBe(false);
  });

  test('does not give the reports that are attached to the mail that it is about', async () => {
    const mail = complaintMail()
      .toString()
      .replace('Received: from relay', `Content-Type: application/zip\r\nReceived: from relay`);
    expect((await read(mail)).reports).toEqual([]);
  });
});

const xml = (inside: string) =>
  `<feedback><report_metadata><org_name>x</org_name></report_metadata><policy_published><domain>example.org</domain></policy_published>${inside}</feedback>`;
const record = (inside = '<source_ip>192.0.2.1</source_ip><count>1</count>') => `<record><row>${inside}</row></record>`;
const MIB = 1024 * 1024;
const filler = (size: number) => Buffer.from(xml(`<!--${'x'.repeat(60_000)}-->`.repeat(Math.ceil(size / 60_007))));
const noise = (size: number) => {
  const bytes = Buffer.alloc(size);
  for (let i = 0, state = 1; i < size; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = 0x21 + ((state >>> 16) % 26);
  }
  return bytes;
};
/** A second entry of the directory, one file: what another program unpacks would not be what we read. */
const twoFaced = () => {
  const file = zip({ data: Buffer.from(xml(record())) }, { data: Buffer.from(xml('')) });
  file.writeUInt16LE(1, file.length - 22 + 8);
  file.writeUInt16LE(1, file.length - 22 + 10);
  return file;
};

test.each<[what: string, bytes: () => Buffer | string, sentence: RegExp]>([
  ['a gzip bomb', () => gzipSync(Buffer.alloc(100 * MIB, ' ')), /more than 64 KiB|more than 100 times its size/],
  ['a zip bomb', () => zip({ data: Buffer.alloc(100 * MIB, 'x') }), /more than 64 KiB|more than 100 times its size/],
  ['a bomb of XML', () => gzipSync(filler(20 * MIB)), /more than 100 times its size/],
  ['30 MiB', () => filler(30 * MIB), /larger than 25 MiB/],
  [
    '30 MiB, packed',
    () =>
      gzipSync(
        Buffer.concat([
          Buffer.from(xml('').slice(0, -11)),
          Buffer.from('<a>'),
          ...Array.from({ length: 500 }, (_, i) => Buffer.concat([Buffer.from(`<!--${i}`), noise(62_000), Buffer.from('-->')])),
        ]),
        { level: 1 },
      ),
    /larger than 10 MiB|more than 25 MiB/,
  ],
  ['a zip of two members', () => zip({ data: sample('google') }, { data: sample('yahoo') }), /holds 2 files/],
  ['a zip that says one member and has two', twoFaced, /does not fit to its content/],
  ['a zip of none', () => zip(), /neither XML, gzip, zip nor a mail/],
  ['an encrypted zip', () => zip({ data: sample('google'), encrypted: true }), /is encrypted/],
  ['a zip in a zip', () => zip({ data: zip({ data: sample('google') }) }), /no XML|not UTF-8/],
  ['a truncated zip', () => zip({ data: sample('google') }).subarray(0, -40), /zip file ends too early/],
  ['a truncated gzip', () => gzipSync(sample('google')).subarray(0, -40), /gzip file ends too early/],
  ['a damaged gzip', () => gzipSync(sample('google')).fill(0x55, 40, 80), /gzip file is damaged/],
  ['a truncated document', () => sample('google').subarray(0, -40), /XML ends too early/],
  ['a DOCTYPE', () => `<!DOCTYPE feedback SYSTEM "file:///etc/passwd">${xml(record())}`, /DOCTYPE or ENTITY/],
  ['an entity of its own', () => `<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY e "eeee">]>${xml('&e;')}`, /DOCTYPE or ENTITY/],
  ['an ENTITY inside', () => xml('<!ENTITY e "e">'), /DOCTYPE or ENTITY/],
  ['an unknown entity', () => xml('<a>&nbsp;</a>'), /bare "&"/],
  ['a bare ampersand', () => xml('<a>a & b</a>'), /bare "&"/],
  ['a character that XML forbids, by its number', () => xml('<a>&#0;</a>'), /entity/],
  ['half a character', () => xml('<a>&#xd800;</a>'), /entity/],
  ['a NUL', () => xml('<a>\0</a>'), /characters that XML does not allow/],
  [
    'wrong UTF-8',
    () => Buffer.concat([Buffer.from('<feedback>'), Buffer.from([0xc3, 0x28]), Buffer.from('</feedback>')]),
    /not UTF-8/,
  ],
  ['an end in the middle of a character', () => Buffer.concat([Buffer.from(xml('')), Buffer.from([0xc3])]), /not UTF-8/],
  ['UTF-16', () => Buffer.from(xml(''), 'utf16le'), /no XML|not UTF-8/],
  ['deep nesting', () => xml(`${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`), /nested deeper than 20/],
  ['crossed elements', () => xml('<a><b></a></b>'), /not well-formed/],
  ['an attribute without quotes', () => xml('<a b=c/>'), /not well-formed/],
  ['two roots', () => xml('') + xml(''), /more than one root/],
  ['text after the root', () => `${xml('')}x`, /text outside/],
  ['another document', () => '<html><body/></html>', /root element is <html>/],
  ['too many records', () => xml(record().repeat(20_001)), /more than 20000 records/],
  ['too many elements in a record', () => xml(`<record>${'<a/>'.repeat(6000)}</record>`), /more than 5000 elements/],
  ['a long value', () => xml(`<a>${'x'.repeat(5000)}</a>`), /more than 4096 characters/],
  ['a long record', () => xml(`<record>${`<a>${'x'.repeat(4000)}</a>`.repeat(100)}</record>`), /more than 256 KiB of text/],
  ['a long value in pieces', () => xml(`<a>${'<![CDATA[xxxxxxxxxx]]>'.repeat(500)}</a>`), /more than 4096 characters/],
  ['a tag without end', () => `<feedback ${'x'.repeat(200_000)}`, /more than 64 KiB/],
  ['a record without an address', () => xml(record('<count>1</count>')), /Record 1 .* from which address/],
  [
    'a record with a count that is none',
    () => xml(record('<source_ip>192.0.2.1</source_ip><count>-5</count>')),
    /Record 1 .* how many/,
  ],
  ['millions of elements', () => xml('<a/>'.repeat(1_100_000)), /more than a million tags/],
  ['millions of entities', () => xml(`<a>${'&#65;'.repeat(800)}</a>`.repeat(1300)), /more than a million tags/],
  ['a report without its head', () => '<feedback></feedback>', /no <report_metadata>/],
  ['nothing', () => '', /empty/],
  ['any text', () => 'hello world\n', /neither XML, gzip, zip nor a mail/],
  ['a mail without a report', () => 'Subject: hello\n\nhello\n', /holds no report/],
  ['a mail that ends too early', () => mailWith(gzipSync(sample('google'))).subarray(0, -60), /ends too early/],
  [
    'a mail of many parts',
    () => `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(200)}--b--\n`,
    /more than 100 parts/,
  ],
  [
    'a mail with damaged base64',
    () =>
      mailWith(gzipSync(sample('google')))
        .toString()
        .replace('H4sI', 'H4s!'),
    /not base64/,
  ],
  [
    'a complaint without its fields',
    () => complaintMail().toString().replace('message/feedback-report', 'text/plain'),
    /no part message\/feedback-report/,
  ],
])('%s is refused with a sentence', async (_, bytes, sentence) => {
  const outcome = read(bytes());
  await expect(outcome).rejects.toThrow(sentence);
  await expect(outcome).rejects.toMatchObject({ name: 'FeedbackRefusal', message: expect.stringMatching(/^[A-Z].{5,160}[.]$/) });
});

test('attachments of one mail share one bound, so that many small ones are no bomb', async () => {
  const packed = gzipSync(
    Buffer.concat([
      Buffer.from(xml('').slice(0, -11)),
      Buffer.from(`<!--${noise(20_000)}-->`.repeat(50)),
      Buffer.from('</feedback>'),
    ]),
  );
  const one = ['--b', 'Content-Type: application/gzip', 'Content-Transfer-Encoding: base64', '', packed.toString('base64')].join(
    '\n',
  );
  const mail = (count: number) => `Content-Type: multipart/mixed; boundary=b\n\n${`${one}\n`.repeat(count)}--b--\n`;
  expect((await read(mail(3))).reports).toHaveLength(3);
  await expect(read(mail(30))).rejects.toThrow(/more than 25 MiB/);
});
