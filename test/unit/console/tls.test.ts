/** Outside loopback the console speaks TLS alone, with the certificate of the relay. */
import { readFile } from 'node:fs/promises';
import { Agent, request as sendTls } from 'node:https';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { tlsOptions } from '../../../src/system/tls-options.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';
import { dataDir } from '../../support/store-rig.ts';
import { makeCertificate } from '../../support/test-certificate.ts';

const EVERYWHERE = { listen: [{ address: '0.0.0.0', port: 0 }] };

async function startTls() {
  const folder = dataDir();
  const pairs = await Promise.all(['one.example', 'two.example'].map((name) => makeCertificate(folder, name)));
  const texts = await Promise.all(
    pairs.map(async ({ certificate, key }) => ({
      cert: [await readFile(certificate, 'utf8')],
      key: [await readFile(key, 'utf8')],
    })),
  );
  const told: (() => void)[] = [];
  let current = texts[0]!;
  const tls = { current: () => tlsOptions(current), onChange: (listener: () => void) => void told.push(listener) };
  const console = await startTestConsole({ ...EVERYWHERE, tls });
  const swap = () => {
    current = texts[1]!;
    for (const tell of told) tell();
  };
  return { console, port: Number(new URL(console.origin).port), swap };
}

/** @returns the status, and the name in the certificate. */
function askTls(port: number, agent: Agent): Promise<[status: number | undefined, name: string]> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/api/v1/status', agent, rejectUnauthorized: false };
    const request = sendTls(options, (response) => {
      const { socket } = response as unknown as { socket: import('node:tls').TLSSocket };
      const name = String(socket.getPeerCertificate().subject.CN);
      response.resume().once('end', () => resolve([response.statusCode, name]));
    });
    request.once('error', reject).end();
  });
}

test('a swapped certificate is for new connections, and the request of an old one goes on', async () => {
  const { console, port, swap } = await startTls();
  await using _ = console;
  const kept = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await askTls(port, kept)).toEqual([401, 'one.example']);
  swap();
  expect(await askTls(port, kept)).toEqual([401, 'one.example']);
  expect(await askTls(port, new Agent())).toEqual([401, 'two.example']);
  kept.destroy();
});

test('plain HTTP and TLS 1.1 get no answer there', async () => {
  const { console, port } = await startTls();
  await using _ = console;
  await expect(askOnce(`http://127.0.0.1:${port}/api/v1/session`, 'GET', {})).rejects.toThrow();
  const old = connectTls({ port, host: '127.0.0.1', maxVersion: 'TLSv1.1', minVersion: 'TLSv1', rejectUnauthorized: false });
  await expect(new Promise((resolve, reject) => old.once('secureConnect', resolve).once('error', reject))).rejects.toThrow();
  const silent = connect(port, '127.0.0.1');
  await new Promise((resolve) => silent.once('connect', resolve));
  silent.destroy();
  expect((await askTls(port, new Agent()))[0]).toBe(401);
});
