/**
 * Clients that leave, in every way and at each stage, more of them than the session limit. The relay is a separate process,
 * so that the test sees if it ends.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientHello } from '../support/client-hello.ts';
import { until } from '../support/program.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';

const PLACES = 8;
const CLIENTS = 20;
const HELLO = clientHello(Buffer.from('relay.sender.test'));

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario({
    settings: { submission: { maxSessionsPerAddress: PLACES }, auth: { allow: ['127.0.0.0/8'] } },
  });
});
afterAll(() => scenario.close());

/** A connected client. `there` resolves when it reaches its stage, which may never happen. */
type Leaving = { readonly raw: Socket; tls?: TLSSocket; readonly closed: Promise<unknown>; there: Promise<unknown> };
type Stage = (client: Leaving) => Promise<unknown>;

const heard = (socket: Socket) => once(socket, 'data');
const says = (bytes: string | Buffer) => (client: Leaving) =>
  new Promise((resolve) => client.raw.write(bytes, () => resolve(undefined)));
const answered = (bytes: string | Buffer) => async (client: Leaving) => {
  const answer = heard(client.raw);
  await says(bytes)(client);
  await answer;
};
const secured = (client: Leaving) => {
  client.raw.removeAllListeners('data');
  client.tls = connectTls({ socket: client.raw, rejectUnauthorized: false });
  client.tls.on('error', () => {});
  client.tls.on('data', () => {}); // what is not read keeps the end from being seen
  return once(client.tls, 'secureConnect');
};
const inOrder =
  (...stages: readonly Stage[]): Stage =>
  async (client) => {
    for (const stage of stages) await stage(client);
  };
const greeted: Stage = ({ raw }) => heard(raw);
const upgrade = answered('STARTTLS\r\n');

const STAGES: Readonly<Record<'submissions' | 'submission', Readonly<Record<string, Stage>>>> = {
  submissions: {
    'before any byte': async () => {},
    'after one byte': says(HELLO.subarray(0, 1)),
    'after a whole ClientHello': says(HELLO),
    'in the middle of the handshake': answered(HELLO),
    'after the handshake': secured,
    'after the greeting': (client) => Promise.all([secured(client), heard(client.tls!)]),
  },
  submission: {
    'before any byte': async () => {},
    'after one byte': inOrder(greeted, says('E')),
    'after STARTTLS': inOrder(greeted, says('STARTTLS\r\n')),
    'after a whole ClientHello': inOrder(greeted, upgrade, says(HELLO)),
    'with a ClientHello behind STARTTLS': inOrder(greeted, says(Buffer.concat([Buffer.from('STARTTLS\r\n'), HELLO]))),
    'in the middle of the handshake': inOrder(greeted, upgrade, answered(HELLO)),
    'after the handshake': inOrder(greeted, upgrade, secured),
  },
};

const WAYS: Readonly<Record<string, (client: Leaving) => void>> = {
  'closing at once': ({ raw, tls }) => (tls ?? raw).destroy(),
  'closing in order': ({ raw, tls }) => (tls ?? raw).end(),
  'a reset': ({ raw }) => raw.resetAndDestroy(),
  'closing one half': ({ raw }) => {
    raw.allowHalfOpen = true;
    raw.end();
  },
};

async function arrive(port: number, stage: Stage): Promise<Leaving> {
  const raw = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' });
  raw.on('error', () => {});
  raw.on('data', () => {});
  const closed = new Promise((resolve) => raw.once('close', resolve));
  await once(raw, 'connect');
  const client: Leaving = { raw, closed, there: Promise.resolve() };
  client.there = stage(client);
  client.there.catch(() => {}); // it is let go before
  return client;
}

/** Clients reach their stage or wait for a session, and then all leave together. Resolves when the relay has closed its side of each. */
async function wave(port: number, stage: Stage, leave: (client: Leaving) => void): Promise<void> {
  let there = 0;
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => arrive(port, stage)));
  for (const client of clients) client.there.then(() => there++).catch(() => {});
  const ready = () => there >= PLACES || !scenario.relay.running();
  await until('as many as there are places got so far', ready, { deadline: 20_000 });
  for (const client of clients) leave(client);
  await Promise.all(clients.map(({ closed }) => closed));
}

async function sendsMail(subject: string): Promise<void> {
  const { relay, user, password, delivered } = scenario;
  for (const [i, port] of [relay.ports.submissions, relay.ports.submission].entries()) {
    const client = RawClient.clear(port);
    if (i === 1) {
      await client.reply();
      await client.startTls();
    } else {
      await client.upgrade();
      await client.reply();
    }
    await client.ask('EHLO client.test');
    await client.ask(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`);
    await client.askAll([`MAIL FROM:<${user}>`, 'RCPT TO:<anna@dest.test>', 'DATA']);
    const token = `${subject.replaceAll(' ', '-')}-${i}`;
    expect(await client.ask(`From: ${user}\r\nSubject: ${token}\r\n\r\nHello\r\n.`)).toMatch(/^250 /);
    client.close();
    await delivered(token);
  }
}

describe.each(['submissions', 'submission'] as const)('on %s', (listener) => {
  test.each(Object.keys(STAGES[listener]))(
    'clients that leave %s do no harm, whether they have a place or wait',
    async (name) => {
      for (const leave of Object.values(WAYS)) {
        await wave(scenario.relay.ports[listener], STAGES[listener][name]!, leave);
        expect(scenario.relay.running(), scenario.relay.output().slice(-2000)).toBe(true);
      }
      await sendsMail(`${listener} ${name}`);
    },
  );
});
