/** Sessions in threads: limits count for all together, and a thread that ends harms no other. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { until } from '../support/program.ts';
import { openClient, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';
import { SessionCount } from '../support/session-count.ts';
import { sized } from '../support/size.ts';

const workers = vi.hoisted(() => [] as Worker[]);
vi.mock('node:worker_threads', async (original) => {
  const module = await original<typeof import('node:worker_threads')>();
  return {
    ...module,
    Worker: class extends module.Worker {
      constructor(...given: ConstructorParameters<typeof Worker>) {
        super(...given);
        if (given[1]?.name?.startsWith('sessions') !== true) return;
        workers.push(this);
        this.once('exit', () => workers.splice(workers.indexOf(this), 1));
      }
    },
  };
});

const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
/** A message that no thread expects: it ends by an error that is thrown. */
const POISON = 5;
let relay: TestRelay;
let isClosed = false;
afterEach(async () => {
  if (!isClosed) await relay.close();
});

async function start(threads: number, { yaml = '', ...options }: TestRelayOptions = {}) {
  isClosed = false;
  relay = await startTestRelay({
    ...options,
    yaml: `threads: ${threads}\nlimits: { messages: [], recipients: [], newRecipients: [] }\n${yaml}`,
  });
  expect(workers).toHaveLength(threads);
}

async function loggedIn() {
  const client = await openClient(relay.ports.submissions, { tls: true });
  const reply = await client.login();
  return Object.assign(client, { isIn: reply.startsWith('235') });
}

const idOf = (reply: string) => /queued as (\w+)/.exec(reply)?.[1] ?? /(\w{17})\s*$/.exec(reply)?.[1];

test('with four threads and a limit of three, a host has no more than three connections, and all mail arrives', async () => {
  const sessions = new SessionCount();
  await start(4, {
    yaml: "delivery: { port: MX_PORT, allowPrivate: ['127.0.0.0/8'], ip: v4-only, concurrency: 3 }",
    mx: { script: sessions.script() },
  });
  const count = sized(400, 120, 200);
  const clients = await Promise.all(Array.from({ length: 8 }, loggedIn));
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < count / 8; i++) expect(await client.message({ text: TEXT })).toMatch(/^250/);
      client.close();
    }),
  );
  await relay.mx.received(count, 60_000);
  expect(sessions.most).toBe(3);
});

test('a thread that ends by an error is replaced: its clients are dropped, the others go on, and no accepted mail is lost', {
  timeout: sized(900_000, 120_000, 300_000),
}, async () => {
  await start(2, { yaml: 'queue: { minFree: 1MiB, retry: [1s] }' }); // what has ended two threads comes again by the schedule
  const accepted: string[] = [];
  let stopping = false;
  const send = async () => {
    while (!stopping) {
      const client = await openClient(relay.ports.submissions, { tls: true });
      await client.login();
      for (let reply = '250'; reply.startsWith('250') && !stopping; ) {
        reply = await client.message({ text: TEXT });
        const id = idOf(reply);
        if (reply.startsWith('250') && id !== undefined) accepted.push(id);
      }
      client.close();
    }
  };
  const senders = Array.from({ length: 4 }, send);
  const kills = sized(100, 6, 20);
  for (let i = 0; i < kills; i++) {
    const before = accepted.length;
    await until('more mail', () => accepted.length > before + 3, {
      context: () =>
        relay.log
          .slice(-30)
          .map((line) => JSON.stringify(line))
          .join('\n'),
      deadline: 30_000,
    });
    await until('both threads', () => workers.length === 2);
    // More than the senders: both threads have some of them, as each connection goes to the thread with fewer.
    const others = await Promise.all(Array.from({ length: 6 }, loggedIn));
    expect(others.map(({ isIn }) => isIn)).toEqual(others.map(() => true));
    workers[i % 2]!.postMessage(POISON);
    await until('its end', () => relay.log.filter(({ event }) => event === 'threadEnded').length > i);
    const replies = await Promise.all(others.map((client) => client.command('NOOP')));
    expect(new Set(replies.map((reply) => reply.slice(0, 3)))).toEqual(new Set(['250', 'clo']));
    for (const client of others) client.close();
  }
  stopping = true;
  await Promise.all(senders);
  const arrived = () => new Set(relay.mx.messages.map(({ data }) => /id (\w{17})/.exec(data.toString('latin1'))?.[1]));
  await until('all accepted mail', () => accepted.every((id) => arrived().has(id)));
  expect(new Set(accepted).size).toBe(accepted.length);
});

test('a session of TLS resumes in every thread', async () => {
  await start(2);
  const visit = (session?: Buffer) =>
    new Promise<{ resumed: boolean; session: Buffer | undefined }>((resolve, reject) => {
      const socket = connectTls({
        port: relay.ports.submissions,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(session && { session }),
      });
      let newest: Buffer | undefined;
      socket.on('session', (next) => {
        newest = next;
      });
      socket.on('error', reject);
      let resumed = false;
      socket.once('data', () => {
        resumed = socket.isSessionReused();
        socket.end('QUIT\r\n');
      });
      socket.on('close', () => resolve({ resumed, session: newest }));
    });
  let { session } = await visit();
  const resumed: boolean[] = [];
  for (let i = 0; i < 10; i++) {
    const next = await visit(session);
    resumed.push(next.resumed);
    session = next.session ?? session; // a resumed connection may end before it gets a new one
  }
  expect(resumed).toEqual(Array(10).fill(true));
});

test('clients that come while the relay reloads are served, and those that come while it stops hear 421 or find no port', async () => {
  await start(2);
  const ends: string[] = [];
  let coming = true;
  const clients: Promise<void>[] = [];
  const come = setInterval(() => {
    if (!coming) return;
    clients.push(
      new Promise((resolve) => {
        const socket = connect(relay.ports.submission, '127.0.0.1');
        let heard = '';
        socket.on('data', (chunk) => {
          heard += chunk.toString('latin1');
          if (heard.startsWith('220 ') && heard.split('\n').length === 2) socket.write('QUIT\r\n');
        });
        socket.on('error', (error: NodeJS.ErrnoException) => {
          heard ||= error.code ?? error.message;
        });
        socket.on('close', () => {
          ends.push(heard.slice(0, 3) === '220' ? 'served' : heard.slice(0, 12));
          resolve();
        });
      }),
    );
  }, 5);
  for (let i = 0; i < 3; i++) {
    await relay.reload();
    await until('clients', () => ends.length > 20 * (i + 1));
  }
  const before = ends.length;
  expect(new Set(ends)).toEqual(new Set(['served']));
  isClosed = true;
  await relay.close();
  coming = false;
  clearInterval(come);
  await Promise.all(clients);
  expect(ends.slice(before).filter((end) => !/^(?:served|421|ECONNREFUSED)/.test(end))).toEqual([]);
});

test('the limit of sessions, and that of wrong logins, count for all threads together', async () => {
  await start(3, { yaml: 'submission: { maxSessionsPerAddress: 4 }\nauth: { failuresPerMinute: 3, failureDelay: 0s }' });
  const open = await Promise.all(Array.from({ length: 4 }, () => openClient(relay.ports.submission)));
  const fifth = openClient(relay.ports.submission);
  open[0]!.close();
  const client = await fifth; // gets the place of the one that has left
  await client.startTls();
  for (const other of open.slice(1)) other.close();
  client.close();
  const replies: string[] = [];
  for (let i = 0; i < 4; i++) {
    const guesser = await openClient(relay.ports.submissions, { tls: true });
    replies.push((await guesser.login(USER, 'wrong')).slice(0, 3));
    guesser.close();
  }
  expect(replies).toEqual(['535', '535', '535', 'clo']);
});

/** Sends nothing and leaves at once. @returns what it hears until the relay has closed its side too. */
async function comesAndLeaves(port: number): Promise<string> {
  let heard = '';
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('data', (chunk) => {
    heard += chunk;
  });
  socket.end();
  await once(socket, 'close');
  return heard;
}

test('a client that leaves while it waits for a place is dropped, and others get the places', async () => {
  await start(2, { yaml: 'submission: { maxSessionsPerAddress: 2 }' });
  const { submission } = relay.ports;
  const open = [await openClient(submission), await openClient(submission)];
  expect(await Promise.all([comesAndLeaves(submission), comesAndLeaves(submission)])).toEqual(['', '']);
  for (const client of open) client.close();
  await until('a place', async () => {
    const client = await openClient(submission);
    return (await client.command('NOOP')).startsWith('250');
  });
});

test('a client that leaves while it waits for its handshake gets none', async () => {
  await start(2, { yaml: 'submission: { handshakesPerAddress: 1 }\nlog: { level: debug }' });
  const { submissions } = relay.ports;
  for (let i = 0; i < 6; i++) connect(submissions, '127.0.0.1').on('error', () => {}); // five handshakes need not wait
  expect(await comesAndLeaves(submissions)).toBe('');
  expect((await relay.logged('tlsFailed')).reason).toBe('the client left before the handshake');
});

test('a change of the configuration holds in all threads', async () => {
  await start(2);
  const hello = async () => {
    const client = await openClient(relay.ports.submissions, { tls: true });
    const reply = await client.command('EHLO client.test');
    client.close();
    return /SIZE (\d+)/.exec(reply)?.[1];
  };
  const before = await hello();
  const { readFile, writeFile } = await import('node:fs/promises');
  await writeFile(relay.file, `${await readFile(relay.file, 'utf8')}\nsubmission: { maxMessageSize: 1MiB }\n`);
  await relay.reload();
  expect([before === '1048576', ...(await Promise.all(Array.from({ length: 6 }, hello)))]).toEqual([
    false,
    ...Array(6).fill('1048576'),
  ]);
});

test('a message that ends its thread again and again is put off, so that it ends no more than two', async () => {
  let ended = 0;
  await start(2, {
    mx: {
      script: {
        async MAIL() {
          ended++;
          workers[0]!.postMessage(POISON); // whichever has the attempt
          workers[1]?.postMessage(POISON);
          return 'silent';
        },
      },
    },
  });
  const client = await loggedIn();
  expect(await client.message({ text: TEXT })).toMatch(/^250/);
  expect(await relay.logged('delayed', () => true, 60_000)).toMatchObject({ code: 451, status: '4.3.0' });
  expect(ended).toBe(2);
  client.close();
});
