/**
 * Does the time of an answer tell a known user from an unknown one (A05, behaviour rule 4)? Welch's t test over 2000 wrong
 * logins, known and unknown names in random order. Run it by `npm run test:timing`; it ends with 1 where the answer is yes.
 */

import { RawClient } from '../support/raw-client.ts';
import { startTestRelay, USER } from '../support/relay.ts';
import { quantile, type Sample, welch } from '../support/sample.ts';

const TRIES = Number(process.env['TIMING_TRIES'] ?? 2000);
/** What side-channel work takes for a difference: one chance in 100 000 where there is none. */
const LIMIT = 4.5;
const MEDIANS = 0.05;

/** Milliseconds of one wrong login. */
async function time(client: RawClient, user: string, n: number): Promise<number> {
  const line = `AUTH PLAIN ${Buffer.from(`\0${user}\0wrong password ${n}`).toString('base64')}`;
  const began = performance.now();
  const reply = await client.ask(line);
  const took = performance.now() - began;
  if (!reply.startsWith('535 5.7.8')) throw new Error(reply);
  return took;
}

async function measure(port: number): Promise<{ known: number[]; unknown: number[] }> {
  const times = { known: [] as number[], unknown: [] as number[] };
  for (let i = 0; i < TRIES; i += 2) {
    const client = await RawClient.tls(port);
    await client.reply();
    await client.ask('EHLO client.test');
    // As often the one first as the other; each name is as long as the other, and asked for as often.
    const order = Math.random() < 0.5 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const);
    for (const kind of order) times[kind].push(await time(client, kind === 'known' ? USER : 'xyz@sender.test', i));
    client.close();
  }
  return times;
}

function report(name: string, known: Sample, unknown: Sample): boolean {
  const t = welch(known, unknown);
  const medians = quantile(known, 0.5) / quantile(unknown, 0.5) - 1;
  const passed = Math.abs(t) < LIMIT && Math.abs(medians) < MEDIANS;
  const figures = [
    `t = ${t.toFixed(2)}`,
    `medians ${quantile(known, 0.5).toFixed(2)} and ${quantile(unknown, 0.5).toFixed(2)} ms`,
  ];
  console.log(`${passed ? 'ok  ' : 'FAIL'} ${name}: ${figures.join(', ')}, ${(100 * medians).toFixed(1)} %`);
  return passed;
}

const relay = await startTestRelay({ yaml: 'auth: { allow: [127.0.0.0/8], failureDelay: 0s }\nlog: { level: error }' });
const { known, unknown } = await measure(relay.ports.submissions);
await relay.close();
const fastest = (list: Sample) => list.filter((one) => one <= quantile([...known, ...unknown], 0.75));
const passed = [report('all', known, unknown), report('the faster three quarters', fastest(known), fastest(unknown))];
process.exitCode = passed.every(Boolean) ? 0 : 1;
