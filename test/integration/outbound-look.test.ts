/** If outbound port 25 is blocked, the relay says so when it starts. */
import { expect, onTestFinished, test } from 'vitest';
import type { SmtpAnswer, SmtpTarget } from '../../src/doctor/smtp-probe.ts';
import { startTestRelay, type TestRelayOptions } from '../support/relay.ts';

const ZONE = { 'big.test': { MX: ['10 mx.big.test'] }, 'mx.big.test': { A: ['203.0.113.9'] } };
const DOCTOR = 'doctor: { destinations: [big.test] }\n';

/** A relay whose checks of mail servers are answered by the test. */
async function start(
  answer: Partial<SmtpAnswer> | Promise<Partial<SmtpAnswer>>,
  options: TestRelayOptions = {},
  doctor = DOCTOR,
) {
  const asked: SmtpTarget[] = [];
  const relay = await startTestRelay({
    zone: ZONE,
    ...options,
    yaml: doctor + (options.yaml ?? ''),
    probe: async (target) => {
      asked.push(target);
      return { heardAt: 0, ...(await answer) };
    },
  });
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= relay.close());
  onTestFinished(close);
  return { ...relay, asked, close };
}

test('a port without an answer is reported with what to do, after the start', async () => {
  const { logged, log, asked } = await start({ failure: 'ETIMEDOUT' });
  const warned = await logged('outbound25');
  expect(warned).toMatchObject({
    level: 'warn',
    family: 'IPv4',
    found: 'mx.big.test [203.0.113.9]: no answer (timeout)',
    advice: expect.stringMatching(/Your provider most likely blocks.*`routes`/),
  });
  expect(log.indexOf(warned)).toBeGreaterThan(log.findIndex(({ event }) => event === 'started'));
  expect(asked).toMatchObject([{ address: '203.0.113.9', hostname: 'relay.test', tls: 'none' }]);
  expect(asked[0]!.timeout).toBeLessThanOrEqual(10_000);
});

test('neither the start nor the stop waits for it', async () => {
  const { close, asked } = await start(new Promise(() => {}));
  await expect.poll(() => asked.length).toBe(1);
  expect(asked[0]!.signal!.aborted).toBe(false);
  await close();
  expect(asked[0]!.signal!.aborted).toBe(true);
});

/** Each relay reloads, so that a second look would be seen; the log is complete when it has ended. */
test.each<readonly [string, Partial<SmtpAnswer>, TestRelayOptions, number]>([
  ['a server greets', { greeting: ['220 mx.big.test'] }, {}, 1],
  ['the DNS does not know the destinations', { failure: 'ETIMEDOUT' }, { zone: {} }, 0],
  ['all mail goes to another relay', { failure: 'ETIMEDOUT' }, { yaml: "routes: [{ hosts: ['127.0.0.1:MX_PORT'] }]" }, 0],
])('nothing is said where %s', async (_, answer, options, looks) => {
  const { asked, log, reload, close, logged } = await start(answer, options);
  await expect.poll(() => asked.length).toBe(looks);
  await reload();
  await logged('reloaded');
  await close();
  expect(asked).toHaveLength(looks);
  expect(log.filter(({ event }) => event === 'outbound25')).toEqual([]);
});

test('with a route for some mail only, port 25 is still checked', async () => {
  const yaml = "routes: [{ recipientDomain: other.test, hosts: ['127.0.0.1:MX_PORT'] }]";
  const { logged } = await start({ failure: 'ECONNREFUSED' }, { yaml });
  expect(await logged('outbound25')).toMatchObject({ advice: expect.stringMatching(/firewall/) });
});

test('without destinations there is no check', async () => {
  const { asked, reload } = await start({ failure: 'ETIMEDOUT' }, {}, 'doctor: { destinations: [] }\n');
  await reload();
  expect(asked).toEqual([]);
});
