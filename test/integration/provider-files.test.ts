/** The operator's files of providers and replies are read again at SIGHUP; a running relay keeps what it has where one has mistakes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../support/program.ts';
import type { LogEvent } from '../support/relay-process.ts';
import { startScenario } from '../support/relay-scenario.ts';
import { submit } from '../support/smtp-send.ts';

const COLUMNS = ['provider', 'code', 'status', 'pattern', 'class', 'action', 'sure', 'phase', 'example', 'source', 'date'];
const line = (provider: string, found: string, action: string) =>
  [provider, '5xx', '-', 'frobnicated mail', found, action, 'y', 'any', '550 Frobnicated mail', 'us', '2026-11-28'].join('\t');
const file = (...lines: readonly string[]) => `${[COLUMNS.join('\t'), ...lines].join('\n')}\n`;

test('a reload with mistakes names file, line and column and keeps the old tables; the next good one is used', {
  timeout: 60_000,
}, async () => {
  const folder = temporaryFolder('provider-files');
  onTestFinished(() => folder.remove());
  const [providers, replies] = [join(folder.path, 'providers.local.tsv'), join(folder.path, 'replies.local.tsv')];
  writeFileSync(providers, 'nordic\tmx.dest.test\n');
  writeFileSync(replies, file(line('nordic', 'content-spam', 'fail')));
  const scenario = await startScenario({
    settings: { delivery: { providers, replies } },
    mx: { script: { RCPT: '550 Frobnicated mail' } },
  });
  onTestFinished(() => scenario.close());
  const { relay, user, password } = scenario;

  async function refused(): Promise<LogEvent> {
    const before = relay.events('failed').length;
    const message = `From: <${user}>\r\nTo: <anna@dest.test>\r\nSubject: Hello\r\n\r\nHello\r\n`;
    await submit({
      ...{ address: relay.address, port: relay.ports.submissions, user, password },
      ...{ from: user, to: ['anna@dest.test'], message },
    });
    return relay.event('failed', () => relay.events('failed').length > before).then(() => relay.events('failed')[before]!);
  }
  async function reload(event: string): Promise<LogEvent> {
    const before = relay.events(event).length;
    process.kill(relay.pid(), 'SIGHUP');
    await relay.event(event, () => relay.events(event).length > before);
    return relay.events(event)[before]!;
  }

  const known = { provider: 'nordic', class: 'content-spam' };
  expect(await refused()).toMatchObject(known);

  writeFileSync(providers, '# ours\nbaltic\tmx.dest.test\t0\n');
  expect(await reload('reloadRefused')).toMatchObject({
    problems: [expect.stringContaining(`${providers}:2:21: sessions: "0" is no whole number from 1 to 1000`)],
  });
  expect(await refused()).toMatchObject(known);

  writeFileSync(providers, 'baltic\tmx.dest.test\n');
  writeFileSync(replies, file(line('baltic', 'mailbox-full', 'bounce')));
  expect(await reload('reloadRefused')).toMatchObject({
    problems: [expect.stringMatching(/replies\.local\.tsv:2:\d+: action: there is no action "bounce"/)],
  });
  expect(await refused()).toMatchObject(known);

  writeFileSync(replies, file(line('baltic', 'mailbox-full', 'fail')));
  await reload('reloaded');
  expect(await refused()).toMatchObject({ provider: 'baltic', class: 'mailbox-full' });
});
