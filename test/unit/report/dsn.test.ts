import { describe, expect, test } from 'vitest';
import { judgeAfterDot } from '../../../src/delivery/verdict.ts';
import { MAX_ORIGINAL } from '../../../src/report/original.ts';
import { HOUR } from '../../../src/system/clock.ts';
import { field, hasPython, type ParsedPart, parseMail } from '../../support/parse-mail.ts';
import { change, NOW, outcome, startReporter, subject } from '../../support/report-rig.ts';

async function write(...[about, changes]: Parameters<ReturnType<typeof startReporter>['report']>) {
  const { report, requests } = startReporter();
  const [made] = await report(about, changes);
  const bytes = requests[0]!.bytes;
  return { bytes, mail: await parseMail(bytes), report: made! };
}

const defects = (part: ParsedPart): readonly string[] => [...part.defects, ...part.parts.flatMap(defects)];
const statusOf = (mail: ParsedPart) => mail.parts[1]!.parts;
const failure = () => change('bob@example.org', { outcome: outcome('failed', 550, '5.1.1', 'No such user') });

describe.skipIf(!hasPython)('a report as Python reads it', () => {
  test('is a well-formed multipart/report of text, status and header (RFC 6522, RFC 3464)', async () => {
    const about = subject({ envid: 'QQ+2B314', messageId: '<1@example.net>' });
    const orcpt = 'rfc822;Bob+2Bx@example.com';
    const { bytes, mail } = await write(about, [{ ...failure(), recipient: { ...failure().recipient, orcpt } }]);
    expect(defects(mail)).toEqual([]);
    expect(mail.type).toBe('multipart/report');
    expect(mail.parameters['report-type']).toBe('delivery-status');
    expect(mail.parts.map(({ type }) => type)).toEqual(['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
    expect(Object.fromEntries(mail.fields)).toMatchObject({
      From: 'Mail Delivery System <postmaster@relay.example.net>',
      To: 'a@example.net',
      Subject: 'Your message could not be delivered',
      Date: 'Sat, 21 Nov 2026 12:00:00 +0000',
      'Auto-Submitted': 'auto-replied',
      'In-Reply-To': '<1@example.net>',
      References: '<1@example.net>',
      'MIME-Version': '1.0',
    });
    expect(field(mail, 'Message-ID')).toMatch(/^<[0-9a-z]{17}\.[0-9a-z]+@relay\.example\.net>$/);
    const [perMessage, perRecipient] = statusOf(mail);
    expect(Object.fromEntries(perMessage!.fields)).toEqual({
      'Reporting-MTA': 'dns; relay.example.net',
      'Original-Envelope-Id': 'QQ+314',
      'Arrival-Date': 'Sat, 21 Nov 2026 11:00:00 +0000',
    });
    expect(Object.fromEntries(perRecipient!.fields)).toEqual({
      'Original-Recipient': 'rfc822; Bob+x@example.com',
      'Final-Recipient': 'rfc822; bob@example.org',
      Action: 'failed',
      Status: '5.1.1',
      'Remote-MTA': 'dns; mx.example.org',
      'Diagnostic-Code': 'smtp; 550 5.1.1 No such user',
      'Last-Attempt-Date': 'Sat, 21 Nov 2026 12:00:00 +0000',
    });
    const text = mail.parts[0]!.body!;
    expect(text).toContain('<bob@example.org>');
    expect(text).toContain('at mx.example.org [192.0.2.25]:\r\n        550 5.1.1 No such user\r\n');
    expect(mail.parts[2]!.body).toBe('From: a@example.net\r\nSubject: Hi\r\n');
    expect(bytes.toString().replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(
      Math.max(
        ...bytes
          .toString()
          .split('\r\n')
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(78);
  });

  test('a message that must not leave without verified TLS is quoted by its header only, and its report asks for the same', async () => {
    const { mail, report } = await write(subject({ ret: 'FULL', requireTls: true }), [failure()]);
    expect(mail.parts[2]!.type).toBe('text/rfc822-headers');
    expect(report.requireTls).toBe(true);
    const { report: plain } = await write(subject({ ret: 'FULL' }), [failure()]);
    expect([plain.requireTls, plain.tlsOptional]).toEqual([undefined, undefined]);
  });

  test('a message for which TLS is optional gets a report that says so too', async () => {
    const { bytes, report } = await write(subject({ tlsOptional: true }), [failure()]);
    expect(bytes.toString()).toMatch(/^TLS-Required: No\r$/m);
    expect(report).toMatchObject({ tlsOptional: true });
  });

  test('a delay says until when it is tried, and that nothing is to be done', async () => {
    const delay = change('b@example.org', {
      action: 'delayed',
      outcome: outcome('delayed', 451, '', 'Try again'),
      willRetryUntil: NOW + HOUR,
    });
    const { mail } = await write(subject({ ret: 'FULL' }), [delay]);
    expect(Object.fromEntries(statusOf(mail)[1]!.fields)).toMatchObject({
      ...{ Action: 'delayed', Status: '4.3.0', 'Will-Retry-Until': 'Sat, 21 Nov 2026 13:00:00 +0000' },
    });
    expect(mail.parts[2]!.type).toBe('text/rfc822-headers'); // RET is about failures: RFC 3461 §4.3
    expect(mail.parts[0]!.body).toContain('keep trying');
  });

  test('expiry is a failure with 5.4.7 and the last answer', async () => {
    const expired = change('b@example.org', { action: 'expired', outcome: outcome('delayed', 450, '4.2.0', 'Greylisted') });
    const { mail } = await write(subject(), [expired]);
    expect(Object.fromEntries(statusOf(mail)[1]!.fields)).toMatchObject({
      ...{ Action: 'failed', Status: '5.4.7', 'Diagnostic-Code': 'smtp; 450 4.2.0 Greylisted' },
    });
  });

  test('of a message that was never confirmed it says that the message may have arrived (RFC 1047)', async () => {
    const { reply } = judgeAfterDot({ kind: 'lost', stage: 'dot', detail: 'reset' });
    const { mail } = await write(subject(), [
      change('bob@example.org', { action: 'expired', outcome: { reply, mx: 'mx.example.org' } }),
    ]);
    expect(mail.parts[0]!.body!.replace(/\s+/g, ' ')).toContain('451 4.4.2 The message may have arrived');
    expect(field(statusOf(mail)[1]!, 'Diagnostic-Code')).toContain('The message may have arrived');
  });

  test('relayed is told with a status of success (RFC 3461 §5.2.2)', async () => {
    const success = change('b@example.org', {
      ...{ action: 'relayed', outcome: outcome('relayed', 250, '', 'Ok'), recipient: { notify: ['SUCCESS'] } },
    });
    const { mail } = await write(subject(), [success]);
    expect(Object.fromEntries(statusOf(mail)[1]!.fields)).toMatchObject({ Action: 'relayed', Status: '2.0.0' });
  });

  test.each([
    [550, '', '5.1.0'],
    [552, '', '5.2.2'],
    [554, '', '5.0.0'],
    [550, '4.1.1', '5.1.0'],
    [550, '5.7.26', '5.7.26'],
    [550, '5.1.1\r\nAction: relayed', '5.1.0'],
  ])('reply %i with status %j is told as %s', async (code, status, told) => {
    const { mail } = await write(subject(), [change('b@example.org', { outcome: outcome('failed', code, status, 'no') })]);
    expect(field(statusOf(mail)[1]!, 'Status')).toBe(told);
    expect(statusOf(mail)).toHaveLength(2);
  });
});

describe.skipIf(!hasPython)('what is quoted of the original (RFC 3461 §4.3)', () => {
  const header = 'From: a@example.net\r\nSubject: Hi\r\n';
  const body = (size: number) => `\r\n${'x'.repeat(70)}\r\n`.repeat(size / 74);

  test.each([
    ['FULL', 1000, 'message/rfc822'],
    ['FULL', 60_000, 'text/rfc822-headers'],
    ['HDRS', 1000, 'text/rfc822-headers'],
    [undefined, 1000, 'text/rfc822-headers'],
  ] as const)('RET=%s, %i bytes: %s', async (ret, size, type) => {
    const text = `${header}\r\n${body(size)}`;
    const { mail, bytes } = await write(subject(ret === undefined ? {} : { ret }, text), [failure()]);
    expect(mail.parts[2]!.type).toBe(type);
    expect(bytes.includes(text)).toBe(type === 'message/rfc822');
    expect(bytes.includes(header)).toBe(true);
    if (type !== 'message/rfc822') expect(bytes.includes('xxxx')).toBe(false);
  });

  test('a huge header is cut at a line end', async () => {
    const { mail } = await write(subject({ ret: 'FULL' }, `${`X-Filler: ${'y'.repeat(60)}\r\n`.repeat(2000)}\r\nbody`), [
      failure(),
    ]);
    const quoted = mail.parts[2]!.body!;
    expect(quoted.length).toBeLessThanOrEqual(MAX_ORIGINAL);
    expect(quoted.length).toBeGreaterThan(MAX_ORIGINAL - 100);
    expect(quoted.endsWith('y\r\n')).toBe(true);
  });

  test('8-bit content stays as it is', async () => {
    const text = `${header}\r\ngrüße\r\n`;
    const { mail, bytes } = await write(subject({ ret: 'FULL' }, text), [failure()]);
    expect(mail.parts[2]).toMatchObject({ type: 'message/rfc822', encoding: '8bit' });
    expect(bytes.includes(text)).toBe(true);
  });

  test('of a body on disk no more is read than is quoted', async () => {
    let reads = 0;
    const read = async function* () {
      for (; reads < 1000; reads++) yield Buffer.from(reads === 0 ? 'Subject: big\r\n\r\n' : 'z'.repeat(20_000));
    };
    const spool = { name: 's', size: 2e7, read };
    const content = { kind: 'spooled', prefix: new TextEncoder().encode('Received: x\r\n'), spool } as const;
    const { mail } = await write(subject({ content, ret: 'FULL' }), [failure()]);
    expect(mail.parts[2]!.body).toBe('Received: x\r\nSubject: big\r\n');
    expect(reads).toBeLessThan(5);
  });
});

describe.skipIf(!hasPython)('text from outside never becomes structure', () => {
  const payloads = [
    'Gone\r\nFinal-Recipient: rfc822; evil@example.com\r\nAction: relayed\r\n\r\nStatus: 2.0.0',
    'Gone\nX: y\n\n--boundary--\n',
    '\x1b[31mred\x1b[0m \x07 \x00 <script>alert(1)</script>',
    'dots\r\n.\r\nMAIL FROM:<evil@example.com>',
    '\u202eright to left\u2028new line\u0085next',
    'x'.repeat(10_000),
    '=?utf-8?q?=0D=0ABcc:_evil@example.com?=',
    '250 2.0.0 all is well',
    'Grüße aus 東京 \ud800',
  ];

  test.each(payloads)('reply %j', async (text) => {
    const { bytes, mail } = await write(subject(), [change('b@example.org', { outcome: outcome('failed', 550, '5.7.1', text) })]);
    expect(defects(mail)).toEqual([]);
    expect(mail.parts.map(({ type }) => type)).toEqual(['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
    expect(statusOf(mail)).toHaveLength(2);
    const names = statusOf(mail)[1]!.fields.map(([name]) => name);
    expect(names).toEqual(['Final-Recipient', 'Action', 'Status', 'Remote-MTA', 'Diagnostic-Code', 'Last-Attempt-Date']);
    expect(field(statusOf(mail)[1]!, 'Action')).toBe('failed');
    expect(field(mail, 'Bcc')).toBeUndefined();
    expect(bytes.toString()).not.toMatch(/[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]/);
    expect(bytes.length).toBeLessThan(10_000);
    const lines = mail.parts[0]!.body!.split('\r\n');
    expect(lines.some((line) => /^(Final-Recipient|Action|--|\.)/.test(line))).toBe(false);
  });

  test('envelope identifiers and original recipients that hide line ends stay encoded', async () => {
    const sly = 'rfc822;a+0D+0AAction:+20relayed@example.com';
    const { mail } = await write(subject({ envid: 'x+0D+0AX-Evil:+20y' }), [
      { ...failure(), recipient: { ...failure().recipient, orcpt: sly } },
    ]);
    expect(defects(mail)).toEqual([]);
    expect(field(statusOf(mail)[0]!, 'Original-Envelope-Id')).toBe('x+0D+0AX-Evil:+20y');
    expect(field(statusOf(mail)[1]!, 'Original-Recipient')).toContain('a+0D+0AAction:+20relayed@example.com');
    expect(statusOf(mail)[1]!.fields.filter(([name]) => name === 'Action')).toHaveLength(1);
  });

  test.each(['"a b"@example.net', '"x\\"y,z"@example.net', "o'neil+tag@example.net", 'a@xn--bcher-kva.example'])(
    'the sender %s is addressed as one mailbox, unchanged',
    async (reversePath) => {
      const { mail, bytes } = await write(subject({ reversePath }), [failure()]);
      expect(defects(mail)).toEqual([]);
      expect(bytes.toString()).toContain(`\r\nTo: <${reversePath}>\r\n`);
    },
  );

  test('an invalid Message-ID is not quoted', async () => {
    const { mail } = await write(subject({ messageId: '<a b>\r\nX: y' }), [failure()]);
    expect(field(mail, 'References')).toBeUndefined();
    expect(field(mail, 'X')).toBeUndefined();
  });
});

describe.skipIf(!hasPython)('addresses in other scripts (RFC 6533)', () => {
  test('are reported in message/global-delivery-status, encoded for servers that know ASCII alone', async () => {
    const change8 = change('用户@xn--fsqu00a.example', { outcome: outcome('failed', 550, '5.1.1', '没有此用户') });
    const { mail, bytes } = await write(subject(), [change8]);
    expect(mail.parts[1]).toMatchObject({ type: 'message/global-delivery-status', encoding: 'base64' });
    const status = Buffer.from(
      /global-delivery-status[\s\S]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+)/.exec(bytes.toString())![1]!,
      'base64',
    ).toString();
    expect(status).toContain('Final-Recipient: utf-8; 用户@xn--fsqu00a.example\r\n');
    expect(status).toContain('Diagnostic-Code: smtp; 550 5.1.1 没有此用户\r\n');
    expect(mail.parts[0]!.body).toContain('<用户@xn--fsqu00a.example>');
    expect(bytes.some((byte) => byte > 127)).toBe(false);
  });

  test('a sender in another script is addressed as it is, and an original with such a header is message/global', async () => {
    const text = 'From: 用户@example.net\r\nSubject: 你好\r\n\r\nbody\r\n';
    const { mail, bytes } = await write(subject({ reversePath: '用户@example.net', ret: 'FULL' }, text), [failure()]);
    expect(bytes.toString()).toContain('\r\nTo: <用户@example.net>\r\n');
    expect(mail.parts.map(({ type }) => type)).toEqual(['text/plain', 'message/global-delivery-status', 'message/global']);
    const { mail: headers } = await write(subject({ reversePath: '用户@example.net' }, text), [failure()]);
    expect(headers.parts[2]).toMatchObject({ type: 'message/global-headers', encoding: 'base64' });
  });
});
