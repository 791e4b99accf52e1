/** A relay that is killed again and again loses no mail that it answered 250: RFC 5321 §6.1. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { sized } from '../support/size.ts';

const MESSAGES = sized(1000, 200, 500);
const CLIENTS = 8;
const KILLS = sized(10, 3, 5);
const SECOND = 1000;
/** What was relayed shortly before a crash may not be noted yet: its attempt was in flight. */
const IN_FLIGHT = 2 * SECOND;
/** Set it to see a run again: moments depend on the machine, the plan does not. */
const SEED = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario();
});
afterAll(() => scenario?.close());

/** One message of the run, and what its client knows about it. */
type Job = { readonly token: string; readonly message: Buffer; tries: number; accepted: boolean };

/** mulberry32: small, even enough, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function makeJobs(random: () => number): Job[] {
  return Array.from({ length: MESSAGES }, (_, i) => {
    const token = `kill-${SEED}-${String(i).padStart(4, '0')}`;
    // mostly small, some that go to the spool
    const size = i % 50 === 0 ? 400_000 : Math.floor(random() * 8000);
    const body = `${token} ${'x'.repeat(70)}\r\n`.repeat(1 + Math.ceil(size / 90));
    const header = `From: <app@sender.test>\r\nTo: <anna@dest.test>\r\nSubject: ${token}\r\n\r\n`;
    return { token, message: Buffer.from(header + body), tries: 0, accepted: false };
  });
}

/** Runs jobs until none is left. A job without 250 is tried again, as an application would do. */
async function client(jobs: Job[]): Promise<void> {
  let connection: SMTPConnection | undefined;
  for (let job = jobs.shift(); job !== undefined; ) {
    try {
      connection ??= await login();
      job.tries++;
      await send(connection, job);
      job.accepted = true;
      job = jobs.shift();
    } catch {
      connection?.close();
      connection = undefined;
      await sleep(50);
    }
  }
  connection?.quit();
}

async function login(): Promise<SMTPConnection> {
  const { relay, user, password } = scenario;
  const options = { host: relay.address, port: relay.ports.submissions, secure: true, tls: { rejectUnauthorized: false } };
  const connection = new SMTPConnection({ ...options, connectionTimeout: 5 * SECOND, socketTimeout: 20 * SECOND });
  const failed = new Promise<never>((_, reject) => {
    connection.on('error', reject);
    connection.once('end', () => reject(new Error('cut')));
  });
  failed.catch(() => {}); // whoever waits hears of it; later it is no news
  const connected = new Promise<void>((resolve, reject) => {
    connection.connect(() => {
      connection.login({ credentials: { user, pass: password } }, (error) => (error ? reject(error) : resolve()));
    });
  });
  await Promise.race([connected, failed]);
  return connection;
}

/** Resolves on 250; a connection that is cut, and any other reply, rejects. */
function send(connection: SMTPConnection, { message }: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = () => reject(new Error('cut before the reply'));
    connection.once('end', cut);
    connection.send({ from: 'app@sender.test', to: ['anna@dest.test'] }, message, (error) => {
      connection.off('end', cut);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Kills and restarts at moments of the plan. @returns when each kill was */
async function killer(jobs: readonly Job[], random: () => number): Promise<number[]> {
  const accepted = () => jobs.filter((job) => job.accepted).length;
  const plan = Array.from({ length: KILLS }, () => Math.floor(random() * MESSAGES * 0.95)).sort((a, b) => a - b);
  const kills: number[] = [];
  for (const after of plan) {
    await until(`${after} accepted`, () => accepted() >= after, { deadline: 60 * SECOND, context: scenario.relay.output });
    await sleep(Math.floor(random() * 40));
    kills.push(Date.now());
    expect(await scenario.relay.stop('SIGKILL')).toBe('SIGKILL');
    await scenario.relay.start();
  }
  return kills;
}

/** When each token arrived; a body that is not what was sent counts as none. */
function arrivals(jobs: readonly Job[]): Map<string, number[]> {
  const bodyHash = (message: Buffer) =>
    createHash('sha256')
      .update(message.subarray(message.indexOf('\r\n\r\n')))
      .digest('hex');
  const sent = new Map(jobs.map(({ token, message }) => [token, bodyHash(message)]));
  const seen = new Map<string, number[]>();
  for (const { data, receivedAt } of scenario.mx.messages) {
    const token = /^Subject: (\S+)/m.exec(data.toString('latin1', 0, 4096))?.[1] ?? '';
    expect(bodyHash(data), token).toBe(sent.get(token));
    seen.set(token, [...(seen.get(token) ?? []), receivedAt]);
  }
  return seen;
}

test(`${MESSAGES} messages through ${KILLS} kills: each accepted one arrives, only those in flight twice`, async () => {
  console.info(`KILL_SEED=${SEED}`);
  const random = randomFrom(SEED);
  const jobs = makeJobs(random);
  const waiting = [...jobs];
  const killing = killer(jobs, random);
  await Promise.all([killing, ...Array.from({ length: CLIENTS }, () => client(waiting))]);
  const kills = await killing;

  const complete = () =>
    new Set(scenario.mx.messages.map(({ data }) => /^Subject: (\S+)/m.exec(data.toString('latin1', 0, 4096))?.[1])).size;
  await until('every message at the destination', () => complete() >= MESSAGES, {
    deadline: 60 * SECOND,
    context: () => `${complete()} arrived\n${scenario.relay.output().slice(-3000)}`,
  });
  await until('an empty queue', async () => (await scenario.relay.command(['queue', 'list', '--json'])).trim() === '[]', {
    deadline: 20 * SECOND,
    context: () => scenario.relay.output().slice(-3000),
  });

  const seen = arrivals(jobs);
  const inFlight = (at: number) => kills.some((kill) => kill > at - 100 && kill < at + IN_FLIGHT);
  for (const job of jobs) {
    const times = seen.get(job.token) ?? [];
    expect(times.length, `${job.token} accepted: ${job.accepted}`).toBeGreaterThan(0);
    if (times.length > 1 && job.tries === 1) expect(times.slice(0, -1).every(inFlight), `${job.token} at ${times}`).toBe(true);
  }
  const twice = [...seen.values()].filter((times) => times.length > 1).length;
  console.info(`${scenario.mx.count()} deliveries, ${twice} messages arrived more than once`);
  expect(twice).toBeLessThanOrEqual(KILLS * (CLIENTS + 20));
}, 120_000);
