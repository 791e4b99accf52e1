/** A disk of 2 MB, and a read-only disk: refused with a sentence, or used again as soon as it is repaired. Attacks L04. */
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { insideOf, onSmallDisk } from '../support/namespace.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { run, until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { submit } from '../support/smtp-send.ts';

const present = requirePeer('mount namespaces', hasMountNamespaces() && hasCommand('nsenter', 'mount'));
const FROM = 'app@sender.test';

async function prepared(minFree: string): Promise<{ scenario: Scenario; data: string }> {
  const scenario = await startScenario({ settings: { queue: { retry: ['1s'], minFree } } });
  onTestFinished(() => scenario.close());
  await scenario.relay.stop();
  return { scenario, data: join(scenario.relay.folder, 'data') };
}

/** @returns the reply to the final dot, or to the command that was refused */
function send({ relay, user, password }: Scenario, token: string, size: number): Promise<string> {
  const message = `From: <${FROM}>\r\nTo: <anna@dest.test>\r\nSubject: ${token}\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(size / 80)}`;
  const account = { address: relay.address, port: relay.ports.submissions, user, password };
  return submit({ ...account, from: FROM, to: ['anna@dest.test'], message }).catch((error: Error & { response?: string }) => {
    if (error.response === undefined) throw error;
    return error.response;
  });
}

describe.skipIf(!present)('a disk of 2 MB', () => {
  test('holds a few messages, refuses the others for now, and takes mail again when it grows', async () => {
    const { scenario, data } = await prepared('1KiB');
    await scenario.relay.start(onSmallDisk(data, '2m'));
    const accepted: string[] = [];
    const replies: string[] = [];
    for (let i = 0; i < 12; i++) {
      const token = `tiny-${i}-`;
      const reply = await send(scenario, token, i % 2 === 0 ? 150_000 : 400_000);
      if (reply.startsWith('250')) accepted.push(token);
      else replies.push(reply);
    }
    expect(replies.length).toBeGreaterThan(0);
    for (const reply of replies) expect(reply).toMatch(/^452 4\.3\.1 /);
    expect(scenario.relay.running()).toBe(true);
    const [nsenter, ...inside] = insideOf(scenario.relay.pid());
    const grown = await run(nsenter!, [...inside, 'mount', '-o', 'remount,size=32m', data]);
    expect(grown.stderr).toBe('');
    const again = async () => (await send(scenario, 'tiny-again-', 400_000)).startsWith('250');
    await until('a 250 again', again, { context: () => scenario.relay.output().slice(-3000) });
    for (const token of [...accepted, 'tiny-again-']) await scenario.delivered(token);
  });

  test('too small for the store itself: one sentence says so, and nothing is opened', async () => {
    const { scenario, data } = await prepared('1KiB');
    await scenario.relay.start(onSmallDisk(data, '300k')).then(
      () => expect.unreachable(),
      (error: Error) => expect(error.message).toMatch(/no space|full/i),
    );
    expect(scenario.relay.output()).not.toMatch(/^\s+at .*\(?file:|node:internal/m);
  });
});

describe.skipIf(!present)('a read-only data directory', () => {
  test('is reported in one sentence at the start; mounted for writing again, it works', async () => {
    const { scenario, data } = await prepared('1MiB');
    const script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
    const readOnly = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, data];
    await scenario.relay.start(readOnly).then(
      () => expect.unreachable(),
      (error: Error) => expect(error.message).toMatch(/dataDir .* lies on a file system that can only be read/),
    );
    expect(scenario.relay.output()).not.toMatch(/^\s+at .*\(?file:|node:internal/m);
    await scenario.relay.start();
    expect(await send(scenario, 'writable-', 800)).toMatch(/^250 /);
    await scenario.delivered('writable-');
  });
});
