/** Hosts that do anything at any time: all mail reported as relayed has arrived. */
import { expect, test } from 'vitest';
import { startRig } from '../support/delivery-rig.ts';
import type { MxAction, MxScript, MxStage } from '../support/mx-server.ts';
import { makePair } from '../support/pair.ts';
import { sized } from '../support/size.ts';

const STAGES: readonly MxStage[] = [
  'greeting',
  'EHLO',
  'STARTTLS',
  'handshake',
  'MAIL',
  'RCPT',
  'DATA',
  'content',
  'message',
  'RSET',
];
const ACTIONS: readonly MxAction[] = [
  '250 2.0.0 Ok',
  '354 go on',
  '421 4.3.2 Bye',
  '450 4.2.1 Later',
  '451 4.7.1 Later',
  '550 5.1.1 No',
  '552 5.2.2 Full',
  '999 what',
  'close',
  'hang',
  { raw: '250' },
  { raw: '250-half\r\n' },
  { raw: '250 one\r\n250 two\r\n' },
  { raw: '\r\n' },
  { raw: Buffer.from([0, 255, 10, 13, 10]) },
  { reply: '250 2.0.0 Ok', thenClose: true },
  { trickle: '250 2.0.0 Ok\r\n', every: 5 },
];
/** A host may end the session while the content comes. A host that both accepts and refuses one message lies, which cannot be detected. */
const ENDINGS: readonly MxAction[] = [
  'close',
  'hang',
  { reply: '552 5.3.4 Too big', thenClose: true },
  { reply: '421 4.3.2 Bye', thenClose: true },
];
const SHORT = 150;

/** The same numbers for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test.each(sized([1, 2, 3], [1]))('seed %i', async (seed) => {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const sometimes = (actions: readonly MxAction[]) => () => (next() < 0.12 ? pick(actions) : undefined);
  const script = {
    ...Object.fromEntries(STAGES.map((stage) => [stage, sometimes(ACTIONS)])),
    content: sometimes(ENDINGS),
  } as MxScript;
  const tls = await makePair();
  const { relay, hosts } = await startRig({
    hosts: [
      { script, tls },
      { script, extensions: ['8BITMIME'] },
    ],
    delivery: {
      timeouts: { connect: SHORT, greeting: SHORT, command: SHORT, data: SHORT, block: SHORT, dot: SHORT },
      now: clock(),
    },
  });
  const sent: { address: string; kind: string }[] = [];
  for (let round = 0; round < 40; round++) {
    const batch = Array.from({ length: 4 }, async (_, i) => {
      const addresses = Array.from({ length: 1 + Math.floor(next() * 3) }, (_, n) => `r${round}.${i}.${n}@good.test`);
      const outcomes = await relay.send(addresses, {
        text: `Subject: ${round}.${i}\r\n\r\n${'x'.repeat(Math.floor(next() * 5000))}\r\n`,
      });
      expect(outcomes).toHaveLength(addresses.length);
      for (const [n, { kind }] of outcomes.entries()) sent.push({ address: addresses[n]!, kind });
    });
    await Promise.all(batch);
  }
  const arrived = hosts.flatMap((host) => host.messages.flatMap(({ recipients }) => recipients.map(({ address }) => address)));
  for (const { address, kind } of sent) {
    const copies = arrived.filter((name) => name === address).length;
    if (kind === 'relayed') expect(`${address} ${copies}`).toBe(`${address} 1`);
    else if (kind === 'failed' || kind === 'returned') expect(`${kind} ${address} ${copies}`).toBe(`${kind} ${address} 0`);
  }
  const kinds = new Set(sent.map(({ kind }) => kind));
  expect(kinds).toContain('relayed');
  expect(kinds).toContain('delayed');
  expect(kinds).toContain('failed');
});

/** A clock that leaps, so that no rest lasts. */
function clock(): () => number {
  let now = 1_000_000;
  return () => (now += 120_000);
}
