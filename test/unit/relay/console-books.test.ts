/** What is kept in memory for the console: the last hour, what domains have said, the last lines of the log. */
import { expect, test } from 'vitest';
import { createConsoleBooks } from '../../../src/relay/console-books.ts';
import { newQueueId, queueIdAt } from '../../../src/smtp/queue-id.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';

const START = Date.UTC(2026, 0, 1, 12);

function opened() {
  let now = START;
  const books = createConsoleBooks(true, () => now);
  const attempt = { recipient: 'bob@X.example', attempt: 1, seconds: 1, mx: 'mx.x.example', ip: null, tls: 'TLSv1.3' };
  return {
    books,
    pass: (milliseconds: number) => void (now += milliseconds),
    relayed: (queueId: string, user = 'shop') =>
      books.observe({
        event: 'relayed',
        fields: { ...attempt, queueId, user, code: 250, status: '2.0.0', reply: '250 2.0.0 Ok' },
      }),
    delayed: (code: number, user = 'shop') => {
      const said = { code, status: '4.2.1', reply: `${code} 4.2.1 later` };
      const fields = { ...attempt, queueId: newQueueId(now), user, ...said, nextAttemptAt: '' };
      books.observe({ event: 'delayed', fields });
    },
    id: () => `${queueIdAt(now)}00000000`,
  };
}

test('the last hour is counted by login, and what is older is forgotten', () => {
  const { books, pass, delayed } = opened();
  delayed(450);
  delayed(450, 'exchange');
  pass(30 * MINUTE);
  delayed(450);
  expect(books.hour.lastHour(null)).toMatchObject({ since: START, counts: { delayed: 3 } });
  expect(books.hour.lastHour(['SHOP']).counts.delayed).toBe(2);
  expect(books.hour.lastHour([]).counts.delayed).toBe(0);
  pass(45 * MINUTE);
  expect(books.hour.lastHour(null).counts.delayed).toBe(1);
  pass(DAY);
  expect(books.hour.lastHour(null)).toMatchObject({ counts: { delayed: 0 }, latency: { count: 0, half: null, most: null } });
});

test('latency is that from acceptance to the reply, by half and by 95 %', () => {
  const { books, pass, relayed, id } = opened();
  const quick = Array.from({ length: 18 }, id);
  const slow = [id(), id()];
  pass(SECOND);
  for (const one of quick) relayed(one);
  pass(59 * SECOND);
  for (const one of slow) relayed(one);
  const { count, half, most } = books.hour.lastHour(null).latency;
  expect(count).toBe(20);
  expect(half).toBeGreaterThanOrEqual(1);
  expect(half).toBeLessThan(1.3);
  expect(most).toBeGreaterThanOrEqual(60);
  expect(most).toBeLessThan(75);
});

test('what a domain has said is counted by code for a day, and is bounded', () => {
  const { books, pass, delayed } = opened();
  for (let code = 400; code < 440; code++) delayed(code);
  delayed(450);
  const heard = books.heard.heard('x.example')!;
  expect(heard.replies.length).toBeLessThanOrEqual(20);
  expect(heard.replies.reduce((sum, { count }) => sum + count, 0)).toBe(41);
  expect(heard).toMatchObject({ tls: [{ version: 'TLSv1.3', count: 41 }], last: { reply: '450 4.2.1 later', at: START } });
  pass(DAY + 4 * HOUR);
  expect(books.heard.heard('x.example')!.replies).toEqual([]);
  expect(books.heard.heard('y.example')).toBeNull();
});

test('of the sessions of a domain the last one that was opened is kept, with what it was worth', () => {
  const { books, delayed } = opened();
  const session = {
    mx: 'mx1.x.example',
    ip: '192.0.2.1',
    tls: 'TLSv1.3',
    assurance: 'sts',
    proof: 'issued by R11',
    policyId: 'p1',
  };
  const sent = { queueId: 'a', recipient: 'a@x.example', user: 'shop', attempt: 1, seconds: 1 };
  books.observe({ event: 'relayed', fields: { ...sent, ...session, code: 250, status: '2.0.0', reply: '250 2.0.0 Ok' } });
  delayed(450); // without a session
  const { ip: _, ...kept } = session;
  expect(books.heard.heard('x.example')!.session).toEqual({ at: START, ...kept, fallback: false });
});

test('the log keeps 2,000 lines, or fewer where they are long', () => {
  const { books } = opened();
  for (let i = 1; i <= 2100; i++) books.log.add(`{"n":${i}}\n`);
  const lines = books.log.recent();
  expect([lines.length, lines[0]!.line, lines.at(-1)!.seq]).toEqual([2000, '{"n":101}', 2100]);
  for (let i = 0; i < 100; i++) books.log.add(`{"text":"${'x'.repeat(50_000)}"}\n`);
  expect(books.log.recent().reduce((sum, { line }) => sum + line.length, 0)).toBeLessThanOrEqual(1024 * 1024);
});

test('without a console nothing is counted', () => {
  const books = createConsoleBooks(false, () => START);
  books.observe({ event: 'expired', fields: { queueId: newQueueId(START), recipient: 'a@x.example', user: 'shop' } });
  expect(books.hour.lastHour(null).counts.expired).toBe(0);
  expect(books.logging).toEqual({});
});
