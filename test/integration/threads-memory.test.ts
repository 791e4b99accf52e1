/** What a relay with four threads needs while nothing happens. Machines of 512 MB run it. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { startDns } from '../support/dns.ts';
import { prepareRelay } from '../support/relay-process.ts';

const MIB = 1024 * 1024;

/** Memory of the process, with its part of what it shares. */
function proportional(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))![1]) * 1024;
}

test('four threads need no more than 36 MB each', async () => {
  const dns = await startDns({});
  const relay = await prepareRelay({ dns: dns.server, deliveryPort: 1, env: { SMARTHOST_THREADS: '4' } });
  onTestFinished(async () => {
    await relay.close();
    await dns.close();
  });
  // The first start after an upgrade also has the TypeScript compiler in memory, in each thread. Its result is kept for the next starts.
  await relay.start();
  await relay.stop();
  await relay.start();
  expect(readFileSync(`/proc/${relay.pid()}/status`, 'utf8')).toContain('Threads:');
  // The heap shrinks in the first seconds.
  await expect.poll(() => proportional(relay.pid()) / MIB, { timeout: 60_000, interval: 1000 }).toBeLessThan(112 + 4 * 36);
});
