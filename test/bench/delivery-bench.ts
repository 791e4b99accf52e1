/**
 * What a delivered message costs this process: our client with all that is around it (resolving, pacing, pool, verdict), and
 * nodemailer's lib/smtp-connection alone, both on kept plain connections to a trivial sink in a process of its own.
 *
 *     node test/bench/delivery-bench.ts [messages] [size]
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { deadlines } from '../../src/delivery/connection.ts';
import { type DeliverySession, openSession, type Target } from '../../src/delivery/session.ts';
import { createEncryption, tlsPolicy } from '../../src/delivery/tls.ts';
import { transact } from '../../src/delivery/transaction.ts';
import { createEventLog } from '../../src/events/events.ts';
import { createLog } from '../../src/system/log.ts';
import { claimOf, inline, startTestDelivery, TIMEOUTS } from '../support/delivery.ts';
import { startDns } from '../support/dns.ts';
import { row } from './rows.ts';

const MESSAGES = Number(process.argv[2] ?? 20_000);
const SIZE = Number(process.argv[3] ?? 4096);
const PARALLEL = 20;
const SINK = '--sink';

if (process.argv[2] === SINK) runSink();
else await runBench();

async function runBench(): Promise<void> {
  const sink = fork(fileURLToPath(import.meta.url), [SINK]);
  const [port] = (await once(sink, 'message')) as [number];
  const text = `From: a@sender.test\r\nSubject: bench\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(Math.ceil(SIZE / 78))}`.slice(
    0,
    SIZE - 2,
  );
  const body = `${text}\r\n`;
  for (let round = 0; round < 3; round++) {
    await ours(port, body, 'unknown');
    await ours(port, body, 'of providers');
    await ours(port, body, 'of providers, beside one that takes 60 a minute');
    await ourSessions(port, body);
    await nodemailers(port, body);
  }
  end(sink);
}

/** Known hosts belong to ten providers with wide limits, so that the cost of providers is seen and not their limits. */
async function ours(port: number, body: string, hosts: string): Promise<void> {
  const zone = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [
      [`d${i}.test`, { MX: [`10 mx.d${i}.p${i % 10}.test`] }],
      [`mx.d${i}.p${i % 10}.test`, { A: [`127.0.2.${i + 1}`] }],
    ]).flat(),
  );
  const slow = { 'slow.test': { MX: ['10 mx.slow.test'] }, 'mx.slow.test': { A: ['127.0.2.200'] } };
  const dns = await startDns({ ...zone, ...slow } as Parameters<typeof startDns>[0]);
  const folder = mkdtempSync(join(tmpdir(), 'delivery-bench-'));
  const providers = join(folder, 'providers.tsv');
  const wide = Array.from({ length: 10 }, (_, i) => `p${i}\tp${i}.test\t1000\t10000\t10000`);
  writeFileSync(providers, [...wide, 'slow\tmx.slow.test\t5\t50\t60'].join('\n'));
  const relay = await startTestDelivery(dns, { port, ...(hosts !== 'unknown' && { providers }) });
  const { signal } = new AbortController();
  const content = inline(body);
  const send = async (to: string) => (await relay.deliver(claimOf(relay, to, { content }), signal))[0]!;
  const worker = (n: number) => async (count: number) => {
    for (let i = 0; i < count; i++) {
      const outcome = await send(`bob@d${(n * 5 + (i % 5)) % 100}.test`);
      if (outcome.kind !== 'relayed') throw new Error(JSON.stringify(outcome));
    }
  };
  let done = false;
  const beside = async () => {
    while (!done) if ((await send('bob@slow.test')).kind !== 'relayed') await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const others = hosts.includes('beside') ? Array.from({ length: 5 }, beside) : [];
  await measure(`ours, 100 domains, hosts ${hosts}`, worker);
  done = true;
  await relay.close();
  await Promise.all(others);
  await dns.close();
  rmSync(folder, { recursive: true });
}

/** The conversation alone, as nodemailer's is measured. */
async function ourSessions(port: number, body: string): Promise<void> {
  const content = inline(body);
  const encryption = createEncryption(undefined);
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const context = { hostname: 'relay.example.net', timeouts: deadlines(TIMEOUTS), encryption, log };
  const clear = { kind: 'connect', tls: 'never', assurance: 'clear', keyword: false, isSts: false, key: 'none' } as const;
  const basis = {
    domain: 'good.test',
    dane: { kind: 'none', why: 'off' },
    mayBeProven: false,
    isHidden: false,
    asksDane: true,
    isDecidedByDane: false,
    isCounted: false,
    isStrict: false,
  } as const;
  const target: Target = { mx: 'good.test', ip: '127.0.0.1', family: 4, port, tls: tlsPolicy(clear, 'good.test'), basis };
  const open = () => openSession(target, context, { later: false }) as Promise<DeliverySession>;
  const sessions = await Promise.all(Array.from({ length: PARALLEL }, open));
  const message = { reversePath: 'alice@sender.test', body: '7BIT', needsSmtpUtf8: false } as const;
  await measure('ours, conversation alone', (n) => async (count) => {
    for (let i = 0; i < count; i++) {
      const manner = { eightBit: 'send', bare: false } as const;
      const judged = await transact(sessions[n]!, { message, content }, [{ address: 'bob@good.test' }], manner);
      if (judged === 'stale' || judged[0]!.verdict.kind !== 'relayed') throw new Error(JSON.stringify(judged));
    }
  });
  for (const { connection } of sessions) connection.destroy();
}

async function nodemailers(port: number, body: string): Promise<void> {
  const content = Buffer.from(body);
  const connections = await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      const connection = new SMTPConnection({
        host: '127.0.0.1',
        port,
        secure: false,
        ignoreTLS: true,
        name: 'relay.example.net',
      });
      await new Promise<void>((done) => connection.connect(() => done()));
      return connection;
    }),
  );
  await measure('nodemailer lib/smtp-connection', (n) => async (count) => {
    const envelope = { from: 'alice@sender.test', to: ['bob@good.test'], size: content.length };
    for (let i = 0; i < count; i++) {
      await new Promise<void>((done, fail) =>
        connections[n]!.send(envelope, content, (error: Error | null) => (error ? fail(error) : done())),
      );
    }
  });
  for (const connection of connections) connection.on('error', () => {}).close();
}

async function measure(name: string, worker: (n: number) => (count: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: PARALLEL }, (_, n) => worker(n)(50))); // warm
  const cpu = process.cpuUsage();
  const began = performance.now();
  await Promise.all(Array.from({ length: PARALLEL }, (_, n) => worker(n)(MESSAGES / PARALLEL)));
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - began) / 1000;
  row('delivery', name, (user + system) / MESSAGES, 'µs CPU');
  row('delivery', `${name}, system`, system / MESSAGES, 'µs CPU');
  row('delivery', name, MESSAGES / seconds, 'messages/s');
}

/** Answers without looking closer than it must. */
function runSink(): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.write('220 sink\r\n');
    socket.on('error', () => {});
    socket.on('data', sinkReader(socket));
  });
  server.listen(0, '0.0.0.0', () => process.send!((server.address() as { port: number }).port));
}

function sinkReader(socket: Socket): (chunk: Buffer) => void {
  let content = false;
  let tail = '';
  return (chunk) => {
    if (content) {
      tail = (tail + chunk.toString('latin1')).slice(-5);
      if (tail !== '\r\n.\r\n') return;
      content = false;
      socket.write('250 2.0.0 Ok\r\n');
      return;
    }
    const text = chunk.toString('latin1');
    let answer = '';
    for (const line of text.split('\r\n').slice(0, -1)) {
      if (line.startsWith('EHLO')) answer += '250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n';
      else if (line === 'DATA') {
        answer += '354 go\r\n';
        content = true;
        tail = '\r\n';
      } else answer += '250 2.1.0 Ok\r\n';
    }
    socket.write(answer);
  };
}

function end(sink: ChildProcess): void {
  sink.kill();
}
