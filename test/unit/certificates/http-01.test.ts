import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChallengeAnswers } from '../../../src/certificates/challenges.ts';
import { type ChallengeListener, startHttp01 } from '../../../src/certificates/http-01.ts';

const TOKEN = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
const PATH = '/.well-known/acme-challenge';
const asked: string[] = [];
const answers: ChallengeAnswers = {
  find: async (name) => {
    asked.push(name);
    if (name === 'broken') throw new Error('the store fails');
    return name === TOKEN ? `${TOKEN}.thumbprint` : undefined;
  },
};
let listener: ChallengeListener;
beforeAll(async () => {
  listener = await startHttp01([{ address: '127.0.0.1', port: 0 }], answers);
});
afterAll(() => listener.close());

/** Sends bytes as they are, reads to the end. */
function raw(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(listener.listening[0]!.port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {}); // it may be closed while a megabyte is on its way
    socket.on('close', () => resolve(text));
  });
}
const get = (target: string, more = '') => raw(`GET ${target} HTTP/1.1\r\nHost: evil.example\r\n${more}\r\n`);

test('a known token is answered with its key authorization (RFC 8555 §8.3)', async () => {
  const text = await get(`${PATH}/${TOKEN}`);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text).toMatch(/content-type: application\/octet-stream\r\n/i);
  expect(text.split('\r\n\r\n')[1]).toBe(`${TOKEN}.thumbprint`);
});

test('HEAD gets the same without the body', async () => {
  const text = await raw(`HEAD ${PATH}/${TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text.split('\r\n\r\n')[1]).toBe('');
});

describe('everything else is 404, without a look-up, a file or a redirect (A15)', () => {
  test.each([
    '/',
    '/index.html',
    `${PATH}`,
    `${PATH}/`,
    `${PATH}/../../etc/passwd`,
    `${PATH}/%2e%2e%2f%2e%2e%2fetc/passwd`,
    `${PATH}/..%2f..%2fetc%2fpasswd`,
    `${PATH}//etc/passwd`,
    `${PATH}/${TOKEN}/`,
    `${PATH}/${TOKEN}?x=1`,
    `${PATH}/${TOKEN}%00`,
    `/x/..${PATH}/${TOKEN}`,
    `//${TOKEN}`,
    `http://relay.test${PATH}/${TOKEN}`,
    '//evil.example/%2f..',
    `${PATH}/acme.challenge.http-01.${TOKEN}`,
  ])('GET %s', async (target) => {
    const before = asked.length;
    const text = await get(target);
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text).not.toMatch(/location:/i);
    expect(text).not.toContain('evil.example');
    expect(asked.length).toBe(before);
  });

  test('a token of a megabyte', async () => {
    expect(await get(`${PATH}/${'A'.repeat(1024 * 1024)}`)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])('%s, even of a known token', async (method) => {
    const text = await raw(`${method} ${PATH}/${TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('an unknown token, after an exact look-up', async () => {
    expect(await get(`${PATH}/${TOKEN.toLowerCase()}`)).toMatch(/^HTTP\/1\.1 404 /);
    expect(asked.at(-1)).toBe(TOKEN.toLowerCase());
  });
});

test('a failing store leads to 503, so that the authority asks again', async () => {
  expect(await get(`${PATH}/broken`)).toMatch(/^HTTP\/1\.1 503 /);
});

test.each([['\x16\x03\x01\x00\x05hello'], ['EHLO client.test\r\n\r\n'], ['GET / HTTP/9.9\r\n\r\n']])(
  'what is no HTTP (%j) ends',
  async (bytes) => {
    expect(await raw(bytes)).toMatch(/^HTTP\/1\.1 (?:400|505) /);
  },
);

test('a port that is taken is one clear sentence', async () => {
  const { port } = listener.listening[0]!;
  await expect(startHttp01([{ address: '127.0.0.1', port }], answers)).rejects.toThrow(
    `listen.http: 127.0.0.1:${port} cannot be opened (another program uses it); tls.mode acme needs it for the challenge http-01`,
  );
});
