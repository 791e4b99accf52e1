/** `smarthost provider` and the operator's own lines, on a real store. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aMessage, type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench('delivery: { providers: providers.local.tsv }\n');
});
afterEach(() => bench.close());

const write = (text: string) => writeFile(join(bench.folder, 'providers.local.tsv'), text);

test("list and show know the shipped providers, and the operator's lines over them", async () => {
  await write('yahoo\t-\t2\nnordic\tmx.nordic.example\n');
  const all: { provider: string; limits: object }[] = await bench.json('provider', 'list');
  expect(all.find(({ provider }) => provider === 'nordic')).toMatchObject({ limits: { sessions: 5, origin: 'local' } });
  expect(all.find(({ provider }) => provider === 'google')).toMatchObject({ limits: { sessions: 5, origin: 'shipped' } });
  expect(await bench.json('provider', 'show', 'yahoo')).toMatchObject({
    ...{ provider: 'yahoo', addresses: [], held: 0, oldestHeldAt: null },
    limits: { sessions: 2, perConnection: 20, firstRest: 7200, removal: 'https://senders.yahooinc.com/contact' },
  });
  expect((await bench.run(['provider', 'list'])).err).toBe('Every provider takes mail as usual.\n');
  const { out } = await bench.run(['provider', 'list', '--all']);
  expect(out).toMatch(/^yahoo +2 +20 +60 +120 min +yours +yahoodns\.net$/m);
  expect((await bench.run(['provider', 'show', 'nosuch'])).err).toBe(
    'The relay knows no provider nosuch. `smarthost provider list --all` shows those of the table.\n',
  );
});

test('config check names file, line and column of each mistake, and serve does not start with one', async () => {
  await write('yahoo\t-\t2\nnordic\tmx.nordic.example\t0\t-\t-\tsoon\n');
  const checked = await bench.run(['config', 'check']);
  const file = join(bench.folder, 'providers.local.tsv');
  expect(checked.code).toBe(1);
  expect(checked.out).toContain(`delivery.providers ${file}:2:26: sessions: "0" is no whole number from 1 to 1000`);
  expect(checked.out).toContain(`delivery.providers ${file}:2:32: rest: "soon" is no duration`);
  const served = await bench.run(['serve', '--as-root']);
  expect(served.code).toBe(1);
  expect(served.err).toContain(`${file}:2:26: sessions`);
});

test('a file that does not exist is said as well', async () => {
  const checked = await bench.run(['config', 'check']);
  expect(checked.out).toContain(`delivery.providers ${join(bench.folder, 'providers.local.tsv')} does not exist`);
});

test('a provider that refuses our address is listed with its reply and held mail; probe, open and hold ask the relay', async () => {
  await write('');
  const evidence = JSON.stringify({
    cause: { class: 'address-blocked', reply: { code: 550, status: '5.7.606', text: 'Banned' } },
  });
  const since = Date.UTC(2026, 10, 28);
  const row = {
    provider: 'microsoft365',
    source: '192.0.2.1',
    family: 4,
    state: 'blocked',
    since,
    until: Date.now() + 7_200_000,
  } as const;
  await bench.withStore(async ({ operation, messages }) => {
    await operation.putShaping({ ...row, step: 0, sessions: 5, rate: 60, learnedCap: null, evidence });
    const message = aMessage(['a@t0.test']);
    await messages.accept({ message, claim: { indexes: [0], lease: 'p#1' } });
    const change = { n: 0, state: 'delayed', nextAttemptAt: Date.now() + 7_200_000, heldBy: 'microsoft365' } as const;
    await messages.settle({ messageId: message.id, lease: 'p#1', at: Date.now(), changes: [change] });
  });
  const { out } = await bench.run(['provider', 'list']);
  expect(out).toMatch(/^microsoft365 +192\.0\.2\.1 +blocked +2026-11-28T00:00:00Z +\S+Z +1 +\S+Z +550 5\.7\.606 Banned$/m);
  expect((await bench.run(['queue', 'list'])).out).toMatch(/a@t0\.test +held by microsoft365/);
  expect((await bench.run(['provider', 'show', 'microsoft365'])).out).toContain('next probe');
  for (const command of ['probe', 'open', 'hold']) {
    expect((await bench.run(['provider', command, 'microsoft365'])).code).toBe(0);
    const asked = await bench.withStore(({ operation }) => operation.value('provider.command.microsoft365'));
    expect(asked).toBe(command);
  }
  expect((await bench.run(['provider', 'probe', 'yahoo'])).err).toContain('yahoo does not refuse an address of this relay.');
});
