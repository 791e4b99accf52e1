/** The notices of a block are sent once, whatever moment the relay was killed at. */
import { beforeEach, expect, test } from 'vitest';
import type { BlockNews } from '../../../src/delivery/delivery.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { createBlockNews, followProviders } from '../../../src/relay/block-notices.ts';
import type { Store } from '../../../src/store/store.ts';
import { createLog } from '../../../src/system/log.ts';
import { newMessage, testStore } from '../../support/store-rig.ts';

const BLOCK: BlockNews = {
  ...{ provider: 'yahoo', way: { family: 4, source: '192.0.2.1' }, state: 'blocked', since: 1_800_000_000_000 },
  cause: { class: 'address-blocked', reply: { code: 553, status: '5.7.1', text: 'Not you' }, mx: undefined },
};
const END: BlockNews = { ...BLOCK, state: 'open' };
const VALUE = 'notice.block.yahoo.4.192.0.2.1';
const log = createEventLog(createLog({ level: 'silent', format: 'json' }));

let store: Store;
let sent: string[];
beforeEach(async () => {
  store = await testStore();
  sent = [];
});

type Crash = 'before the mail is stored' | 'after the mail is stored';

/** One process: what it knows from earlier ones, what happens, and when it is killed. Resolves when all is told. */
async function run({ blocks = [], news = [], crash }: { blocks?: BlockNews[]; news?: BlockNews[]; crash?: Crash }) {
  const box = createBlockNews(log, { store, dns: {} as never, hostname: 'relay.test' });
  let dead = false;
  const { operation, messages, suppression } = store;
  const told = followProviders(box, {
    store: {
      ...{ messages, suppression, onChange: () => {} },
      operation: {
        ...operation,
        setValue: async (name, value) => {
          if (dead) throw new Error('killed');
          await operation.setValue(name, value);
        },
      },
    },
    delivery: { blocks: () => blocks, commandProvider: () => {} },
    log,
    config: () => ({
      hostname: 'relay.test',
      operator: 'ops@dest.test',
      delivery: { providers: '/nowhere/providers.tsv', fallback: [] } as never,
    }),
    send: async (_, { subject }, id) => {
      dead = crash !== undefined;
      if (crash === 'before the mail is stored') throw new Error('killed');
      await messages.accept({ message: newMessage({ id, to: ['ops@dest.test'] }) });
      sent.push(subject);
    },
  });
  for (const one of news) box.hear(one);
  await told();
}

const BEGUN = 'relay.test: yahoo refuses mail from 192.0.2.1';
const ENDED = 'relay.test: yahoo takes mail again';

test('a block is told once, its end once, and neither at later starts, though the file of providers cannot be read', async () => {
  await run({ news: [BLOCK] });
  await run({ blocks: [BLOCK] });
  expect(sent).toEqual([BEGUN]);
  await run({ news: [END] });
  await run({});
  expect(sent).toEqual([BEGUN, ENDED]);
  await run({ news: [BLOCK] });
  expect(sent).toEqual([BEGUN, ENDED, BEGUN]);
});

test.each<Crash>(['before the mail is stored', 'after the mail is stored'])(
  'killed %s, a block and its end are told once',
  async (crash) => {
    await run({ news: [BLOCK], crash });
    await run({ blocks: [BLOCK] });
    expect(sent).toEqual([BEGUN]);
    await run({ news: [END], crash });
    await run({});
    await run({});
    expect(sent).toEqual([BEGUN, ENDED]);
    expect(await store.operation.value(VALUE)).toBeUndefined();
  },
);

test('a block that was told but not stored is met again, and not told again', async () => {
  await run({ news: [BLOCK] });
  await run({ news: [BLOCK] });
  expect(sent).toEqual([BEGUN]);
});

test('a block is told although the end of the one before was lost', async () => {
  await run({ news: [BLOCK] });
  const value = JSON.parse((await store.operation.value(VALUE))!) as { at: number };
  await store.operation.setValue(VALUE, JSON.stringify({ ...value, at: value.at - 3 * 3_600_000 }));
  await run({ news: [BLOCK] });
  expect(sent).toEqual([BEGUN, BEGUN]);
});
