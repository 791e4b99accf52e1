import { describe, expect, test } from 'vitest';
import {
  type Author,
  createPreparation,
  type PreparationOptions,
  type PreparationRequest,
} from '../../../src/preparation/preparation.ts';
import { Refusal } from '../../../src/smtp/reply.ts';
import { HOSTNAME, MemorySpools, NOW, prepare, refusalOf, signerWith } from '../../support/prepare.ts';

const GOOD = 'From: ann@sender.test\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <m@sender.test>\r\n';

type Settings = { options?: Partial<PreparationOptions>; request?: Partial<PreparationRequest> };
const run = (text: string | Buffer, settings: Settings = {}) => prepare([Buffer.from(text)], settings);

/** What is stored, without the Received field in front. */
async function stored(text: string, settings: Settings = {}): Promise<string> {
  return (await run(text, settings)).bytes.toString('latin1').replace(/^Received:.*?\r\n(?![ ])/s, '');
}

async function reasonFor(text: string | Buffer, settings: Settings = {}): Promise<string> {
  return run(text, settings).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

describe('rule 9: what a header must have is refused with 550 5.6.0, naming it', () => {
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

  test('conformance: warn lets through all but what From is needed for', async () => {
    const problems: unknown[] = [];
    const options = { conformance: 'warn', warn: (_: string, fields: object) => problems.push(fields) } as const;
    const twice = 'Subject: a\r\nSubject: b\r\nTo: a@b.test\r\nTo: a@b.test\r\nDate: x\r\nMessage-ID: <y>\r\n';
    expect(await reasonFor(`${GOOD}${twice}\r\n`, { options })).toBe('accepted');
    expect(await reasonFor('From: a@b.test, c@d.test\r\n\r\n', { options })).toBe('accepted');
    expect(problems).toHaveLength(5);
    expect(await reasonFor(`${GOOD}From: b@c.test\r\n\r\n`, { options })).toContain('several From');
    expect(await reasonFor('Subject: x\r\n\r\n', { options })).toContain('no From');
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

describe('RFC 6409 §8: what is missing is added', () => {
  test('Date and Message-ID, in front, once', async () => {
    expect(await stored('From: ann@sender.test\r\n\r\nHi\r\n')).toBe(
      `Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <0123456789abc@${HOSTNAME}>\r\nFrom: ann@sender.test\r\n\r\nHi\r\n`,
    );
  });

  test('nothing where both are there', async () => {
    expect(await stored(`${GOOD}\r\nHi\r\n`)).toBe(`${GOOD}\r\nHi\r\n`);
  });

  test('the Message-ID is told as it is written, or as it was made', async () => {
    expect((await run(`${GOOD}\r\n`)).prepared.messageId).toBe('<m@sender.test>');
    expect((await run('From: a@b.test\r\nMessage-ID:\r\n (x) <folded@b.test>\r\n\r\n')).prepared.messageId).toBe(
      '<folded@b.test>',
    );
    expect((await run('From: a@b.test\r\n\r\n')).prepared.messageId).toBe(`<0123456789abc@${HOSTNAME}>`);
  });

  test.each(['date', 'Message-ID', 'from : date: MESSAGE-id'])('no field that a signature covers is added: h=%s', async (h) => {
    const signature = `DKIM-Signature: v=1; d=x.test; h=${h.replaceAll(' ', '\r\n\t')};\r\n bh=; b=\r\n`;
    const result = await stored(`${signature}From: ann@sender.test\r\n\r\n`);
    expect(result.startsWith('Date:')).toBe(!/date/i.test(h));
    expect(/^Message-ID:/m.test(result)).toBe(!/message-id/i.test(h));
  });
});

describe('AP-09: what must not leave is removed', () => {
  test('Bcc, Resent-Bcc and Return-Path with their folds, and nothing else', async () => {
    const text = `Return-Path: <x@y>\r\n${GOOD}bCC: hidden@x.test,\r\n more@x.test\r\nX-Bcc: stays\r\nResent-Bcc: y@x.test\r\nTo: z@x.test\r\n\r\nBcc: body\r\n`;
    expect(await stored(text)).toBe(`${GOOD}X-Bcc: stays\r\nTo: z@x.test\r\n\r\nBcc: body\r\n`);
  });

  test('unless a signature covers them', async () => {
    const text = `DKIM-Signature: v=1; d=x.test; h=From:Bcc; b=\r\n${GOOD}Bcc: hidden@x.test\r\nReturn-Path: <a@b>\r\n\r\n`;
    expect(await stored(text)).toBe(text.replace('Return-Path: <a@b>\r\n', ''));
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

  test('P10: nothing from elsewhere ends a comment or a line', async () => {
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
    await run(`${header}\r\n`, { options: { conformance: 'warn' }, request: { check, ...request } });
    return seen!;
  }

  test('is told once the header is known', async () => {
    expect(await authorOf('From: Ann <Ann@Sender.TEST>\r\nSender: Bo <bo@x.test>\r\n')).toEqual({
      from: ['Ann@sender.test'],
      sender: 'bo@x.test',
      nullSender: false,
    });
    const envelope = { reversePath: '', recipients: [], body: '7BIT', smtpUtf8: false } as const;
    expect(await authorOf('From: a@b.test, c@d.test\r\n', { envelope })).toEqual({
      from: ['a@b.test', 'c@d.test'],
      nullSender: true,
    });
    expect((await authorOf('From: jürgen@münchen.test\r\n')).from).toEqual(['jürgen@xn--mnchen-3ya.test']);
  });

  test('may be refused, and then nothing else of the message matters', async () => {
    const check = () => {
      throw new Refusal(550, '5.7.1', 'not yours');
    };
    expect(await refusalOf(run(`${GOOD}\r\nbody\0\r\n`, { request: { check } }))).toBe('550 5.7.1');
  });

  test('is rewritten where the credential says so, the display name kept', async () => {
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
});

describe('what is not ASCII', () => {
  const utf8 = (smtpUtf8: boolean, reversePath = 'ann@sender.test') => ({
    envelope: { reversePath, recipients: [{ address: 'bob@x.test' }], body: '8BITMIME', smtpUtf8 } as const,
  });
  test('AP-11: SMTPUTF8 is needed only where an address or a header is not ASCII', async () => {
    const needs = async (text: string, request: Partial<PreparationRequest>) =>
      (await run(text, { request })).prepared.needsSmtpUtf8;
    expect(await needs(`${GOOD}\r\nGrüße\r\n`, utf8(true))).toBe(false);
    expect(await needs(`${GOOD}Subject: Grüße\r\n\r\n`, utf8(true))).toBe(true);
    expect(await needs(`${GOOD}\r\n`, utf8(true, 'jürgen@sender.test'))).toBe(true);
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

  test('8-bit bodies are told apart', async () => {
    expect((await run(`${GOOD}\r\nplain\r\n`)).prepared.eightBit).toBe(false);
    expect((await run(`${GOOD}\r\nGrüße\r\n`)).prepared.eightBit).toBe(true);
    expect((await run(`${GOOD}Subject: Grüße\r\n\r\nplain\r\n`)).prepared.eightBit).toBe(false);
  });
});

test('a reload holds for messages that start afterwards', async () => {
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

  test('that is broken is our fault, never a Refusal', async () => {
    for (const text of ['Subject: x\r\n\r\n', 'From: x\r\n\r\n', 'From: a@b.test\r\nbroken\r\n\r\n']) {
      expect(await refusalOf(run(text, { request: { kind: 'report' } }))).toMatch(/^error: /);
    }
  });
});
