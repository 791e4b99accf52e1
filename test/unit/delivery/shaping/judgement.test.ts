import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toReply } from '../../../../src/delivery/reply-reader.ts';
import { judgeReply, type ReplyQuestion } from '../../../../src/delivery/shaping/judgement.ts';
import { type ReplyJudgement, type ReplyPhase, scopeOf } from '../../../../src/delivery/shaping/reply-class.ts';
import { createReplyTable, loadReplies, type ReplyRow } from '../../../../src/delivery/shaping/reply-table.ts';
import type { Reply } from '../../../../src/smtp/reply.ts';

type Manner = Omit<Partial<ReplyQuestion>, 'reply'>;

/** As it comes from the wire: one string for each line. */
const fromWire = (code: number, ...lines: string[]): Reply => toReply({ code, lines });
const judge = (line: string, manner: Manner = {}): ReplyJudgement =>
  judgeReply({ phase: 'rcpt', ...manner, reply: fromWire(Number(line.slice(0, 3)), line.slice(4)) });

type Real = { provider: string; code: number; status: string; text: string; class: string; verb: string };

function realReplies(file: string): Real[] {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('provider\t'))
    .map((line) => {
      const [provider, code, status, text, found, verb] = line.split('\t') as [string, string, string, string, string, string];
      return { provider, code: Number(code), status: status === '-' ? '' : status, text, class: found, verb };
    });
}

const askedOf = (row: Pick<ReplyRow, 'provider' | 'phase'>): Manner => ({
  ...(row.provider !== '*' && { provider: row.provider }),
  phase: row.phase ?? 'rcpt',
});

describe('the file of replies', () => {
  const { rows } = loadReplies();

  test('each line wins for its own example, with its class and its action', () => {
    const lost = rows.flatMap((row) => {
      const found = judge(row.example, askedOf(row));
      return found.origin === row.origin && found.class === row.class
        ? []
        : [`${row.origin} loses ${row.example} to ${found.origin}`];
    });
    expect(lost).toEqual([]);
    for (const row of rows) expect(judge(row.example, askedOf(row)).action).toEqual(row.action);
  });

  test('each line names its source and a day, and its example fits its code', () => {
    for (const { origin, source, date, example, digit } of rows) {
      expect(source, origin).not.toBe('');
      expect(Number.isNaN(Date.parse(date)), origin).toBe(false);
      expect(example.startsWith(String(digit)), origin).toBe(true);
    }
  });

  test('what is about us never fails a recipient, and only what is about a mailbox suppresses one', () => {
    for (const { origin, class: found, action } of rows) {
      if (found === 'off') continue;
      if (scopeOf(found) === 'us') expect(action.verb, origin).not.toBe('fail');
      if (action.also.includes('suppress')) expect(['no-such-user', 'mailbox-disabled'], origin).toContain(found);
    }
  });

  test.each<readonly [string, (code: number, said: string) => Reply]>([
    ['folded into short lines', (code, said) => fromWire(code, ...said.split(/(?<= \S+) /))],
    ['with line ends and tabs in it', (code, said) => ({ code, status: '', text: said.replaceAll(' ', '\r\n\t') })],
    ['in capitals', (code, said) => fromWire(code, said.toUpperCase())],
    ['with umlauts behind it', (code, said) => fromWire(code, `${said} für Größe und Übung`)],
    ['with 4 kB behind it', (code, said) => ({ code, status: '', text: `${said} ${'xyz '.repeat(1000)}` })],
    ['without a status', (code, said) => fromWire(code, said.replace(/^[45]\.\d+\.\d+ /, ''))],
    [
      'with a status that contradicts the code',
      (code, said) =>
        fromWire(
          code,
          said.replace(/^([45])(\.\d+\.\d+ )/, (_, digit, rest) => `${9 - Number(digit)}${rest}`),
        ),
    ],
  ])('a reply %s keeps its class', (_, change) => {
    const wrong = rows.flatMap((row) => {
      // Two lines that differ in nothing but their status need it.
      if (rows.some((other) => other.class !== row.class && other.example.slice(11) === row.example.slice(11))) return [];
      const reply = change(Number(row.example.slice(0, 3)), row.example.slice(4));
      const found = judgeReply({ phase: 'rcpt', ...askedOf(row), reply });
      return found.class === row.class ? [] : [`${row.origin}: ${row.class} became ${found.class} by ${found.origin}`];
    });
    expect(wrong).toEqual([]);
  });
});

describe('replies that are not in the file', () => {
  const RECIPIENT = new Set(['recipient']);

  /** Shares that are right, and the errors that do harm. */
  function score(replies: readonly Real[], table = loadReplies()) {
    const found = replies.map((real) => ({
      real,
      judged: judgeReply({ provider: real.provider, phase: 'rcpt', reply: real, replies: table }),
    }));
    const harms = found.filter(({ real, judged }) => {
      const about = scopeOf(real.class as ReplyJudgement['class']);
      if (judged.action.also.includes('suppress') && !RECIPIENT.has(about)) return true;
      return RECIPIENT.has(about) && judged.action.verb === 'hold';
    });
    return {
      class: found.filter(({ real, judged }) => real.class === judged.class).length / found.length,
      verb: found.filter(({ real, judged }) => real.verb === judged.action.verb).length / found.length,
      harms: harms.map(({ real }) => real.text),
      usFailed: found.filter(
        ({ real, judged }) => scopeOf(real.class as ReplyJudgement['class']) === 'us' && judged.action.verb === 'fail',
      ).length,
    };
  }

  test('are judged as people judge them, by lines and general rules', () => {
    const result = score(realReplies('real-replies.tsv'));
    expect(result.class).toBeGreaterThan(0.96);
    expect(result.verb).toBeGreaterThan(0.97);
    expect(result.harms).toEqual([]);
    expect(result.usFailed).toBeLessThanOrEqual(1);
  });

  test('in many languages and of many programs are judged as well, those too that the rules were never changed for', () => {
    const all = realReplies('other-replies.tsv');
    expect(all.length).toBeGreaterThanOrEqual(145);
    for (const [first, least] of [
      [0, 0.95],
      [1, 0.9],
    ] as const) {
      const result = score(all.filter((_, i) => i % 2 === first));
      expect(result.class).toBeGreaterThan(least);
      expect(result.verb).toBeGreaterThan(least);
      expect(result.harms).toEqual([]);
      expect(result.usFailed).toBe(0);
    }
  });

  test('are judged by the general rules alone in four of five cases', () => {
    const result = score(realReplies('real-replies.tsv'), createReplyTable([]));
    expect(result.class).toBeGreaterThan(0.8);
    expect(result.verb).toBeGreaterThan(0.85);
  });
});

describe('whom a refusal is about', () => {
  const own = { ownAddresses: ['192.0.2.25', '2001:db8::25'], ownNames: ['mail.example.org'] };

  test.each([
    '550 Rejected: 192.0.2.25',
    '550 5.7.1 Go away, 2001:db8::25',
    '554 No thanks, mail.example.org',
    '550 5.7.1 No, MAIL.EXAMPLE.ORG.',
  ])('%s names us, so it is about us', (line) =>
    expect(judge(line, own)).toMatchObject({ scope: 'us', class: 'address-blocked', sure: true, action: { verb: 'hold' } }),
  );

  test.each([
    '550 5.1.1 <mail@example.org>: unknown',
    '550 5.1.1 <u@example.com>: User unknown',
    '550 5.1.1 <u@example.com> No, 192.0.2.25',
  ])('%s is about the recipient, whatever it names', (line) => expect(judge(line, own).scope).toBe('recipient'));

  test.each([
    '550 No such user here (192.0.2.25)',
    '550 User unknown, said to mail.example.org [192.0.2.25]',
    '550 5.2.1 The email account is disabled. Client 192.0.2.25',
    '552 5.2.2 Mailbox full, client 192.0.2.25',
    '554 5.7.1 Virus found: Eicar; client 192.0.2.25',
  ])('%s fails, and holds no mail of others, though it names us', (line) =>
    expect(judge(line, { ...own, phase: 'data' })).toMatchObject({ action: { verb: 'fail' }, sure: false }),
  );

  test.each([
    '554 5.7.1 Message refused due to spam content in the message (ip 192.0.2.25)',
    '550 5.7.1 Your message failed our content rules. Sender IP: 192.0.2.25',
  ])('%s after the content is not enough to hold the mail of a provider', (line) =>
    expect(judge(line, { ...own, phase: 'data' })).toMatchObject({ scope: 'us', sure: false }),
  );

  test('an address that only begins like ours is not ours', () => {
    expect(judge('550 Rejected for 192.0.2.251', own).sure).toBe(false);
    expect(judge('550 No mail from mail.example.org.example.net here', own).sure).toBe(false);
  });

  test.each<readonly [string, ReplyPhase]>([
    ['554 No', 'greeting'],
    ['550 5.7.1 Message looks like spam', 'greeting'],
    ['550 No such user here', 'ehlo'],
  ])('%s in the phase %s is about us', (line, phase) => {
    expect(judge(line, { phase })).toMatchObject({ scope: 'us', action: { verb: 'hold' } });
  });

  test('a forwarder that quotes another server is not refused itself, and we are not blocked', () => {
    const mailbox = judge(
      '550 5.1.1 host mx.example.com[198.51.100.7] said: 550 5.1.1 <u@example.com>: User unknown (in reply to RCPT TO command)',
    );
    expect(mailbox).toMatchObject({ class: 'no-such-user', action: { verb: 'fail' } });
    const address = judge(
      '521 5.3.0 Upstream error: 550 5.7.1 Service unavailable; client [198.51.100.7] blocked using zen.spamhaus.org',
    );
    expect(address).toMatchObject({ class: 'address-blocked', scope: 'receiver', action: { verb: 'retry' } });
  });

  test('a text of one provider with the digit of another reply keeps its class, and takes the action of that digit', () => {
    expect(
      judge('450 5.7.26 This mail has been blocked because the sender is unauthenticated, DKIM or SPF', { provider: 'google' }),
    ).toMatchObject({
      class: 'auth-fail',
      action: { verb: 'retry', also: ['domain'] },
    });
  });

  test('hosts of a provider that runs the filter of another one are known by its words', () => {
    const reputation = "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation";
    expect(judge(reputation, { provider: 'cisco' })).toMatchObject({ class: 'address-blocked', sure: true });
    expect(judge('521 5.3.0 Blocked for abuse', { provider: 'yahoo' })).toMatchObject({ class: 'address-blocked', sure: true });
  });

  test.each([
    '550 Your address is blocked',
    '550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group',
    '550 5.7.1 RESOLVER.RST.AuthRequired; authentication required [Stage: CreateMessage]',
  ])('%s is a policy of the recipient: no mailbox is closed, and no login of ours is asked for', (line) =>
    expect(judge(line)).toMatchObject({ class: 'recipient-policy', action: { verb: 'fail', also: [] } }),
  );

  test('a virus is a strike against who sent it, an attachment is none', () => {
    expect(judge('550 5.7.1 A trojan was found').action.also).toContain('strike');
    expect(judge('550 5.7.1 Attachment type not allowed').action.also).not.toContain('strike');
  });
});

test('no text makes it throw, and each has a class', () => {
  const text = fc.oneof(fc.string({ maxLength: 1500 }), fc.string({ unit: 'binary', maxLength: 1500 }));
  fc.assert(
    fc.property(
      text,
      fc.integer({ min: 400, max: 599 }),
      fc.constantFrom('', '5.7.1', '4.0.0', 'x', '9.9.9'),
      (said, code, status) => {
        const found = judgeReply({
          phase: 'data',
          reply: { code, status, text: said },
          ownAddresses: ['', '::1'],
          ownNames: ['', '.'],
        });
        expect(found.scope).toBe(found.class === 'unknown' ? 'message' : found.scope);
      },
    ),
    { numRuns: 150 },
  );
});

test('a text counts as far as it is searched, whatever stands behind it, and one of any words comes to its end', () => {
  const words = [
    ...['user', 'your ip', 'mailbox', 'sender', 'domain', 'not', 'rejected', 'too many', 'spf', 'said: 550', '192.0.2.1', 'a@b'],
    ...['OFR', 'SFR_IN_', '*'],
  ];
  const judged = (text: string) => judgeReply({ phase: 'rcpt', reply: { code: 550, status: '', text } });
  for (const [i, word] of words.entries()) {
    const hostile = `${word} ${words[(i * 7 + 3) % words.length]} `.repeat(8192);
    const searched = hostile.slice(0, 8192);
    expect(judged(hostile), word).toEqual(judged(searched));
    expect(judged(`${searched} mailbox full, user unknown, your ip is listed by spamhaus`), word).toEqual(judged(searched));
  }
});
