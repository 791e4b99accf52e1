/** A disk that gets full: new mail is refused for now, accepted mail is delivered, and the space is enough to continue. Attacks L04. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insideOf, onSmallDisk } from '../support/namespace.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { type Result, run, until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { submit } from '../support/smtp-send.ts';

const present = requirePeer('mount namespaces', hasMountNamespaces() && hasCommand('nsenter', 'dd', 'df'));
const FROM = 'app@sender.test';
const KIB = 1024;

let scenario: Scenario;
let data: string;
beforeAll(async () => {
  if (!present) return;
  scenario = await startScenario({ settings: { queue: { retry: ['1s'], minFree: '6MiB' } } });
  data = join(scenario.relay.folder, 'data');
  await scenario.relay.stop();
  await scenario.relay.start(onSmallDisk(data, '24m'));
});
afterAll(() => scenario?.close());

/** Runs a command where the relay's disk is seen. */
function inside(...command: readonly string[]): Promise<Result> {
  const [nsenter, ...args] = [...insideOf(scenario.relay.pid()), ...command];
  return run(nsenter!, args);
}

/** Fills the disk until this number of bytes is left. */
async function leave(bytes: number): Promise<void> {
  const filler = join(data, 'filler');
  await inside('rm', '-f', filler);
  const free = Number((await inside('df', '--output=avail', '-B1', data)).stdout.split('\n')[1]);
  const blocks = Math.floor((free - bytes) / KIB);
  await inside('dd', 'if=/dev/zero', `of=${filler}`, 'bs=1K', `count=${blocks}`);
}

/** @returns the reply to the final dot, or to the command that was refused */
function send(token: string, size = 800): Promise<string> {
  const { relay, user, password } = scenario;
  const message = `From: <${FROM}>\r\nTo: <anna@dest.test>\r\nSubject: ${token}\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(size / 80)}`;
  const account = { address: relay.address, port: relay.ports.submissions, user, password };
  return submit({ ...account, from: FROM, to: ['anna@dest.test'], message }).catch((error: Error & { response?: string }) => {
    if (error.response === undefined) throw error;
    return error.response;
  });
}

/** Sends until the relay answers so. @returns the tokens that were answered 250 on the way */
async function untilAnswered(pattern: RegExp, size?: number): Promise<string[]> {
  const accepted: string[] = [];
  const answered = async () => {
    const token = randomUUID();
    const reply = await send(token, size);
    if (reply.startsWith('250')) accepted.push(token);
    return pattern.test(reply);
  };
  await until(`an answer like ${pattern}`, answered, { context: () => scenario.relay.output().slice(-3000) });
  return accepted;
}

describe.skipIf(!present)('a disk that gets full', () => {
  test('with too little free space MAIL gets 452 4.3.1, and mail is accepted again when there is space', async () => {
    await leave(5 * 1024 * KIB);
    const before = await untilAnswered(/^452 4\.3\.1/);
    await scenario.relay.event('refused', ({ verb, code, status }) => verb === 'MAIL' && code === 452 && status === '4.3.1');
    await leave(16 * 1024 * KIB);
    const after = await untilAnswered(/^250/);
    for (const token of [...before, ...after]) await scenario.delivered(token);
  });

  test('full at once, while mail comes in: refused for now, the relay lives, and each 250 is kept', async () => {
    await leave(10 * 1024 * KIB);
    await untilAnswered(/^250/);
    const accepted: string[] = [];
    const refused: string[] = [];
    const client = async () => {
      for (let i = 0; i < 15; i++) {
        const token = randomUUID();
        const reply = await send(token, i % 3 === 0 ? 400_000 : 8000);
        if (reply.startsWith('250')) accepted.push(token);
        else refused.push(reply);
        if (accepted.length === 6) await leave(0); // no moment for the watermark to notice
      }
    };
    await Promise.all([client(), client(), client()]);
    expect(refused.length).toBeGreaterThan(0);
    for (const reply of refused) expect(reply).toMatch(/^452 4\.3\.1 /);
    expect(scenario.relay.running()).toBe(true);
    await leave(16 * 1024 * KIB);
    accepted.push(...(await untilAnswered(/^250/)));
    for (const token of accepted) await scenario.delivered(token);
    for (const { data } of scenario.mx.messages) expect(data.subarray(-2).toString()).toBe('\r\n');
    const spool = async () => (await inside('ls', join(data, 'spool'))).stdout.trim();
    await until('an empty spool', async () => (await spool()) === '', { context: () => scenario.relay.output().slice(-5000) });
  }, 60_000);
});
