/** `smarthost doctor` on mail that waits because of a TLS policy, and on the exceptions of the configuration. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aMessage, type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench(
    "dns: { servers: ['127.0.0.1:9'] }\ndoctor: { destinations: [], blockLists: [] }\ndestinations: [{ domain: a.test, ignore: [dane], until: 2099-01-01 }]",
  );
});
afterEach(() => bench.close());

const POLICY =
  '451 4.7.5 mx.slow.test [192.0.2.1] does not meet its own DANE policy (RFC 7672): the certificate matches no TLSA record';
const OTHER = '451 4.7.1 Try later';

test('each domain is named once with its recipients and the last reply, and other delays are not', async () => {
  await bench.withStore(async ({ messages }) => {
    for (const [recipient, reply] of [
      ['a@slow.test', POLICY],
      ['b@Slow.test', POLICY],
      ['c@busy.test', OTHER],
    ] as const) {
      const message = aMessage([recipient]);
      await messages.accept({ message });
      const { destination } = message.recipients[0]!;
      await messages.claim({ destination, now: Date.now() + 1000, limit: 1, lease: 'test#1' });
      const where = { at: Date.now(), mx: 'mx.slow.test', ip: '192.0.2.1', tls: null, seconds: 1 } as const;
      const attempt = { ...where, outcome: 'delayed', code: 451, status: '4.7.5', reply } as const;
      const change = { n: 0, state: 'delayed', nextAttemptAt: Date.now() + 60_000, lastReply: reply, attempt } as const;
      await messages.settle({ messageId: message.id, lease: 'test#1', at: Date.now(), changes: [change] });
    }
  });
  const { out } = await bench.run(['doctor', '--json']);
  const findings = (JSON.parse(out) as { check: string }[]).filter(({ check }) =>
    ['policyDelays', 'tlsExceptions'].includes(check),
  );
  expect(findings).toMatchObject([
    { check: 'tlsExceptions', subject: 'domain: a.test', result: 'warning', found: 'DANE is ignored, until 2099-01-01' },
    { check: 'policyDelays', subject: 'slow.test', result: 'warning', found: `2 recipients wait: ${POLICY}` },
  ]);
});

test('a domain is named also where its mail is behind more than a thousand other delayed messages', async () => {
  await bench.withStore(async ({ messages }) => {
    const addresses = [...Array.from({ length: 1001 }, () => 'a@busy.test'), 'b@slow.test'];
    await Promise.all(addresses.map((address) => messages.accept({ message: aMessage([address]) })));
    for (const [destination, reply] of [
      ['busy.test', OTHER],
      ['slow.test', POLICY],
    ] as const) {
      const claims = await messages.claim({ destination, now: Date.now() + 1000, limit: 2000, lease: 'test#1' });
      const change = { n: 0, state: 'delayed', nextAttemptAt: Date.now() + 60_000, lastReply: reply } as const;
      await Promise.all(
        claims.map(({ message }) =>
          messages.settle({ messageId: message.id, lease: 'test#1', at: Date.now(), changes: [change] }),
        ),
      );
    }
  });
  const { out } = await bench.run(['doctor', '--json']);
  const delays = (JSON.parse(out) as { check: string }[]).filter(({ check }) => check === 'policyDelays');
  expect(delays).toMatchObject([{ subject: 'slow.test', found: `1 recipients wait: ${POLICY}` }]);
});
