import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Author } from '../../../src/preparation/from.ts';
import { createPreparation, type PreparationOptions, type PreparationRequest } from '../../../src/preparation/preparation.ts';
import { createBodyHash } from '../../../src/signing/signing.ts';
import { Refusal } from '../../../src/smtp/reply.ts';
import { HOSTNAME, MemorySpools, NOW, prepare, refusalOf, signerWith } from '../../support/prepare.ts';

const GOOD = 'From: ann@sender.test\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <m@sender.test>\r\n';

type Settings = { options?: Partial<PreparationOptions>; request?: Partial<PreparationRequest> };
const run = (text: string | Buffer, settings: Settings = {}) => prepare([Buffer.from(text)], settings);

/** What is stored, without the Received field in front. */
async function stored(text: string, settings: Settings = {}): Promise<string> {
  return withoutReceived((await run(text, settings)).bytes);
}

const withoutReceived = (bytes: Buffer) => bytes.toString('latin1').replace(/^Received:.*?\r\n(?![ ])/s, '');

async function reasonFor(text: string | Buffer, settings: Settings = {}): Promise<string> {
  return run(text, settings).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

describe('behaviour rule 9: a header with a missing or wrong field is refused with 550 5.6.0 and its name', () => {
  test.each([
    ['', 'no header section'],
    ['\r\n', 'no header section'],
    ['\r\nHello\r\n', 'no header section'],
    ['.\r\n', 'no header section'],
    ['Hello Bob\r\n', 'no header section'],
    ['Subject: x\r\n\r\n', 'no From field'],
    [`${GOOD}From: bo@sender.test\r\n\r\n`, 'several From fields'],
    [`${GOOD}Subject: a\r\nSUBJECT : b\r\n\r\n`, 'several Subject fields'],
    [`${GOOD}Date: x\r\n\r\n`, 'several Date fields'],
    [`${GOOD}To: a@b.test\r\nTo: a@b.test\r\n\r\n`, 'several To fields'],
    [`${GOOD}Message-Id: <x@y>\r\n\r\n`, 'several Message-ID fields'],
    [`${GOOD}Cc: a@b.test\r\ncc: a@b.test\r\n\r\n`, 'several Cc fields'],
    [`${GOOD}Reply-To: a@b.test\r\nReply-To: c@b.test\r\n\r\n`, 'several Reply-To fields'],
    [`${GOOD}MIME-Version: 1.0\r\nMime-version: 1.0\r\n\r\n`, 'several MIME-Version fields'],
    [`${GOOD}Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n`, 'several Content-Type fields'],
    [`${GOOD}CONTENT-ID: <a>\r\nContent-Id: <b>\r\n\r\n`, 'several Content-Id fields'],
    [`${GOOD}${`Content-${'x'.repeat(5000)}: y\r\n`.repeat(2)}\r\n`, 'several Content-Xxx'],
    ['From: ann@sender.test, bo@sender.test\r\n\r\n', 'no Sender field'],
    ['From: nobody\r\n\r\n', 'The From field holds no valid address'],
    ['From:\r\n\r\n', 'The From field holds no valid address'],
    ['From: ceo@bank.example: ann@sender.test;\r\n\r\n', 'The From field has a colon, as a group of addresses has'],
    ['From: ceo@bank.example <ann@sender.test>\r\n\r\n', 'The From field has an @ that does not belong to its address'],
    ['From: <@ceo.example:ann@sender.test>\r\n\r\n', 'The From field has a route'],
    ['From: x) <ann@sender.test>\r\n\r\n', 'The From field has a closing parenthesis'],
    ['From: ann@sender。test\r\n\r\n', 'The From field has a domain with characters that stand for others'],
    ['From: Author, Ann <ann@sender.test>\r\n\r\n', 'a name with a comma must stand in quotes'],
    [`${GOOD}Sender: Staff: ann@sender.test;\r\n\r\n`, 'The Sender field has a colon'],
    [`${GOOD}Sender: me\r\n\r\n`, 'The Sender field holds no valid address'],
    [`${GOOD}this is no field\r\n\r\n`, 'Line 4 of the header is not a header field'],
    [`From here 21 Nov\r\n${GOOD}\r\n`, 'no header section'],
    [` folded: x\r\n${GOOD}\r\n`, 'no header section'],
    [`${GOOD}: x\r\n\r\n`, 'Line 4'],
    [`${GOOD}Sub ject: x\r\n\r\n`, 'Line 4'],
  ])('%j', async (text, reason) => {
    expect(await reasonFor(text)).toMatch(/^550 5\.6\.0 /);
    expect(await reasonFor(text)).toContain(reason);
  });

  test.each([
    ['TLS-Required: No\r\n', true, []],
    ['tls-required:nO \r\n', true, []],
    ['TLS-Required:\r\n no\r\n', true, []],
    ['', false, []],
    ['TLS-Required: yes\r\n', false, [{ queueId: expect.any(String), value: 'yes' }]],
    ['TLS-Required: No (please)\r\n', false, [{ queueId: expect.any(String), value: 'No (please)' }]],
    ['TLS-Required: No\r\nTLS-Required: No\r\n', false, [{ queueId: expect.any(String), value: 'No, No' }]],
  ])('TLS is optional only where one field says so, not with %j', async (field, tlsOptional, told) => {
    const ignored: object[] = [];
    const warn = (name: string, fields: object) => name === 'tlsRequiredIgnored' && ignored.push(fields);
    const { prepared, bytes } = await run(`${GOOD}${field}\r\n`, { options: { warn } });
    expect([prepared.tlsOptional, ignored]).toEqual([tlsOptional, told]);
    expect(bytes.toString()).toContain(field.trimEnd());
    const { prepared: other } = await run(`${GOOD}${field}\r\n`, { options: { tlsRequiredNo: 'ignore' } });
    expect(other.tlsOptional).toBe(false);
  });

  test('a header of more than maxHeaderSize is 552 5.3.4, a message of more than maxMessageSize too', async () => {
    const big = `${GOOD}X: ${'y '.repeat(500)}\r\n`;
    expect(await refusalOf(run(`${big}\r\n`, { options: { maxHeaderSize: big.length - 1 } }))).toBe('552 5.3.4');
    expect(await refusalOf(run(`${big}\r\n`, { options: { maxHeaderSize: big.length } }))).toBe('accepted');
    const options = { maxMessageSize: 1000 };
    expect(await refusalOf(run(`${GOOD}\r\n${'x'.repeat(1000)}`, { options }))).toBe('552 5.3.4');
    expect(await refusalOf(run(`\0${'x'.repeat(1000)}`, { options }))).toBe('552 5.3.4');
  });

  test.each([
    ['2 MB in one field', `X: ${'y'.repeat(2_000_000)}\r\n`],
    ['100 000 fields', 'X: y\r\n'.repeat(100_000)],
    ['a field folded 60 000 times', `X: y\r\n${' y\r\n'.repeat(60_000)}`],
    ['lines that are no fields', 'xxx\r\n'.repeat(50_000)],
    ['60 000 Bcc fields', 'Bcc: a\r\n'.repeat(32_000)],
    ['30 000 signatures', 'DKIM-Signature: h=a:b; d=x\r\n'.repeat(9_000)],
  ])('%s is judged in a moment', async (_, fields) => {
    const start = process.cpuUsage();
    await reasonFor(`${GOOD}${fields}\r\nbody\r\n`);
    expect(process.cpuUsage(start).user).toBeLessThan(1_000_000);
  });
});

/** A signature that could verify, with the hash of this body. */
function signature(tags: string, body = '', form: 'relaxed' | 'simple' = 'relaxed'): string {
  const hash = createBodyHash({ canonicalization: form });
  hash.update(Buffer.from(body));
  const parts = { v: '1', a: 'rsa-sha256', c: `relaxed/${form}`, d: 'x.test', s: 's', h: 'from', bh: hash.digest(), b: 'AAAA' };
  const own = Object.fromEntries(
    tags.split('; ').map((tag) => [tag.slice(0, tag.indexOf('=')), tag.slice(tag.indexOf('=') + 1)]),
  );
  return `DKIM-Signature: ${Object.entries({ ...parts, ...own })
    .map(([name, value]) => `${name}=${value}`)
    .join(';\r\n ')}\r\n`;
}

/** As the relay makes them: the queue ID is for people, the rest makes it unique. */
const OURS = /^<0123456789abc\.[0-9a-z]{10}@relay\.test>$/;

describe('RFC 6409 §8: missing fields are added', () => {
  test('Date and Message-ID, in front, once', async () => {
    const { prepared, bytes } = await run('From: ann@sender.test\r\n\r\nHi\r\n');
    expect(withoutReceived(bytes)).toBe(
      `Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: ${prepared.messageId}\r\nFrom: ann@sender.test\r\n\r\nHi\r\n`,
    );
  });

  test('nothing if both are there', async () => {
    expect(await stored(`${GOOD}\r\nHi\r\n`)).toBe(`${GOOD}\r\nHi\r\n`);
  });

  test('the Message-ID is reported as it is written, or as it was made', async () => {
    expect((await run(`${GOOD}\r\n`)).prepared.messageId).toBe('<m@sender.test>');
    expect((await run('From: a@b.test\r\nMessage-ID:\r\n (x) <folded@b.test>\r\n\r\n')).prepared.messageId).toBe(
      '<folded@b.test>',
    );
    expect((await run('From: a@b.test\r\n\r\n')).prepared.messageId).toMatch(OURS);
  });

  test('two messages with the same queue ID have different Message-IDs', async () => {
    const ids = await Promise.all([1, 2].map(async () => (await run('From: a@b.test\r\n\r\n')).prepared.messageId));
    expect(new Set(ids).size).toBe(2);
  });

  test.each(['from:date', 'from:Message-ID', 'from : date: MESSAGE-id'])(
    'no field that a signature covers is added: h=%s',
    async (h) => {
      const result = await stored(`${signature(`h=${h.replaceAll(' ', '\r\n\t')}`)}From: ann@sender.test\r\n\r\n`);
      expect(result.startsWith('Date:')).toBe(!/date/i.test(h));
      expect(/^Message-ID:/m.test(result)).toBe(!/message-id/i.test(h));
    },
  );
});

describe('RFC 6409 §8: unreadable fields are replaced', () => {
  test.each([
    '',
    '<>',
    'no-brackets@sender.test',
    '<no-at-sign>',
    '<@sender.test>',
    '<x@>',
    '<a b@sender.test>',
    '<a@b@sender.test>',
    '<a@sender.test> <b@sender.test>',
    '<a@sender.test> and more',
    '<<a@sender.test>>',
    '<a@sender.test',
    `<${'x'.repeat(980)}@sender.test>`,
    `<${'x'.repeat(198_000)}@sender.test>`,
    '<a@\r\n sender.test>',
  ])('Message-ID: %j', async (value) => {
    const rest = 'From: ann@sender.test\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\nX: y\r\n';
    const { prepared, bytes } = await run(`Message-ID: ${value}\r\n${rest}\r\n`);
    expect(prepared.messageId).toMatch(OURS);
    expect(bytes.toString()).toContain(`\r\nMessage-ID: ${prepared.messageId}\r\n${rest}\r\n`);
    expect(bytes.toString().match(/^Message-ID/gim)).toHaveLength(1);
  });

  test.each([
    '<a@b>',
    '<owner/repo/pull/1@code.example>',
    '<!&!AAAA==@sender.test>',
    '<"a b"@sender.test>',
    '<a..b.@sender.test>',
    '<x@[127.0.0.1]>',
    '<jürgen@sender.test>',
    '(made here) <a@sender.test>',
    `<${'x'.repeat(970)}@sender.test>`,
  ])('Message-ID: %s stays', async (value) => {
    expect(await stored(`${GOOD.replace('<m@sender.test>', value)}\r\n`)).not.toContain('0123456789abc');
  });

  test.each([
    '',
    'yesterday',
    '2026-11-21T09:00:00Z',
    'Sat, 32 Nov 2026 09:00:00 +0000',
    'Sat, 21 Foo 2026 09:00:00 +0000',
    'Sat, 21 Nov 2026 25:00:00 +0000',
    'Sat, 21 Nov 2026',
    `${' '.repeat(250_000)}1`,
  ])('Date: %j', async (value) => {
    const result = await stored(`Date: ${value}\r\nFrom: ann@sender.test\r\nMessage-ID: <m@sender.test>\r\n\r\n`);
    expect(result).toBe('Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: ann@sender.test\r\nMessage-ID: <m@sender.test>\r\n\r\n');
  });

  test.each([
    'Sat, 21 Nov 2026 09:00:00 +0000',
    '1 nov 26 9:00 GMT',
    'Saturday, 21-Nov-2026 09:00:00 -0500 (EST)',
    '21 November 2026 09:00:00\tEST (some (one) said)',
    'Sat, 21 Nov\r\n 2026 09 : 00 : 60 +0100',
  ])('Date: %j stays', async (value) => {
    const text = `Date: ${value}\r\nFrom: ann@sender.test\r\nMessage-ID: <m@sender.test>\r\n\r\n`;
    expect(await stored(text)).toBe(text);
  });

  test('unless a signature covers it; then the log and the store get at most one line of it', async () => {
    const text = `${signature('h=from:message-id:date')}${GOOD.replace('<m@', `<${'x'.repeat(5000)}@`).replace(/Date: .*/, 'Date: x')}\r\n`;
    const { prepared, bytes } = await run(text);
    expect(bytes.toString().endsWith(text)).toBe(true);
    expect(prepared.messageId).toHaveLength(998);
  });
});

describe('RFC 5322 §2: fields are sent in a form that every server accepts', () => {
  const subjectOf = async (field: string, head = '') => {
    const text = await stored(`${head}${GOOD}${field}\r\nX-Last: y\r\n\r\n`);
    return text.slice(text.indexOf(GOOD) + GOOD.length, text.indexOf('X-Last'));
  };

  test('a line of more than 998 octets is folded at blanks, and says the same', async () => {
    const ids = Array.from({ length: 60 }, (_, i) => `<thread-${i}.part@sender.test>`).join(' ');
    const folded = await subjectOf(`References: ${ids}`);
    expect(folded.replaceAll('\r\n', '')).toBe(`References: ${ids}`);
    for (const line of folded.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78);
    expect(folded).not.toMatch(/\n[ \t]*\r|^References:\r/);
    expect(await subjectOf(`Subject: ${'word '.repeat(190)}`)).toBe(`Subject: ${'word '.repeat(190)}\r\n`);
  });

  test('also a continuation line, and with blanks in runs or at the end', async () => {
    const value = `first\r\n \t${'two  words\t '.repeat(200)}   `;
    const folded = await subjectOf(`Subject: ${value}`);
    expect(folded.replaceAll('\r\n', '')).toBe(`Subject: ${value}`.replace('\r\n', ''));
    for (const line of folded.split('\r\n')) expect(line.length).toBeLessThan(90);
    expect(folded).not.toMatch(/\n[ \t]*\r/);
  });

  test('a word of more than 998 octets stays whole', async () => {
    const field = `X-Long: ${'y'.repeat(60_000)}`;
    expect(await subjectOf(field)).toBe(`${field}\r\n`);
    expect(await subjectOf(`X-Long: a ${'y'.repeat(2000)} b`)).toBe(`X-Long: a\r\n ${'y'.repeat(2000)}\r\n b\r\n`);
  });

  test('continuation lines of blanks only, and blanks before the colon, are removed', async () => {
    expect(await subjectOf('Subject: a\r\n  \t\r\n b\r\n \r\n\t')).toBe('Subject: a\r\n b\r\n');
    expect(await subjectOf('Subject:\r\n \r\n b')).toBe('Subject:\r\n b\r\n');
    expect(await subjectOf('Subject \t: a : b')).toBe('Subject: a : b\r\n');
    expect(await subjectOf('Subject: \xa0\r\n \xc3\xa0'.replaceAll('\xc3\xa0', 'à'))).toContain('\r\n \xc3\xa0\r\n');
  });

  test.each(['relaxed', 'simple'] as const)(
    'a message that brings a signature over this %s body keeps every byte',
    async (form) => {
      const body = 'Hello  \r\n\r\nBob\r\n\r\n';
      const text = `${signature('h=from:subject', body, form)}${GOOD}Subject : ${'word '.repeat(300)}\r\n \r\n\r\n${body}`;
      expect(await stored(text)).toBe(text);
      expect(await stored(text.replace('Bob', 'Eve'))).not.toContain('Subject :');
    },
  );

  test.each([
    ['over the beginning of the body, as l= says', 'l=7', true],
    ['over an empty beginning', 'l=0', false],
    ['by an ARC intermediary', 'i=1', true],
    ['with SHA-1', 'a=rsa-sha1', false],
    ['that has ended', `x=${NOW / 1000 - 1}`, false],
    ['that will end', `x=${NOW / 1000 + 60}`, true],
    ['of a top-level domain', 'd=test', false],
    ['of no domain', 'd=-', false],
    ['of another version', 'v=2', false],
    ['without From', 'h=subject', false],
    ['without itself', 'b=', false],
    ['in a form that there is none of', 'c=relaxed/loose', false],
  ])('a signature %s', async (_, tag, believed) => {
    const body = 'Hello Bob\r\n';
    const hash = createHash('sha256')
      .update(tag === 'l=7' ? 'Hello B' : 'Hello Bob\r\n')
      .digest('base64');
    const field = signature(`h=from:bcc; bh=${hash}; ${tag}`);
    const text = `${tag === 'i=1' ? field.replace('DKIM-Signature', 'ARC-Message-Signature') : field}${GOOD}Bcc: hidden@x.test\r\n\r\n${body}`;
    expect((await stored(text)).includes('hidden@x.test')).toBe(believed && tag !== 'l=0');
  });
});

describe('fields that must not be sent are removed', () => {
  test('Bcc, Resent-Bcc and Return-Path with their folds, and nothing else', async () => {
    const text = `Return-Path: <x@y>\r\n${GOOD}bCC: hidden@x.test,\r\n more@x.test\r\nX-Bcc: stays\r\nResent-Bcc: y@x.test\r\nTo: z@x.test\r\n\r\nBcc: body\r\n`;
    expect(await stored(text)).toBe(`${GOOD}X-Bcc: stays\r\nTo: z@x.test\r\n\r\nBcc: body\r\n`);
  });

  test('unless a signature that matches the body covers them', async () => {
    const text = `${signature('h=From:Bcc', 'Hello\r\n')}${GOOD}Bcc: hidden@x.test\r\nReturn-Path: <a@b>\r\n\r\nHello\r\n`;
    expect(await stored(text)).toBe(text.replace('Return-Path: <a@b>\r\n', ''));
    const two = text.replace('Bcc:', 'Bcc: above@x.test\r\nBcc:');
    expect(await stored(two)).toBe(text.replace('Return-Path: <a@b>\r\n', ''));
  });

  test('a forged signature does not keep a Bcc field', async () => {
    for (const made of ['DKIM-Signature: v=1; d=x.test; h=From:Bcc; b=\r\n', signature('h=From:Bcc', 'Another text\r\n')]) {
      const text = `${made}${GOOD}Bcc: hidden@x.test\r\n\r\nHello\r\n`;
      expect(await stored(text)).toBe(text.replace('Bcc: hidden@x.test\r\n', ''));
    }
    const kept = `${signature('h=From:Bcc', 'Hello\r\n')}${GOOD}Bcc: hidden@x.test\r\n\r\nHello\r\n`;
    expect(await stored(kept, { request: { rewrite: 'printer@sender.test' } })).not.toContain('hidden');
  });

  test('many signatures of many forms cost no more time than a few', async () => {
    const many = Array.from({ length: 1500 }, (_, i) => signature(`l=${i + 1}`)).join('');
    const start = process.cpuUsage();
    await run(`${many}${GOOD}\r\n${'Hello Bob, this is a line of text.\r\n'.repeat(100_000)}`, { options: { inlineLimit: 1e8 } });
    expect(process.cpuUsage(start).user).toBeLessThan(1_500_000);
  });
});

describe('RFC 5321 §4.4: Received', () => {
  const receivedOf = async (request: Partial<PreparationRequest> = {}, options: Partial<PreparationOptions> = {}) =>
    /^Received:.*?\r\n(?! )/s.exec((await run(`${GOOD}\r\n`, { request, options })).bytes.toString())![0];

  test('says ESMTPSA, TLS, queue id and token; no address, no name of the client, no recipient', async () => {
    expect(await receivedOf()).toBe(
      `Received: by ${HOSTNAME} with ESMTPSA (TLS1.3 TLS_AES_256_GCM_SHA384)\r\n id 0123456789abc (auth token);\r\n Sat, 21 Nov 2026 10:00:00 +0000\r\n`,
    );
  });

  test('UTF8SMTPSA where SMTPUTF8 was given (RFC 6531 §4.3)', async () => {
    const envelope = { reversePath: 'a@b.test', recipients: [], body: '8BITMIME', smtpUtf8: true } as const;
    expect(await receivedOf({ envelope })).toContain(' with UTF8SMTPSA ');
  });

  test('lines stay under 78 characters, with a host name of any length', async () => {
    const hostname = `${'a'.repeat(60)}.${'b'.repeat(60)}.test`;
    const lines = (await receivedOf({ userToken: 'c'.repeat(50) }, { hostname })).split('\r\n');
    for (const line of lines.filter((one) => !one.includes(hostname))) expect(line.length).toBeLessThan(78);
  });

  test('P10: text from outside cannot end a comment or a line', async () => {
    const field = await receivedOf({ userToken: 'a)\r\nBcc: x;(', tls: { protocol: 'TLSv1.2', cipher: 'X\r\nY)' } });
    expect(field).toContain('(auth aBccx)');
    expect(field).toContain('(TLS1.2 XY)');
  });
});

describe('rule 10: loops are 554 5.4.6', () => {
  test('more than 100 Received fields', async () => {
    const received = 'Received: from a by b; x\r\n';
    expect(await refusalOf(run(`${received.repeat(100)}${GOOD}\r\n`))).toBe('accepted');
    expect(await refusalOf(run(`${received.repeat(101)}${GOOD}\r\n`))).toBe('554 5.4.6');
  });

  test('our own mark twice', async () => {
    const ours = (await run(`${GOOD}\r\n`)).bytes.toString().split('From')[0]!;
    const twice = `Received: from x (y)\r\n\tBY ${HOSTNAME.toUpperCase()}\r\n\twith SMTP; z\r\n${ours}`;
    expect(await refusalOf(run(`${ours}${GOOD}\r\n`))).toBe('accepted');
    expect(await refusalOf(run(`${twice}${GOOD}\r\n`))).toBe('554 5.4.6');
    expect(await refusalOf(run(`${twice.replaceAll(/by relay/gi, 'by xrelay')}${GOOD}\r\n`))).toBe('accepted');
  });
});

describe('the author', () => {
  async function authorOf(header: string, request: Partial<PreparationRequest> = {}): Promise<Author> {
    let seen: Author | undefined;
    const check = (author: Author) => {
      seen = author;
    };
    await run(`${header}\r\n`, { request: { check, ...request } });
    return seen!;
  }

  test('is reported as soon as the header is known', async () => {
    expect(await authorOf('From: Ann <Ann@Sender.TEST>\r\nSender: Bo <bo@x.test>\r\n')).toEqual({
      from: ['Ann@sender.test'],
      sender: 'bo@x.test',
      nullSender: false,
    });
    const envelope = { reversePath: '', recipients: [], body: '7BIT', smtpUtf8: false } as const;
    expect(await authorOf('From: a@b.test, c@d.test\r\nSender: e@f.test\r\n', { envelope })).toEqual({
      from: ['a@b.test', 'c@d.test'],
      sender: 'e@f.test',
      nullSender: true,
    });
    expect((await authorOf('From: jürgen@münchen.test\r\n')).from).toEqual(['jürgen@xn--mnchen-3ya.test']);
  });

  test('may be refused, and then the rest of the message is ignored', async () => {
    const check = () => {
      throw new Refusal(550, '5.7.1', 'not yours');
    };
    expect(await refusalOf(run(`${GOOD}\r\nbody\0\r\n`, { request: { check } }))).toBe('550 5.7.1');
  });

  test('is rewritten if the credential says so, and the display name is kept', async () => {
    const request = { rewrite: 'printer@sender.test' };
    expect((await authorOf('From: "Floor 3" <scan@localhost>\r\n', request)).from).toEqual(['printer@sender.test']);
    const rest = GOOD.split('\r\n').slice(1).join('\r\n');
    expect(await stored(`From: "Floor 3"\r\n <scan@localhost>\r\n${rest}\r\nHi\r\n`, { request })).toBe(
      `From: "Floor 3" <printer@sender.test>\r\n${rest}\r\nHi\r\n`,
    );
    expect(await stored(`From: root\r\n${rest}\r\nHi\r\n`, { request })).toBe(`From: printer@sender.test\r\n${rest}\r\nHi\r\n`);
    expect(await stored(`${rest}\r\nHi\r\n`, { request })).toBe(`${rest}From: printer@sender.test\r\n\r\nHi\r\n`);
    expect(await reasonFor('\r\nHi\r\n', { request })).toContain('no header section');
  });

  const rewriting = { request: { rewrite: 'printer@sender.test' } };
  const rewritten = async (head: string | Buffer) => {
    const rest = GOOD.split('\r\n').slice(1).join('\r\n');
    const { bytes } = await run(Buffer.concat([Buffer.from(head), Buffer.from(`${rest}\r\nHi\r\n`)]), rewriting);
    return bytes
      .toString('latin1')
      .replace(/^Received:.*?\r\n(?![ ])/s, '')
      .split('Date: ')[0];
  };
  test.each([
    ['two From fields', 'From: a@b.test\r\nFrom: ceo@bank.example\r\n'],
    ['a group', 'From: ceo@bank.example: a@b.test;\r\n'],
    ['an address as name', 'From: ceo@bank.example <a@b.test>\r\n'],
    ['what is no address list at all', 'From: <<>>"(\r\n'],
    ['a Sender without an address', 'Sender: root\r\nFrom: root\r\n'],
    ['two Sender fields', 'Sender: a@b.test\r\nSender: c@d.test\r\nFrom: root\r\n'],
    ['a foreign Sender', 'From: a@b.test\r\nSender: ceo@bank.example\r\n'],
    ['several authors without Sender', 'From: a@b.test, c@d.test\r\n'],
    ['Resent fields', 'Resent-From: ceo@bank.example\r\nFrom: a@b.test\r\nResent-Sender: x\r\nResent-Date: y\r\n'],
  ])('is rewritten whatever stood there: %s', async (_, head) => {
    expect(await rewritten(head)).toBe('From: printer@sender.test\r\n');
  });

  test.each([
    ['From: "Floor 3" <scanner>\r\n', 'From: "Floor 3" <printer@sender.test>\r\n'],
    ['From: Floor 3 <ceo@bank.example>, x@y.test\r\n', 'From: Floor 3 <printer@sender.test>\r\n'],
    ['From: Büro <scan@local>\r\n', `From: =?UTF-8?B?${Buffer.from('Büro').toString('base64')}?=\r\n <printer@sender.test>\r\n`],
    [
      Buffer.from('From: "B\xfcro" <scan@local>\r\n', 'latin1'),
      `From: =?UTF-8?B?${Buffer.from('Büro').toString('base64')}?=\r\n <printer@sender.test>\r\n`,
    ],
    ['From: =?iso-8859-1?q?B=FCro?= <scan@local>\r\n', 'From: =?iso-8859-1?q?B=FCro?= <printer@sender.test>\r\n'],
  ])('and its name stays: %s', async (head, expected) => {
    expect(await rewritten(head)).toBe(expected);
  });

  test('however long the name is, no line is', async () => {
    for (const name of ['word '.repeat(600), 'x'.repeat(3000), 'ü'.repeat(1500), `"${'wörd '.repeat(500)}end"`]) {
      const head = (await rewritten(`From: ${name} <scan@local>\r\n`))!;
      for (const line of head.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78);
      const decoded = head.replace(/=\?UTF-8\?B\?([^?]*)\?=\r\n /g, (_, text) => Buffer.from(text, 'base64').toString());
      expect(decoded.replaceAll('\r\n', '')).toBe(
        `From: ${name.replaceAll('"', '').trim()}${/[^ -~]|x/.test(name) ? '' : ' '}<printer@sender.test>`,
      );
    }
  });
});

describe('what is not ASCII', () => {
  const utf8 = (smtpUtf8: boolean, reversePath = 'ann@sender.test') => ({
    envelope: { reversePath, recipients: [{ address: 'bob@x.test' }], body: '8BITMIME', smtpUtf8 } as const,
  });
  test('a message needs SMTPUTF8 only if its header is not ASCII; its addresses are checked when it is sent', async () => {
    const needs = async (text: string, request: Partial<PreparationRequest>) =>
      (await run(text, { request })).prepared.needsSmtpUtf8;
    expect(await needs(`${GOOD}\r\nGrüße\r\n`, utf8(true))).toBe(false);
    expect(await needs(`${GOOD}Subject: Grüße\r\n\r\n`, utf8(true))).toBe(true);
    expect(await needs(`${GOOD}\r\n`, utf8(true, 'jürgen@sender.test'))).toBe(false);
    expect(await needs(`${GOOD}Subject: Grüße\r\n\r\n`, utf8(false))).toBe(false);
    expect(await needs(`${GOOD}Bcc: jürgen@x.test\r\n\r\n`, utf8(true))).toBe(false);
  });

  test('P08: 8-bit in a header without SMTPUTF8 passes unchanged, with one warning', async () => {
    const events: string[] = [];
    const text = Buffer.concat([
      Buffer.from(`${GOOD}Subject: `),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('\r\nX: \xe4\r\n\r\n', 'latin1'),
    ]);
    const { bytes } = await run(text, { options: { warn: (event) => events.push(event) } });
    expect(bytes.subarray(-text.length)).toEqual(text);
    expect(events).toEqual(['eightBitHeader']);
  });

  test('8-bit headers and 8-bit bodies are distinguished: RFC 6152 §3', async () => {
    expect((await run(`${GOOD}\r\nplain\r\n`)).prepared.eightBit).toBe(false);
    expect((await run(`${GOOD}\r\nGrüße\r\n`)).prepared.eightBit).toBe(true);
    expect((await run(`${GOOD}Subject: Grüße\r\n\r\nplain\r\n`)).prepared.eightBit).toBe(true);
  });
});

test('a reload applies to messages that start after it', async () => {
  const options = {
    hostname: HOSTNAME,
    maxMessageSize: 1000,
    maxHeaderSize: 500,
    bareNewlines: 'normalize',
    createSpool: new MemorySpools().create,
    signer: signerWith([]),
  } as const;
  const preparation = createPreparation(options);
  const envelope = { reversePath: 'ann@sender.test', recipients: [], body: '7BIT', smtpUtf8: false } as const;
  const start = () => preparation.start({ queueId: '0123456789abc', now: NOW, kind: 'submission', envelope });
  const [before, message] = [start(), Buffer.from(`${GOOD}\r\nHi\r\n`)];
  preparation.reload({ maxMessageSize: 10 });
  const after = start();
  void before.write(message);
  void after.write(message);
  expect(await refusalOf(before.finish())).toBe('accepted');
  expect(await refusalOf(after.finish())).toBe('552 5.3.4');
});

describe('our own report', () => {
  test('is taken as it is', async () => {
    const report = 'From: postmaster@relay.test\r\nSubject: a\r\nBcc: x@y.test\r\nSubject: b\r\n\r\nHi\r\n';
    expect((await run(report, { request: { kind: 'report' } })).bytes.toString()).toBe(report);
  });

  test('that is broken is a fault of ours, never a Refusal', async () => {
    for (const text of ['Subject: x\r\n\r\n', 'From: x\r\n\r\n', 'From: a@b.test\r\nbroken\r\n\r\n']) {
      expect(await refusalOf(run(text, { request: { kind: 'report' } }))).toMatch(/^error: /);
    }
  });
});
