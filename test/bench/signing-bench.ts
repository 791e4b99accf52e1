/**
 * Main-thread CPU of preparation and signing, per message. Run with `node test/bench/signing-bench.ts [4KB|50KB|10MB …]`.
 * RSA and Ed25519 run on the thread pool, so they are in the wall time and not in the main thread's.
 */
import { createPreparation } from '../../src/preparation/preparation.ts';
import { createDkimKeys, createSigner } from '../../src/signing/signing.ts';
import type { DkimKey, SpoolWriter } from '../../src/store/store.ts';
import { row } from './rows.ts';

const NOW = Date.UTC(2026, 10, 21);
/** What TLS hands over at once. */
const CHUNK = 16 * 1024;
const HEADER = [
  'Return-Path: <app@sender.test>',
  'From: "Shop, The" <app@sender.test>',
  'To: customer@example.org',
  'Reply-To: support@sender.test',
  'Subject: =?utf-8?q?Your_order_is_on_its_way?=',
  'Date: Sat, 21 Nov 2026 10:00:00 +0000',
  'Message-ID: <0001.abcdef@sender.test>',
  'MIME-Version: 1.0',
  'Content-Type: text/html; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
  'List-Unsubscribe: <https://sender.test/leave/1234567890>,\r\n <mailto:leave@sender.test>',
  'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
  'X-Mailer: shop 1.0',
  '',
  '',
].join('\r\n');

const nullSpool = async (): Promise<SpoolWriter> => ({
  write: async () => {},
  finish: async () => ({ name: 'none', size: 0, async *read() {} }),
  abort: async () => {},
});

const fill = (line: string, size: number) => Buffer.from(HEADER + line.repeat(Math.ceil((size - HEADER.length) / line.length)));
const LINES = {
  text: 'The quick brown fox jumps over the lazy dog, and then it goes home again.\r\n',
  html: '    <td class="cell">Some  value</td>\r\n',
  base64: `${'QUJD'.repeat(19)}\r\n`,
};
const CASES = [
  ['4KB', 'text', 4096, 4000],
  ['4KB', 'html', 4096, 4000],
  ['50KB', 'text', 51_200, 1500],
  ['50KB', 'html', 51_200, 1500],
  ['50KB', 'base64', 51_200, 1500],
  ['10MB', 'text', 10 * 1024 * 1024, 12],
  ['10MB', 'html', 10 * 1024 * 1024, 12],
  ['10MB', 'base64', 10 * 1024 * 1024, 12],
] as const;

const keys = (await createDkimKeys({ domain: 'sender.test', now: NOW })).map((key): DkimKey => ({ ...key, state: 'active' }));
const wanted = process.argv.slice(2);
for (const [size, kind, bytes, count] of CASES) {
  if (wanted.length > 0 && !wanted.includes(size)) continue;
  const message = fill(LINES[kind], bytes);
  for (const [label, signing] of [
    ['no key', []],
    ['RSA', keys.slice(0, 1)],
    ['RSA + Ed25519', keys],
  ] as const) {
    const run = runner(message, signing);
    await run(Math.ceil(count / 4));
    const before = process.threadCpuUsage();
    const start = performance.now();
    await run(count);
    const wall = performance.now() - start;
    const { user, system } = process.threadCpuUsage(before);
    const main = (user + system) / count;
    row('preparation', `${size} ${kind}, ${label}, main thread`, main, 'µs CPU');
    row('preparation', `${size} ${kind}, ${label}, eight at a time`, (wall * 1000) / count, 'µs');
  }
}

function runner(message: Buffer, signing: readonly DkimKey[]) {
  const preparation = createPreparation({
    hostname: 'relay.example.net',
    maxMessageSize: 50 * 1024 * 1024,
    maxHeaderSize: 256 * 1024,
    bareNewlines: 'normalize',
    createSpool: nullSpool,
    signer: createSigner({ operation: { dkimKeys: async () => signing }, noKey: 'send', warn: () => {} }),
  });
  const envelope = {
    reversePath: 'app@sender.test',
    recipients: [{ address: 'a@example.org' }],
    body: '8BITMIME',
    smtpUtf8: false,
  } as const;
  const one = async () => {
    const tls = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' };
    const current = preparation.start({
      queueId: '0123456789abc',
      now: NOW,
      kind: 'submission',
      envelope,
      userToken: 'ab12',
      tls,
    });
    for (let at = 0; at < message.length; at += CHUNK) await current.write(message.subarray(at, at + CHUNK));
    await current.finish();
  };
  // eight at a time, as sessions of a busy relay
  return async (count: number) => {
    let left = count;
    await Promise.all(
      Array.from({ length: Math.min(8, count) }, async () => {
        while (left-- > 0) await one();
      }),
    );
  };
}
