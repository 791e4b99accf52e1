/** A stop finishes or gives back all mail within 30 s: behaviour rule 25. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { openClient, startTestRelay, USER } from '../support/relay.ts';

const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;

test('a stalled client and a silent destination delay the stop by 30 s together, not each', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-test-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const arrived = Promise.withResolvers<void>();
  const message = () => {
    arrived.resolve();
    return 'silent';
  };
  const relay = await startTestRelay({ dataDir, mx: { script: { message } } });
  const sender = await openClient(relay.ports.submissions, { tls: true });
  await sender.login();
  const id = (await sender.message({ text: TEXT })).split(' ').at(-1)!;
  sender.close();
  await arrived.promise;
  const stalled = await openClient(relay.ports.submissions, { tls: true });
  await stalled.login();
  for (const line of [`MAIL FROM:<${USER}>`, 'RCPT TO:<anna@dest.test>', 'DATA']) await stalled.command(line);
  const began = performance.now();
  await relay.close();
  expect(performance.now() - began).toBeLessThan(40_000); // 28 s; 42 s if each waits for the other
  expect(relay.log.at(-1)).toMatchObject({ event: 'stopped' });
  expect(await relay.logged('delayed', (line) => line['queueId'] === id)).toMatchObject({ uncertain: true });
  const store = await storeFiles(dataDir).open();
  expect((await store.messages.get(id))?.recipients).toMatchObject([{ state: 'uncertain', attempts: 1 }]);
  await store.close();
}, 45_000);
