import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RemoteReply } from '../../../src/delivery/reply-reader.ts';
import {
  endPatience,
  type FailureKind,
  type FinalProblem,
  judgeAfterDot,
  judgeFailure,
  judgeOurProblem,
  judgeProblem,
  judgeSession,
  judgeTransaction,
  type MessageStage,
  type PaceEffect,
  type SessionStage,
  type Stage,
  type Standing,
  type Verdict,
} from '../../../src/delivery/verdict.ts';
import type { FinalReply, Outcome } from '../../../src/smtp/outcome.ts';

const SESSION: readonly SessionStage[] = ['greeting', 'EHLO', 'STARTTLS', 'AUTH', 'RSET'];
const MESSAGE: readonly MessageStage[] = ['MAIL', 'RCPT', 'DATA', 'content', 'dot'];
const SOUND: Standing = { tls: 'on', upstream: false };
const TLS_FAILED: Standing = { tls: 'failed', upstream: false };
const IN_CLEAR: Standing = { tls: 'off', upstream: false };
const UPSTREAM: Standing = { tls: 'on', upstream: true };

const isSession = (stage: Stage): stage is SessionStage => (SESSION as readonly Stage[]).includes(stage);
const judge = (stage: SessionStage | MessageStage, reply: RemoteReply, standing: Standing): Verdict =>
  isSession(stage) ? judgeSession(stage, reply) : judgeTransaction(stage, reply, standing);
const parse = (line: string): RemoteReply => ({ code: Number(line.slice(0, 3)), lines: [line.slice(4)] });

type Row = readonly [
  stage: SessionStage | MessageStage,
  reply: string,
  kind: Verdict['kind'],
  status: string,
  next: 'next host' | 'stay',
  pace: PaceEffect,
];

const replies: readonly Row[] = [
  ['dot', '250 2.0.0 Ok', 'relayed', '2.0.0', 'stay', 'clean'],
  ['dot', '250 queued', 'relayed', '2.0.0', 'stay', 'clean'],
  ['dot', '251 2.1.5 forwarded', 'relayed', '2.1.5', 'stay', 'clean'],
  ['dot', '354 go on', 'uncertain', '4.5.0', 'stay', 'slow'],
  ['dot', '421 4.3.2 Stopping', 'delayed', '4.3.2', 'next host', 'block'],
  ['dot', '451 4.3.0 Try later', 'delayed', '4.3.0', 'stay', 'alive'],
  ['dot', '451 4.7.1 Greylisted', 'delayed', '4.7.1', 'stay', 'alive'],
  ['dot', '451 4.7.500 Server busy', 'delayed', '4.7.500', 'stay', 'slow'],
  ['dot', '550 5.7.1 Spam', 'failed', '5.7.1', 'stay', 'alive'],
  ['dot', '554 no', 'failed', '5.0.0', 'stay', 'alive'],
  ['content', '552 5.3.4 Too big', 'failed', '5.3.4', 'stay', 'alive'],
  ['content', '452 4.3.1 Full', 'delayed', '4.3.1', 'stay', 'alive'],
  ['content', '250 2.0.0 Too early', 'delayed', '4.5.0', 'next host', 'slow'],
  ['content', '421 4.3.2 Bye', 'delayed', '4.3.2', 'next host', 'block'],
  ['DATA', '250 2.0.0 not 354', 'delayed', '4.5.0', 'next host', 'block'],
  ['DATA', '451 4.3.0 later', 'delayed', '4.3.0', 'stay', 'alive'],
  ['DATA', '554 5.5.1 no', 'failed', '5.5.1', 'stay', 'alive'],
  ['RCPT', '421 4.4.2 Bye', 'delayed', '4.4.2', 'next host', 'block'],
  ['RCPT', '450 4.2.0 Greylisted', 'delayed', '4.2.0', 'stay', 'alive'],
  ['RCPT', '450 4.2.1 Mailbox busy', 'delayed', '4.2.1', 'stay', 'alive'],
  ['RCPT', '451 4.7.1 Greylisting in action', 'delayed', '4.7.1', 'stay', 'alive'],
  ['RCPT', '450 4.7.25 No PTR', 'delayed', '4.7.25', 'stay', 'slow'],
  ['RCPT', '452 4.5.3 Too many recipients', 'delayed', '4.5.3', 'stay', 'alive'],
  ['RCPT', '552 5.5.3 Too many recipients', 'delayed', '4.5.3', 'stay', 'alive'],
  ['RCPT', '550 5.1.1 No such user', 'failed', '5.1.1', 'stay', 'alive'],
  ['RCPT', '599 strange', 'failed', '5.0.0', 'stay', 'alive'],
  ['RCPT', '354 strange', 'delayed', '4.5.0', 'next host', 'block'],
  ['MAIL', '421 4.7.28 Rate', 'delayed', '4.7.28', 'next host', 'block'],
  ['MAIL', '451 4.7.651 Reputation', 'delayed', '4.7.651', 'stay', 'block'],
  ['MAIL', '450 4.7.1 Sender not welcome', 'delayed', '4.7.1', 'stay', 'sender'],
  ['MAIL', '450 4.1.8 Sender?', 'delayed', '4.1.8', 'stay', 'alive'],
  ['MAIL', '550 5.7.1 Sender refused', 'failed', '5.7.1', 'stay', 'alive'],
  ['MAIL', '530 5.7.0 Must issue a STARTTLS command first', 'delayed', '4.7.0', 'next host', 'alive'],
  ['RCPT', '530 5.7.1 Client was not authenticated', 'delayed', '4.7.1', 'next host', 'alive'],
  ['dot', '530 5.7.0 Must issue a STARTTLS command first', 'delayed', '4.7.0', 'next host', 'alive'],
  ['greeting', '554 5.7.1 You are blocked', 'delayed', '4.7.1', 'next host', 'block'],
  ['greeting', '421 4.3.2 Too many', 'delayed', '4.3.2', 'next host', 'block'],
  ['greeting', '450 busy', 'delayed', '4.0.0', 'next host', 'block'],
  ['EHLO', '550 5.7.1 Bad name', 'delayed', '4.7.1', 'next host', 'block'],
  ['STARTTLS', '454 4.7.0 No TLS now', 'delayed', '4.7.0', 'next host', 'block'],
  ['AUTH', '535 5.7.8 Wrong', 'delayed', '4.7.8', 'next host', 'block'],
  ['AUTH', '454 4.7.0 Later', 'delayed', '4.7.8', 'next host', 'block'],
];

test.each(replies)('%s: %j is %s %s, %s, pace %s', (stage, line, kind, status, next, pace) => {
  const verdict = judge(stage, parse(line), SOUND);
  expect(verdict).toMatchObject({ kind, tryNext: next === 'next host', pace });
  expect(verdict.reply.status).toBe(status);
});

const failures: readonly (readonly [FailureKind, Stage, Verdict['kind'], string, boolean, PaceEffect])[] = [
  ['unreachable', 'connect', 'delayed', '4.4.1', true, 'block'],
  ['timeout', 'connect', 'delayed', '4.4.1', true, 'block'],
  ['timeout', 'greeting', 'delayed', '4.4.2', true, 'block'],
  ['timeout', 'MAIL', 'delayed', '4.4.2', true, 'block'],
  ['timeout', 'content', 'delayed', '4.4.2', true, 'slow'],
  ['timeout', 'dot', 'uncertain', '4.4.2', false, 'slow'],
  ['lost', 'dot', 'uncertain', '4.4.2', false, 'slow'],
  ['lost', 'RCPT', 'delayed', '4.4.2', true, 'block'],
  ['lost', 'content', 'delayed', '4.4.2', true, 'slow'],
  ['malformed', 'EHLO', 'delayed', '4.5.0', true, 'block'],
  ['malformed', 'dot', 'uncertain', '4.5.0', false, 'slow'],
  ['tls', 'handshake', 'delayed', '4.7.5', true, 'block'],
  ['login', 'AUTH', 'delayed', '4.7.8', true, 'block'],
  ['aborted', 'RCPT', 'returned', '4.3.2', false, 'none'],
  ['aborted', 'dot', 'uncertain', '4.3.2', false, 'none'],
  ['local', 'content', 'delayed', '4.3.0', false, 'none'],
  ['shortage', 'connect', 'delayed', '4.3.0', false, 'none'],
  ['offline', 'connect', 'delayed', '4.4.1', true, 'none'],
  ['barred', 'connect', 'delayed', '4.4.1', true, 'none'],
];

test.each(failures)('%s at %s is %s %s, next host: %s, pace %s', (kind, stage, outcome, status, tryNext, pace) => {
  const verdict = (stage === 'dot' ? judgeAfterDot : judgeFailure)({ kind, stage, detail: 'detail' });
  expect(verdict).toMatchObject({ kind: outcome, tryNext, pace, reply: { code: 451, status } });
  expect(verdict.reply.text).toContain('detail');
});

const problems: readonly (readonly [FinalProblem, string, string])[] = [
  ['nullMx', 'failed', '556 5.1.10'],
  ['noDomain', 'failed', '550 5.1.2'],
  ['noHost', 'failed', '550 5.4.4'],
  ['literal', 'failed', '550 5.1.2'],
  ['loop', 'failed', '554 5.4.6'],
  ['reserved', 'failed', '550 5.4.4'],
  ['noSmtpUtf8', 'failed', '550 5.6.7'],
  ['no8BitMime', 'failed', '554 5.6.3'],
];

test.each(problems)('%s is %s with %s', (problem, kind, codes) => {
  const verdict = judgeProblem(problem, 'why');
  expect(`${verdict.reply.code} ${verdict.reply.status}`).toBe(codes);
  expect(verdict).toMatchObject({ kind, tryNext: false, pace: 'none', reply: { text: 'why' } });
});

test('a failed look-up is about us', () => {
  expect(judgeOurProblem('dns', 'why')).toMatchObject({ about: 'us', kind: 'delayed', reply: { code: 451, status: '4.4.3' } });
});

test('no reply at any stage but the final dot is ever success', () => {
  for (const stage of [...SESSION, ...MESSAGE].filter((one) => one !== 'dot')) {
    for (let code = 200; code < 600; code++) expect(judge(stage, { code, lines: [''] }, SOUND).kind).not.toBe('relayed');
  }
});

const status = fc.tuple(fc.constantFrom(2, 4, 5), fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 99 }));
const words = fc.constantFrom(
  '',
  'Must issue a STARTTLS command first',
  'No such user',
  'Relay access denied',
  'Spam',
  'Greylisted',
);
const anyReply: fc.Arbitrary<RemoteReply> = fc
  .tuple(fc.integer({ min: 200, max: 599 }), fc.option(status), fc.array(words, { minLength: 1, maxLength: 3 }))
  .map(([code, given, lines]) => ({ code, lines: lines.map((line) => (given === null ? line : `${given.join('.')} ${line}`)) }));

test('no reply before MAIL, and no failure, is about the message', () => {
  fc.assert(
    fc.property(fc.constantFrom(...SESSION), anyReply, (stage, reply) => {
      expect(judgeSession(stage, reply)).toMatchObject({ about: 'us', kind: 'delayed' });
    }),
  );
});

test('no reply without TLS ends a recipient if the offered TLS had failed', () => {
  fc.assert(
    fc.property(fc.constantFrom(...MESSAGE), anyReply, (stage, reply) => {
      const verdict = judgeTransaction(stage, reply, TLS_FAILED);
      expect(verdict.kind).not.toBe('failed');
      if (reply.code >= 500) expect(verdict).toMatchObject({ about: 'us', kind: 'delayed', tryNext: true });
    }),
  );
});

const aboutSession = [500, 502, 503, 530, 534, 535, 538];

test.each((['MAIL', 'RCPT', 'DATA'] as const).flatMap((stage) => aboutSession.map((code) => [stage, code] as const)))(
  '%s answered %i is about the session: another host, and later',
  (stage, code) => {
    const verdict = judgeTransaction(stage, parse(`${code} 5.7.0 No`), SOUND);
    expect(verdict).toMatchObject({ about: 'us', kind: 'delayed', tryNext: true, pace: 'alive', refusal: true });
  },
);

test.each<readonly [string, Standing, 'us' | 'message']>([
  ['550 5.1.1 No such user', SOUND, 'message'],
  ['550 5.7.1 Spam', SOUND, 'message'],
  ['552 5.3.4 Message size exceeds fixed limit', UPSTREAM, 'message'],
  ['550 5.2.1 Mailbox disabled', UPSTREAM, 'message'],
  ['521 5.3.2 Host does not accept mail', SOUND, 'message'],
  ['554 5.7.1 Relay access denied', SOUND, 'message'],
  ['554 5.7.1 Relay access denied', UPSTREAM, 'us'],
  ['550 5.7.64 TenantAttribution; Relay Access Denied', UPSTREAM, 'us'],
  ['550 relay not permitted', UPSTREAM, 'us'],
  ['553 5.7.1 Sender address rejected: not logged in', UPSTREAM, 'us'],
  ['550 5.7.60 Client does not have permissions to send as this sender', UPSTREAM, 'message'],
  ['550 5.7.10 Encryption needed', SOUND, 'us'],
  ['554 5.7.1 Use STARTTLS', IN_CLEAR, 'us'],
  ['554 5.7.1 Use STARTTLS', SOUND, 'message'],
  ['550 5.4.5 Daily user sending limit exceeded', SOUND, 'us'],
  ['550 5.3.1 Mail system full', SOUND, 'us'],
  ['550 5.7.1 Daily SMTP relay sending limit exceeded for this customer', UPSTREAM, 'us'],
  ['550 5.1.90 You have reached your daily limit for message recipients', UPSTREAM, 'us'],
  ['550 user@host has exceeded the max defers and failures per hour', UPSTREAM, 'us'],
  ['550 5.1.1 mailbox limit exceeded', UPSTREAM, 'message'],
])('%j to RCPT, %j, is about %s', (line, standing, about) => {
  expect(judgeTransaction('RCPT', parse(line), standing)).toMatchObject({ about, kind: about === 'us' ? 'delayed' : 'failed' });
});

test.each([
  "RCPT 550 5.4.8 MX hosts of 'dest.test' failed MTA-STS validation.",
  'dot 550 5.7.5 Remote certificate failed MTA-STS validation. Reason: ValidityStatus',
  'MAIL 554 5.7.5 Certificate validation failure',
  'RCPT 550 5.7.321 starttls-not-supported: Destination mail server must support TLS to receive mail.',
  'RCPT 550 5.7.323 tlsa-invalid: The domain failed DANE validation.',
  'RCPT 450 4.7.322 certificate-expired: The certificate of the destination mail server is expired.',
  "MAIL 451 4.4.8 MX hosts of 'dest.test' failed MTA-STS validation.",
  'MAIL 454 4.7.5 Remote certificate failed MTA-STS validation.',
])('%s: a TLS policy that is not met delays, rests nobody, and ends with the lifetime', (line) => {
  const [stage, ...reply] = line.split(' ');
  for (const standing of [SOUND, UPSTREAM]) {
    const verdict = judgeTransaction(stage as MessageStage, parse(reply.join(' ')), standing);
    expect(verdict).toMatchObject({ about: 'message', kind: 'delayed', tryNext: false, pace: 'alive' });
    expect(verdict.reply).toMatchObject({ status: expect.stringMatching(/^4\./) });
    expect(verdict).not.toHaveProperty('waitsForUs');
  }
});

test('the same status with other words is about the message, as DMARC at some receivers', () => {
  const verdict = judgeTransaction('dot', parse('554 5.7.5 (AU01) Message not accepted for policy reasons'), SOUND);
  expect(verdict).toMatchObject({ about: 'message', kind: 'failed' });
});

test.each([
  'MAIL 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1',
  'RCPT 554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied',
  'RCPT 550 5.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]',
  'RCPT 504 5.5.2 <mail>: Helo command rejected: need fully-qualified hostname',
  'RCPT 550 192.0.2.1 is in a black list at bl.example.test',
  'RCPT 550 rejected because 2001:db8:1:2::25 is listed at bl.example.test',
  'MAIL 521 5.7.1 Service unavailable; client [192.0.2.1] blocked using bl.example.test',
  "MAIL 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent, since part of their network is on our block list (S3140).",
  'RCPT 550 5.7.606 Access denied, banned sending IP [192.0.2.1]',
  'dot 550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record',
  'dot 550 5.7.28 An unusual rate of unsolicited email originating from your IP address',
  'dot 550 5.7.1 This message is suspicious due to the very low reputation of the sending IP address',
  'MAIL 553 5.7.1 [BL23] Connections not accepted from IP addresses on Spamhaus XBL',
  'MAIL 554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1',
  'MAIL 550 Reject due to policy restrictions (IP based)',
])('%s: a block of our address delays, and other hosts are asked', (line) => {
  const [stage, ...reply] = line.split(' ');
  const verdict = judgeTransaction(stage as MessageStage, parse(reply.join(' ')), SOUND);
  expect(verdict).toMatchObject({ about: 'us', kind: 'delayed', tryNext: true, pace: 'slow', refusal: true });
  expect(judgeTransaction(stage as MessageStage, parse(reply.join(' ')), UPSTREAM)).toMatchObject({ waitsForUs: true });
});

test.each([
  'RCPT 550 5.1.1 <helo@dest.test>: Recipient address rejected: User unknown',
  'RCPT 550 <ptr@dest.test>: no such user',
  'RCPT 550 5.1.1 User unknown (client host 192.0.2.1, HELO relay.sender.test)',
  'RCPT 550 5.7.1 <a@dest.test>: Recipient address rejected: Access denied',
  'RCPT 550 permanent failure for one or more recipients (a@dest.test:blocked)',
  'RCPT 554 5.7.1 Relaying denied. IP name lookup failed [192.0.2.1]',
  'MAIL 550 5.7.1 Sender address rejected: Access denied',
  'MAIL 554 5.7.1 Service unavailable; Sender address [a@sender.test] blocked using dbl.spamhaus.org',
  'MAIL 550 5.7.23 SPF: 192.0.2.1 is not allowed to send mail from sender.test',
  'MAIL 550 Reject due to policy restrictions (domain based)',
  "dot 550 5.7.26 192.0.2.1 is not accepted due to the domain's DMARC policy",
  'dot 550 5.7.1 [192.0.2.1 12] This message is likely unsolicited mail, and has been blocked',
  'dot 550 5.7.1 [192.0.2.1] Suspicious due to the very low reputation of the sending domain',
  'dot 554 Reject due to policy restrictions. See https://postmaster.example.test/case?c=hi&i=ip&v=192.0.2.1',
  'dot 552 5.2.2 Mailbox of your IP blocked',
])('%s: what may be about the mail, its domain or its recipient is final', (line) => {
  const [stage, ...reply] = line.split(' ');
  expect(judgeTransaction(stage as MessageStage, parse(reply.join(' ')), SOUND)).toMatchObject({
    about: 'message',
    kind: 'failed',
  });
});

test('greylisting says nothing about TLS', () => {
  expect(judgeTransaction('RCPT', parse('450 4.7.1 Greylisted'), TLS_FAILED).about).toBe('message');
  expect(judgeTransaction('RCPT', parse('450 4.7.1 Use TLS'), TLS_FAILED).about).toBe('us');
});

test('a verdict about us cannot become a failure: the compiler checks it', () => {
  const { reply } = judgeSession('greeting', parse('554 5.7.1 Not you'));
  // @ts-expect-error A reply that is about us is not final.
  const final: FinalReply = reply;
  // @ts-expect-error No outcome "failed" can be made of it.
  const outcome: Outcome = { kind: 'failed', reply, seconds: 0 };
  expect([final, outcome]).toHaveLength(2);
});

test('mail waits for the operator after a missing login, a block by our firewall or an error of ours, but not after a reply of a destination', () => {
  const failure = { stage: 'connect', detail: 'x' } as const;
  for (const kind of ['login', 'barred', 'local', 'shortage'] as const)
    expect(judgeFailure({ kind, ...failure }).waitsForUs).toBe(true);
  for (const kind of ['unreachable', 'offline'] as const) expect(judgeFailure({ kind, ...failure }).waitsForUs).toBeUndefined();
  expect(judgeSession('AUTH', parse('535 5.7.8 Wrong'))).toMatchObject({ waitsForUs: true });
  expect(judgeTransaction('MAIL', parse('530 5.7.0 Log in'), UPSTREAM)).toMatchObject({ waitsForUs: true });
  expect(judgeTransaction('MAIL', parse('530 5.7.0 Log in'), SOUND)).not.toHaveProperty('waitsForUs');
});

test('each refusal carries the judgement of its words, and what no host has said carries none', () => {
  expect(judgeTransaction('RCPT', parse('550 5.1.1 No such user'), SOUND).judgement).toMatchObject({ class: 'no-such-user' });
  expect(judgeTransaction('dot', parse('250 2.0.0 Taken'), SOUND).judgement).toBeUndefined();
  expect(judgeSession('greeting', parse('554 No')).judgement).toBeDefined();
});

test('a host that refuses only IPv6 is asked by IPv4 before other hosts are', () => {
  const verdict = judgeTransaction(
    'RCPT',
    parse('550 5.7.510 Access denied, contoso.test does not accept email over IPv6'),
    SOUND,
  );
  expect(verdict).toMatchObject({ about: 'us', kind: 'delayed', tryNext: false, judgement: { action: { verb: 'family' } } });
});

test.each([
  ['MAIL 550 5.7.1 [192.0.2.1] Unusual rate of unsolicited mail originating from your IP address', 'slow'],
  ['RCPT 550 Too many connections from your host', 'slow'],
  ['dot 550 5.7.1 Too many messages per connection', 'alive'],
  ['RCPT 550 This IP has sent too many messages this hour. IB504', 'slow'],
  ['RCPT 550 5.7.1 Daily SMTP relay sending limit exceeded for this customer', 'slow'],
])('%s: too much of ours waits', (line, pace) => {
  const [stage, ...reply] = line.split(' ');
  expect(judgeTransaction(stage as MessageStage, parse(reply.join(' ')), SOUND)).toMatchObject({
    about: 'us',
    kind: 'delayed',
    pace,
  });
});

test.each([
  ['421 4.7.32 Your email has been rate limited because the From: header is not aligned with SPF or DKIM', 'message', 'alive'],
  ['421 4.7.28 Unusual rate of unsolicited mail originating from your IP address', 'us', 'block'],
  ['421 4.3.2 Service not available', 'us', 'block'],
])('%s after the text is about %s', (line, about, pace) => {
  expect(judgeTransaction('dot', parse(line), SOUND)).toMatchObject({ about, kind: 'delayed', pace });
});

test('a mailbox that is full, said with 552 to RCPT, is no lack of room for recipients', () => {
  expect(judgeTransaction('RCPT', parse('552 5.2.2 Mailbox full'), SOUND).kind).toBe('failed');
  expect(judgeTransaction('RCPT', parse('552 Mailbox is over quota'), SOUND).kind).toBe('failed');
  expect(judgeTransaction('RCPT', parse('552 No'), SOUND).kind).toBe('delayed');
});

test.each(['The subscription expired for this domain', 'Domain not verified', 'Account disabled due to a billing issue'])(
  '550 %s returns mail at a host of the recipient, and delays it at an upstream',
  (text) => {
    expect(judgeTransaction('RCPT', parse(`550 ${text}`), SOUND).kind).toBe('failed');
    expect(judgeTransaction('RCPT', parse(`550 ${text}`), UPSTREAM).kind).toBe('delayed');
  },
);

test.each(['5.7.1 Sending limit exceeded', 'You have exceeded your hourly message limit'])(
  '550 %s may be about us, so it delays mail everywhere',
  (text) => expect(judgeTransaction('RCPT', parse(`550 ${text}`), SOUND).kind).toBe('delayed'),
);

describe('a final code with the words of a passing trouble', () => {
  const busy = judgeTransaction('dot', parse('550 5.0.0 Internal server error, try again later'), SOUND);
  const rate = judgeTransaction(
    'RCPT',
    parse('550 5.2.1 The user is receiving mail at a rate that prevents additional messages'),
    SOUND,
  );

  test('is tried again, and then final', () => {
    expect(busy).toMatchObject({ about: 'message', kind: 'delayed', reply: { code: 550, status: '4.0.0' } });
    expect(endPatience(busy, 0)).toBe(busy);
    expect(endPatience(busy, 1)).toMatchObject({
      kind: 'failed',
      reply: { code: 550, status: '5.0.0' },
      judgement: { class: 'busy' },
    });
    expect(endPatience(rate, 6).kind).toBe('delayed');
    expect(endPatience(rate, 7)).toMatchObject({ kind: 'failed', reply: { status: '5.2.1' } });
  });

  test('never ends mail because of us', () => {
    const block = judgeTransaction('MAIL', parse('554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org'), SOUND);
    expect(endPatience(block, 1000)).toBe(block);
    const passing = judgeTransaction('dot', parse('451 4.3.0 Local error'), SOUND);
    expect(endPatience(passing, 1000)).toBe(passing);
  });
});
