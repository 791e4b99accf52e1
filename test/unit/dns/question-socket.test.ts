/** From which ports questions are asked, and to which question an answer belongs where several share a port. */
import { execFile } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { decode, encode } from 'dns-packet';
import { expect, onTestFinished, test } from 'vitest';
import { createResolver, type ResolverReply } from '../../../src/dns/resolver.ts';
import { SECOND } from '../../../src/system/clock.ts';
import { inEnglish } from '../../../src/system/phrase.ts';
import { saying } from '../../support/phrases.ts';

type Asked = { readonly bytes: Buffer; readonly from: RemoteInfo };

/** A server that gives out each question and answers when it is told. */
async function startServer(answer: (asked: Asked, all: readonly Asked[]) => void, port = 0) {
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  await once(socket, 'listening');
  const all: Asked[] = [];
  socket.on('message', (bytes, from) => {
    all.push({ bytes, from });
    answer(all.at(-1)!, all);
  });
  const closed = once(socket, 'close');
  onTestFinished(() => {
    if (socket.listenerCount('message') > 0) socket.close();
  });
  return {
    socket,
    all,
    port: socket.address().port,
    ports: () => new Set(all.map(({ from }) => from.port)),
    async close() {
      socket.removeAllListeners('message').close();
      await closed;
    },
  };
}

/** The last octet of the address is the number in the name `d7.test`. */
function respond(socket: Socket, { bytes, from }: Asked, id = decode(bytes).id!): void {
  const { questions } = decode(bytes);
  const [, number] = /^d(\d+)\.test$/.exec(questions![0]!.name) ?? [];
  const answers = [{ type: 'A', name: questions![0]!.name, ttl: 60, data: `192.0.2.${number}` }] as const;
  socket.send(encode({ type: 'response', id, questions: questions!, answers: [...answers] }), from.port, from.address);
}

function addressIn(reply: ResolverReply): string {
  if (reply.kind !== 'answered') return inEnglish(reply.why);
  const { bytes, answers } = reply.message;
  return bytes.subarray(answers[0]!.start, answers[0]!.end).join('.');
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `d${i}.test`);
const all = (count: number) => Array.from({ length: count }, (_, i) => `192.0.2.${i}`);

test('questions to a resolver on this machine share ports, and each gets its own answer, in whatever order answers come', async () => {
  const server = await startServer((_, asked) => {
    if (asked.length === 200) for (const one of asked.toReversed()) respond(server.socket, one);
  });
  const { ask } = createResolver({ servers: [`127.0.0.1:${server.port}`], timeout: 20 * SECOND });
  const replies = await Promise.all(names(200).map((name) => ask({ name, type: 'A' })));
  expect(replies.map(addressIn)).toEqual(all(200));
  expect(server.ports().size, '32 questions on each').toBe(7);
  const ids = server.all.map(({ bytes, from }) => `${from.port} ${decode(bytes).id}`);
  expect(new Set(ids).size, 'no two at once have the same id and port').toBe(200);
});

test('questions one after the other come from one port, with ids that nobody can foresee', async () => {
  const server = await startServer((asked) => respond(server.socket, asked));
  const { ask } = createResolver({ servers: [`127.0.0.1:${server.port}`], timeout: 20 * SECOND });
  for (const name of names(20)) await ask({ name, type: 'A' });
  expect(server.ports().size).toBe(1);
  const steps = server.all.map(({ bytes }) => decode(bytes).id!).map((id, i, ids) => id - (ids[i - 1] ?? 0));
  expect(new Set(steps).size).toBeGreaterThan(15);
});

test('each question to a resolver elsewhere has a port of its own', async () => {
  const server = await startServer((asked) => respond(server.socket, asked));
  // The system takes 0.0.0.0 for this machine, and we do not know that.
  const { ask } = createResolver({ servers: [`0.0.0.0:${server.port}`], timeout: 20 * SECOND });
  const replies: ResolverReply[] = [];
  for (const name of names(10)) replies.push(await ask({ name, type: 'A' }));
  expect(replies.map(addressIn)).toEqual(all(10));
  expect(server.ports().size).toBeGreaterThan(8);
});

test('an answer with the id of one question and the name of another is taken for neither', async () => {
  const server = await startServer((_, asked) => {
    if (asked.length < 2) return;
    const [first, second] = asked as [Asked, Asked];
    respond(server.socket, first, decode(second.bytes).id!);
    respond(server.socket, second, decode(first.bytes).id!);
    server.socket.send(Buffer.alloc(1), first.from.port, first.from.address);
    for (const one of asked) respond(server.socket, one);
  });
  const { ask } = createResolver({ servers: [`127.0.0.1:${server.port}`], timeout: 20 * SECOND });
  const replies = await Promise.all(names(2).map((name) => ask({ name, type: 'A' })));
  expect(replies.map(addressIn)).toEqual(all(2));
  expect(server.ports().size).toBe(1);
});

test('a resolver that has gone is noticed by all questions at once, and asked again when it is back', async () => {
  const first = await startServer((asked) => respond(first.socket, asked));
  const { ask } = createResolver({ servers: [`127.0.0.1:${first.port}`], timeout: 60 * SECOND });
  expect(addressIn(await ask({ name: 'd1.test', type: 'A' }))).toBe('192.0.2.1');
  await first.close();
  const refused = await Promise.all(names(3).map((name) => ask({ name, type: 'A' })));
  expect(refused).toEqual(Array(3).fill({ kind: 'silent', why: saying(`127.0.0.1:${first.port}: ECONNREFUSED`) }));
  const second = await startServer((asked) => respond(second.socket, asked), first.port);
  expect(addressIn(await ask({ name: 'd2.test', type: 'A' }))).toBe('192.0.2.2');
});

test('after a question without an answer, the next one has another port, and a late answer is for nobody', async () => {
  let unanswered = 2; // a server is asked twice
  const server = await startServer((asked, before) => {
    if (unanswered-- > 0) return;
    respond(server.socket, before[0]!, decode(asked.bytes).id!);
    respond(server.socket, { ...before[0]!, from: asked.from });
    respond(server.socket, { ...before[0]!, from: asked.from }, decode(asked.bytes).id!);
    respond(server.socket, asked);
  });
  const { ask } = createResolver({ servers: [`127.0.0.1:${server.port}`], timeout: 200 });
  const silent = { kind: 'silent', why: saying(`127.0.0.1:${server.port} does not answer`) };
  expect(await ask({ name: 'd1.test', type: 'A' })).toEqual(silent);
  expect(addressIn(await ask({ name: 'd2.test', type: 'A' }))).toBe('192.0.2.2');
  expect(new Set(server.all.slice(0, 3).map(({ from }) => from.port)).size).toBe(3);
});

test('a port that is kept does not keep the process alive', async () => {
  const server = await startServer((asked) => respond(server.socket, asked));
  const program = `
    const { createResolver } = await import(${JSON.stringify(new URL('../../../src/dns/resolver.ts', import.meta.url))});
    const { ask } = createResolver({ servers: ['127.0.0.1:${server.port}'], timeout: 20000 });
    console.log((await ask({ name: 'd1.test', type: 'A' })).kind);
    const began = performance.now();
    process.on('exit', () => console.log(performance.now() - began < 5000 ? 'at once' : 'late'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toBe('answered\nat once\n');
});
