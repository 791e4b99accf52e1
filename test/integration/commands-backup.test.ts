/** `smarthost backup` while the relay runs, `restore` while it is stopped, and the mail afterwards. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startDns } from '../support/dns.ts';
import type { DnsServer } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxServer } from '../support/mx-server.ts';
import { mustRun } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';

let dns: DnsServer;
let mx: MxServer;
let relay: RelayProcess;
beforeEach(async () => {
  mx = await startMx({ script: { RCPT: '450 4.2.0 Later' } });
  dns = await startDns({ 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: ['127.0.0.1'] } });
  relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port, settings: { queue: { retry: ['1h'] } } });
});
afterEach(async () => {
  await relay.close();
  await Promise.all([dns.close(), mx.close()]);
});

test('waiting mail is held after the restore, and is sent when it is released', async () => {
  await relay.addUser('anna@shop.test', 'secret of anna');
  await relay.start();
  await relay.command(['send', '--to', 'bob@dest.test', '--timeout', '1s']).catch(() => ''); // it is delayed, and stays
  await relay.event('delayed');
  const file = join(relay.folder, 'backup.db');
  const made = JSON.parse(await relay.command(['backup', file, '--json']));
  expect(made).toMatchObject({ file, messages: 1, waiting: 1, users: 1 });
  await expect(relay.command(['restore', file, '--force'])).rejects.toThrow(/stop it first/);
  await relay.stop();
  await expect(relay.command(['restore', file])).rejects.toThrow(/--force/);

  await relay.command(['user', 'remove', 'anna@shop.test']);
  await relay.command(['queue', 'remove', '--all']);
  const restored = JSON.parse(await relay.command(['restore', file, '--force', '--json']));
  expect(restored).toMatchObject({ messages: 1, users: 1, held: { messages: 1, recipients: 1 } });
  expect(JSON.parse(await relay.command(['user', 'list', '--json']))).toMatchObject([{ name: 'anna@shop.test' }]);
  expect(JSON.parse(await relay.command(['queue', 'list', '--json']))).toMatchObject([{ recipients: [{ state: 'held' }] }]);

  mx.script({});
  await relay.start();
  await relay.command(['queue', 'release', '--all']);
  const [message] = await mx.received(1);
  expect(message?.recipients).toMatchObject([{ address: 'bob@dest.test' }]);
});

test('a folder or a pipe is refused as a backup at once', async () => {
  const pipe = join(relay.folder, 'pipe');
  await mustRun('mkfifo', [pipe]);
  for (const place of [relay.folder, pipe])
    await expect(relay.command(['restore', place])).rejects.toThrow(`${place} is not a regular file.`);
});
