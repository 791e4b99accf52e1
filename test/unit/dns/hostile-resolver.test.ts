/** What a resolver sends in place of an answer, or before it: changed forms of a real one, over datagrams and streams. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { decode, encode } from 'dns-packet';
import { expect, onTestFinished, test } from 'vitest';
import { createDns } from '../../../src/dns/dns.ts';
import { SECOND } from '../../../src/system/clock.ts';
import { mutate, randomFrom, wordsOf } from '../../fuzz/mutate.ts';
import { sized } from '../../support/size.ts';

const QUESTIONS = sized(200, 40);
const RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const LARGEST_DATAGRAM = 8192;

/** The whole answer: an alias, and the address of its target. */
function answerTo(question: Buffer): Buffer {
  const { id, questions } = decode(question);
  const { name } = questions![0]!;
  return encode({
    type: 'response',
    id: id!,
    questions: questions!,
    answers: [
      { type: 'CNAME', name, ttl: 60, data: 'target.test' },
      { type: 'A', name: 'target.test', ttl: 60, data: '192.0.2.1' },
    ],
  });
}

function createChanges() {
  const random = randomFrom(20);
  return (whole: Buffer) => mutate([whole], wordsOf([whole]), random).subarray(0, LARGEST_DATAGRAM);
}

test('whatever comes before the answer with another id, the answer is found, and nothing else is', async () => {
  const change = createChanges();
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  socket.on('message', (question, { port, address }) => {
    const whole = answerTo(question);
    for (let i = 0; i < 5; i++) {
      const changed = Buffer.concat([change(whole), Buffer.alloc(2)]).subarray(0, -2);
      if (changed.length >= 2) changed[0] = whole[0]! ^ 0xff;
      socket.send(changed, port, address);
    }
    socket.send(whole, port, address);
  });
  const dns = createDns({ servers: [`127.0.0.1:${socket.address().port}`], timeout: 20 * SECOND });
  for (let i = 0; i < QUESTIONS; i++)
    expect(await dns.a(`d${i}.test`)).toMatchObject({ kind: 'found', values: ['192.0.2.1'], name: 'target.test', secure: false });
});

test('whatever comes over a stream, each look-up ends, and none rejects', async () => {
  const change = createChanges();
  const streams = createServer((stream) => {
    stream.on('error', () => {});
    stream.on('data', (question) => {
      const changed = change(answerTo(question.subarray(2)));
      const length = Buffer.alloc(2);
      length.writeUInt16BE(changed.length);
      stream.end(Buffer.concat([length, changed]));
    });
  }).listen(0, '127.0.0.1');
  await once(streams, 'listening');
  const { port } = streams.address() as { port: number };
  const socket = createSocket('udp4').bind(port, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => {
    socket.close();
    streams.close();
  });
  socket.on('message', (question, from) => {
    const { id, questions } = decode(question);
    const truncated = encode({ type: 'response', id: id!, flags: RESPONSE | TRUNCATED, questions: questions! });
    socket.send(truncated, from.port, from.address);
  });
  const dns = createDns({ servers: [`127.0.0.1:${port}`], timeout: 20 * SECOND });
  const kinds = new Set<string>();
  for (let i = 0; i < QUESTIONS; i++) kinds.add((await dns.a(`d${i}.test`)).kind);
  expect(kinds, 'some changes spoil the answer, and some do not').toContain('found');
  expect(kinds).toContain('temporary');
});
