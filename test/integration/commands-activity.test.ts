/** `smarthost refused` and `smarthost history`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createControl } from '../../src/control/control.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { HistoryCount, RefusedCommand } from '../../src/store/store.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { openClient, PASSWORD, startTestRelay, USER } from '../support/relay.ts';

describe('commands', () => {
  let bench: CommandBench;
  beforeEach(async () => {
    bench = await createCommandBench('');
  });
  afterEach(() => bench.close());

  const at = Date.now() - 2 * HOUR;
  const refusal: RefusedCommand = {
    ...{ at, until: at, count: 3, session: 's', ip: '192.0.2.1', user: 'shop', verb: 'MAIL', code: 553, status: '5.7.1' },
    ...{ reply: '553 5.7.1 not \u001b[2Jyours', reversePath: 'a@x.example', recipient: null },
  };

  test('refused shows each refusal in a line, and chooses by login, address and time', async () => {
    expect((await bench.run(['refused'])).err).toContain('Nothing was refused.');
    await bench.withStore(({ activity }) =>
      activity.addRefused([refusal, { ...refusal, user: null, ip: '192.0.2.2', at: Date.now(), until: Date.now(), count: 1 }]),
    );
    const { out } = await bench.run(['refused', '--user', 'SHOP']);
    expect(out).toMatch(
      /^LAST +TIMES +CLIENT +USER +AT +FROM +TO +REPLY\n\S+Z +3 +192\.0\.2\.1 +shop +MAIL +a@x\.example +- +553 5\.7\.1 not \ufffd\[2Jyours\n$/,
    );
    expect(await bench.json('refused', '--ip', '192.0.2.2')).toMatchObject([{ user: null, verb: 'MAIL', count: 1 }]);
    expect(await bench.json('refused', '--since', '1h')).toMatchObject([{ ip: '192.0.2.2' }]);
    expect(await bench.json('refused', '--limit', '1')).toHaveLength(1);
    expect((await bench.run(['refused', '--limit', 'many'])).err).toContain('--limit is a number from 1 to 10000');
  });

  test('history adds up by login or destination, for each hour, each day or the whole time', async () => {
    expect((await bench.run(['history'])).err).toContain('Nothing passed.');
    const hour = Date.now() - (Date.now() % HOUR);
    const count = (change: Partial<HistoryCount>): HistoryCount => ({
      ...{ by: 'user', hour, name: 'shop', outcome: 'accepted', count: 2, bytes: 2048 },
      ...change,
    });
    await bench.withStore(({ activity }) =>
      activity.addHistory([
        count({}),
        count({ outcome: 'relayed', count: 3, bytes: 0 }),
        count({ hour: hour - 3 * DAY }),
        count({ by: 'destination', name: 'x.example', outcome: 'failed', bytes: 0 }),
      ]),
    );
    const { out } = await bench.run(['history']);
    expect(out.split('\n')[1]).toMatch(/^\S+Z +shop +4 +3 +0 +0 +0 +0 +4\.0KiB$/);
    expect(await bench.json('history', '--step', 'hour', '--since', '1d')).toEqual([
      {
        from: new Date(hour).toISOString(),
        name: 'shop',
        accepted: 2,
        relayed: 3,
        delayed: 0,
        failed: 0,
        expired: 0,
        refused: 0,
        bytes: 2048,
      },
    ]);
    expect(await bench.json('history', '--step', 'day', '--name', 'Shop')).toHaveLength(2);
    expect(await bench.json('history', '--by', 'destination')).toMatchObject([{ name: 'x.example', failed: 2 }]);
    expect((await bench.run(['history', '--by', 'moon'])).code).not.toBe(0);
  });
});

test('what a client was refused, and what it sent, is there when the relay has stopped', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-activity-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const relay = await startTestRelay({ dataDir });
  const client = await openClient(relay.ports.submissions, { tls: true });
  expect(await client.login(USER, 'wrong')).toMatch(/^535 /);
  expect(await client.login(USER, PASSWORD)).toMatch(/^235 /);
  expect(await client.command('MAIL FROM:<root@web1.test>')).toMatch(/^55\d /);
  await client.message({ text: `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHi\r\n` });
  await relay.logged('relayed', ({ user }) => user === USER);
  await client.command('QUIT');
  client.close();
  await relay.close();
  const store = await storeFiles(dataDir).open();
  onTestFinished(() => store.close());
  expect(await store.activity.refused({ limit: 10 })).toMatchObject([
    { verb: 'MAIL', user: USER, reversePath: 'root@web1.test', ip: '127.0.0.1' },
    { verb: 'AUTH', user: USER, reversePath: null, ip: '127.0.0.1' },
  ]);
  const { activity } = createControl({
    store,
    settings: () => ({}) as never,
    dns: {} as never,
    by: { name: 'anna', way: 'command' },
  });
  const query = { from: Date.now() - HOUR, to: Date.now(), step: 'whole', names: true } as const;
  expect(await activity.history({ ...query, by: 'user' })).toMatchObject([{ name: USER, accepted: 1, relayed: 1, refused: 1 }]);
  expect(await activity.history({ ...query, by: 'destination' })).toMatchObject([{ name: 'dest.test', relayed: 1 }]);
});
