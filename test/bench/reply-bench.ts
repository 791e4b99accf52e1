/**
 * CPU of judging one reply of 2 kB, in microseconds: of random characters, of words that rules look for, of parts of known replies, and of
 * whole known replies one after the other. And of a usual reply. Run with `node test/bench/reply-bench.ts`.
 */
import { judgeReply } from '../../src/delivery/shaping/judgement.ts';
import { loadReplies } from '../../src/delivery/shaping/reply-table.ts';
import { row } from './rows.ts';

const COUNT = 2000;
const SIZE = 2000;
const WORDS =
  'user|your ip|mailbox|sender|domain|not|rejected|too many|spf|said: 550|192.0.2.1|a@b|blocked|message|recipient|from|limit|https://x.example/|2001:db8::1|\t';
const words = WORDS.split('|');
const { rows } = loadReplies();
let seed = 42;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return (seed >>> 8) % below;
};
const pick = <T>(all: readonly T[]): T => all[random(all.length)]!;

function text(next: () => string): string {
  let said = '';
  while (said.length < SIZE) said += next();
  return Buffer.from(said.slice(0, SIZE)).toString(); // one piece, as it comes from the wire
}

const CASES: readonly (readonly [name: string, next: () => string])[] = [
  ['random characters', () => text(() => String.fromCharCode(32 + random(95)))],
  ['words of the rules', () => text(() => `${pick(words)} `)],
  ['parts of known replies', () => text(() => `${pick(rows).pattern.anchor.slice(0, -1)} `)],
  ['known replies in a row', () => text(() => `${pick(rows).example} `)],
  ['one known reply', () => pick(rows).example],
];

const judge = (said: string) =>
  judgeReply({
    ...{ provider: 'google', phase: 'rcpt', reply: { code: 550, status: '', text: said } },
    ...{ ownAddresses: ['192.0.2.25'], ownNames: ['mail.example.org'] },
  });

for (const [name, next] of CASES) {
  const texts = Array.from({ length: COUNT }, next);
  for (const said of texts) judge(said);
  const began = process.threadCpuUsage();
  for (const said of texts) judge(said);
  const { user, system } = process.threadCpuUsage(began);
  row('replies', name, (user + system) / COUNT, 'µs CPU');
}
