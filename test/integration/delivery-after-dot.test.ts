/**
 * A host may reply or reset as soon as it has the final dot, while this process is busy and does not know yet that its last write was
 * sent. If this counted as a reply in the middle of the text, the next host would get a second copy: RFC 1047.
 */
import { Worker } from 'node:worker_threads';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { HOUR } from '../../src/system/clock.ts';
import { inline, startTestDelivery } from '../support/delivery.ts';
import { startDns } from '../support/dns.ts';
import { makePair, type Pair } from '../support/pair.ts';
import { sized } from '../support/size.ts';

/** In a thread of its own, so that it answers while we are busy. */
const HOST = `
const { createServer } = require('node:net');
const { TLSSocket } = require('node:tls');
const { parentPort, workerData: { pair, then } } = require('node:worker_threads');
const server = createServer({ noDelay: true }, (plain) => {
  function serve(socket) {
    let text = '';
    let inText = false;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (inText) {
        text = text.slice(-4) + chunk.toString('latin1');
        if (!text.endsWith('\\r\\n.\\r\\n')) return;
        inText = false;
        text = '';
        if (then === 'answer') socket.write('250 2.0.0 Ok\\r\\n');
        else plain.resetAndDestroy();
        return;
      }
      text += chunk.toString('latin1');
      for (let end; (end = text.indexOf('\\r\\n')) >= 0 && !inText; ) {
        const verb = text.slice(0, 4);
        text = text.slice(end + 2);
        if (verb === 'EHLO') socket.write(socket !== plain || pair === undefined ? '250 PIPELINING\\r\\n' : '250-mx\\r\\n250 STARTTLS\\r\\n');
        else if (verb === 'STAR') {
          socket.removeAllListeners('data');
          socket.write('220 go\\r\\n');
          serve(new TLSSocket(socket, { isServer: true, ...pair }));
          return;
        } else if (verb === 'DATA') {
          inText = true;
          socket.write('354 go\\r\\n');
        } else socket.write('250 2.0.0 Ok\\r\\n');
      }
    });
  }
  plain.write('220 mx\\r\\n');
  serve(plain);
});
server.listen(0, '127.0.3.1', () => parentPort.postMessage(server.address().port));
`;

let pair: Pair;
beforeAll(async () => {
  pair = await makePair('mx0.good.test');
});

async function startHost(workerData: { readonly pair: Pair | undefined; readonly then: 'answer' | 'reset' }): Promise<number> {
  const worker = new Worker(HOST, { eval: true, workerData });
  onTestFinished(async () => void (await worker.terminate()));
  return new Promise((resolve) => void worker.once('message', resolve));
}

/** Keeps this thread from looking at its sockets most of the time. */
function beBusy(): void {
  let busy = true;
  const spin = () => {
    for (const end = performance.now() + 2; performance.now() < end; );
    if (busy) setImmediate(spin);
  };
  spin();
  onTestFinished(() => void (busy = false));
}

/** Around the sizes at which TLS and the system cut what they send. */
const STEP = sized(4096, 16_384, 4096);
const SIZES = Array.from({ length: (64 * 4096) / STEP }, (_, i) => 1000 + i * STEP);

test.each([
  ['tls', 'answer', 'relayed'],
  ['tls', 'reset', 'uncertain'],
  ['clear text', 'answer', 'relayed'],
  ['clear text', 'reset', 'uncertain'],
] as const)('over %s: %s behind the final dot is %s', async (way, then, kind) => {
  const port = await startHost({ then, pair: way === 'tls' ? pair : undefined });
  const dns = await startDns({ 'good.test': { MX: ['10 mx0.good.test'] }, 'mx0.good.test': { A: ['127.0.3.1'] } });
  let now = Date.now();
  const relay = await startTestDelivery(dns, { port, now: () => now });
  onTestFinished(async () => {
    await relay.close();
    await dns.close();
  });
  beBusy();
  for (const size of SIZES) {
    now += 2 * HOUR; // past every rest
    const content = inline(`Subject: large\r\n\r\n${'x'.repeat(size)}\r\n`);
    expect([size, (await relay.send('a@good.test', { content }))[0]!.kind]).toEqual([size, kind]);
  }
});
