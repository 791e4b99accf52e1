/** A relay that is killed at a chosen system call loses no mail that it answered 250, and starts again with its data: RFC 5321 §6.1. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCommand, requirePeer, succeeds } from '../support/peers.ts';
import { until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { sized } from '../support/size.ts';
import { submit } from '../support/smtp-send.ts';

const traces = () => hasCommand('strace') && succeeds('strace', ['-f', '-qq', '-o', '/dev/null', 'true']);
const present = requirePeer('strace', traces());
const FROM = 'app@sender.test';
const SECOND = 1000;

let scenario: Scenario;
beforeAll(async () => {
  if (!present) return;
  scenario = await startScenario();
  await scenario.relay.stop();
});
afterAll(() => scenario?.close());

/** Kills the whole process at the n-th of these calls. */
const dyingAt = (calls: string, n: number) => [
  ...['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`],
  ...['-e', `inject=${calls}:signal=KILL:when=${n}`],
];

type Fate = 'died at start' | 'died before 250' | 'died after 250' | 'lived';

/** Starts the relay under strace, sends one message, and kills what is still alive when that is delivered and noted. */
async function crash(under: readonly string[], token: string, size: number): Promise<Fate> {
  const { relay } = scenario;
  const before = relay.events('relayed').length;
  const started = await relay.start(under).then(
    () => true,
    () => false,
  );
  if (!started) return 'died at start';
  const accepted = await send(token, size);
  const over = () => !relay.running() || (accepted && relay.events('relayed').length > before);
  await until(`${token} delivered, or a crash`, over, { deadline: 15 * SECOND, context: relay.output });
  if (!accepted) return 'died before 250';
  // the notes after a delivery follow within a moment, and may be its last call
  await until('a crash', () => !relay.running(), { deadline: SECOND / 2 }).catch(() => {});
  return relay.running() ? 'lived' : 'died after 250';
}

/** @returns true when it was answered 250 */
function send(token: string, size: number): Promise<boolean> {
  const { relay, user, password } = scenario;
  const header = `From: <${FROM}>\r\nTo: <anna@dest.test>\r\nSubject: ${token}\r\n\r\n`;
  const message = header + `${'x'.repeat(78)}\r\n`.repeat(size / 80);
  const account = { address: relay.address, port: relay.ports.submissions, user, password };
  return submit({ ...account, from: FROM, to: ['anna@dest.test'], message }).then(
    () => true,
    () => false,
  );
}

/** Starts after a crash, and waits until no mail waits any more. */
async function recover(): Promise<void> {
  const { relay } = scenario;
  await relay.start();
  const empty = async () => (await relay.command(['queue', 'list', '--json'])).trim() === '[]';
  await until('an empty queue', empty, { context: relay.output });
  expect(await relay.stop()).toBe(0);
}

/** One crash, one recovery, and what must be true after it. */
async function crashAndRecover(calls: string, n: number): Promise<Fate> {
  const token = `crash-${calls}-${n}-`;
  const size = n % 2 === 0 ? 800 : 400_000;
  const fate = await crash(dyingAt(calls, n), token, size);
  await scenario.relay.stop('SIGKILL');
  await recover();
  const arrived = scenario.mx.messages.filter(({ data }) => data.includes(`Subject: ${token}\r\n`));
  const context = `${token} ${fate}\n${scenario.relay.output().slice(-3000)}`;
  if (fate === 'died after 250' || fate === 'lived') expect(arrived.length, context).toBeGreaterThan(0);
  expect(arrived.length, context).toBeLessThanOrEqual(2);
  for (const { data } of arrived) expect(data.length - data.indexOf('\r\n\r\n') - 4, context).toBe(size);
  return fate;
}

describe.skipIf(!present)('killed at a system call', () => {
  // first come the calls of a start, then those of acceptance, then those that note the delivery: up to a run that makes fewer
  test.each([['fsync,fdatasync', 1] as const, ...sized([['pwrite64', 5] as const], [])])(
    '%s: what was answered 250 arrives, whole, whichever call was the last',
    async (calls, step) => {
      const fates: Fate[] = [];
      for (let n = 1; n < 100 && fates.at(-1) !== 'lived'; n += step) fates.push(await crashAndRecover(calls, n));
      // the sweep proves something only when it met every phase
      expect(new Set(fates)).toEqual(new Set(['died at start', 'died before 250', 'died after 250', 'lived']));
    },
    600_000,
  );
});
