/** Large messages stream: the memory for many of them does not depend on their size. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDns } from '../support/dns.ts';
import { type MxServer, startMxServer } from '../support/mx-server.ts';
import { openClient } from '../support/relay.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { testThreads } from '../support/threads.ts';

/** 40 of 12 MB would be 480 MB if they were held whole. `LARGE_MB=150` is the size that the big providers announce. */
const MEGABYTES = Number(process.env['LARGE_MB'] ?? 12);
const PARALLEL = 40;
const MIB = 1024 * 1024;
/** A thread of sessions has a heap and buffers of its own. */
const LIMIT = (400 + (testThreads() > 1 ? 50 * testThreads() : 0)) * MIB;

let relay: RelayProcess;
let mx: MxServer;
let dns: Awaited<ReturnType<typeof startDns>>;

beforeAll(async () => {
  mx = await startMxServer({ hostname: 'mx.dest.test', keep: 1 });
  dns = await startDns({ 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: ['127.0.0.1'] } });
  relay = await prepareRelay({
    dns: dns.server,
    deliveryPort: mx.port,
    settings: { submission: { maxMessageSize: '200MiB' }, delivery: { concurrency: 4 } },
  });
  await relay.addUser('app@sender.test', 'a password');
  await relay.addDomain('sender.test');
  await relay.start();
});
afterAll(async () => {
  await relay?.close();
  await Promise.all([mx?.close(), dns?.close()]);
});

/** The most memory that the process ever held, and what it holds open now. */
function peakMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

async function sendLarge(line: Buffer): Promise<string> {
  const client = await openClient(relay.ports.submissions, { tls: true });
  await client.login('app@sender.test', 'a password');
  for (const command of ['MAIL FROM:<app@sender.test>', 'RCPT TO:<anna@dest.test>', 'DATA']) await client.command(command);
  client.send('From: app@sender.test\r\nSubject: large\r\n\r\n');
  for (let i = 0; i < MEGABYTES; i++) {
    if (!client.socket.write(line)) await new Promise((drained) => client.socket.once('drain', drained));
  }
  const reply = await client.command('.');
  client.close();
  return reply;
}

test(`${PARALLEL} messages of ${MEGABYTES} MB at once keep the process under 400 MB`, { timeout: 600_000 }, async () => {
  const line = Buffer.alloc(MIB, `${'x'.repeat(126)}\r\n`);
  const replies = await Promise.all(Array.from({ length: PARALLEL }, () => sendLarge(line)));
  expect(replies.filter((reply) => !reply.startsWith('250 '))).toEqual([]);
  await mx.received(PARALLEL, 500_000);
  expect(mx.messages.at(-1)!.data.length).toBeGreaterThan(MEGABYTES * MIB);
  const { pid } = relay.events('started')[0]!;
  expect(peakMemory(pid as number)).toBeLessThan(LIMIT);
  await expect.poll(() => readdirSync(join(relay.folder, 'data/spool')), { timeout: 20_000 }).toEqual([]); // nothing of them is left
  if (process.env['LARGE_MB']) console.log(`peak ${(peakMemory(pid as number) / MIB).toFixed(0)} MiB`);
});
