/** `smarthost queue …`: mail that waits, and what can be done about it. */
import type { Command } from 'commander';
import { messageShape, touchedShape, traceShape } from '../control/control.ts';
import type { MessageStore, RecipientState, Selection, StoredMessage, Touched } from '../store/store.ts';
import { paintFor } from './colours.ts';
import { withStore } from './context.ts';
import { type CommonOptions, collect, define, group, type Register } from './define.ts';
import { destinationChooser } from './destination.ts';
import { CommandError, typed, UsageError } from './errors.ts';
import { type Io, printJson, printJsonArray } from './io.ts';
import { describeMessage, messageTable, touchedTable } from './message-text.ts';
import { iso, several, table, time } from './text.ts';

const STATES: readonly RecipientState[] = [
  'queued',
  'active',
  'delayed',
  'held',
  'uncertain',
  'relayed',
  'failed',
  'expired',
  'removed',
];
const PAGE = 200;

type ListOptions = { readonly domain?: string; readonly user?: string; readonly state?: readonly string[] };
type SelectOptions = { readonly domain?: string; readonly all?: boolean };

export const registerQueue: Register = (program, io) => {
  const queue = group(program, 'queue', 'Mail that waits.');
  define<ListOptions>(
    queue,
    {
      usage: 'list',
      about: 'Messages that have not ended, the oldest first.',
      examples: ['queue list', 'queue list --domain example.org --state held --json'],
      options: listOptions,
    },
    (_, options) => withStore(io, options, ({ store }) => list(io, options, store.messages)),
  );
  define(
    queue,
    { usage: 'show <id>', about: 'One message with every attempt.', examples: ['queue show 1h8m2k9x70abc'] },
    ([id], options) =>
      withStore(io, options, async ({ store }) => {
        const message = await store.messages.get(id!);
        if (message === undefined) throw notFound([id!]);
        await (options.json ? printJson(io, traceShape(message)) : io.out(describeMessage(message, { paint: paintFor(io) })));
      }),
  );
  for (const action of ACTIONS) registerAction(queue, io, action);
  define(
    queue,
    { usage: 'summary', about: 'How much waits, by state and by destination.', examples: ['queue summary'] },
    (_, options) => withStore(io, options, ({ store }) => summary(io, options, store.messages)),
  );
};

function listOptions(command: Command): Command {
  return command
    .option('--domain <domain>', 'with a recipient in this domain')
    .option('--user <name>', 'of this credential')
    .option('--state <state>', `with a recipient in this state (${STATES.join(', ')}); repeatable`, collect);
}

async function list(io: Io, options: ListOptions & CommonOptions, messages: MessageStore): Promise<void> {
  const unknown = options.state?.find((state) => !(STATES as readonly string[]).includes(state));
  if (unknown !== undefined) throw new UsageError(`--state is one of ${STATES.join(', ')}, not "${unknown}"`);
  const pages = pagesOf(messages, {
    ...(options.domain === undefined ? {} : { domain: await domainTyped(options.domain) }),
    ...(options.user === undefined ? {} : { user: await nameTyped(options.user) }),
    ...(options.state === undefined ? {} : { states: options.state as readonly RecipientState[] }),
  });
  if (options.json) return printJsonArray(io, mapPages(pages, messageShape));
  let count = 0;
  for await (const page of pages) {
    await io.out(messageTable(page));
    count += page.length;
  }
  io.err(count === 0 ? 'Nothing waits.' : `${several(count, 'message')}.`);
}

/** No read of the store lasts longer than one page. */
async function* pagesOf(
  messages: MessageStore,
  query: Parameters<MessageStore['list']>[0],
): AsyncGenerator<readonly StoredMessage[]> {
  let after: string | undefined;
  do {
    const page: readonly StoredMessage[] = await messages.list({
      ...query,
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    if (page.length > 0) yield page;
    after = page.length < PAGE ? undefined : page.at(-1)!.id;
  } while (after !== undefined);
}

async function* mapPages<T>(
  pages: AsyncIterable<readonly StoredMessage[]>,
  shape: (message: StoredMessage) => T,
): AsyncGenerator<readonly T[]> {
  for await (const page of pages) yield page.map(shape);
}

type Change = (selection: Selection) => Promise<readonly Touched[]>;
type Action = {
  readonly name: 'retry' | 'hold' | 'release' | 'remove' | 'reroute';
  readonly about: string;
  readonly done: string;
  readonly note?: string;
};

const ACTIONS: readonly Action[] = [
  {
    name: 'retry',
    about: 'Try again now, also where the hosts rest; the age stays.',
    done: 'due now',
    note: ' Hosts that rest after failures get one attempt; where they answer, their rest is over.',
  },
  { name: 'hold', about: 'Keep it and do not try it until `release`.', done: 'held' },
  { name: 'release', about: 'Let held mail go on.', done: 'released' },
  { name: 'remove', about: 'Take it out of the queue; no report is sent.', done: 'removed' },
  {
    name: 'reroute',
    about: 'Choose the destination anew, by the routes of the configuration as it is now.',
    done: 'rerouted',
  },
];

function registerAction(queue: Command, io: Io, action: Action): void {
  const { name, about } = action;
  const options = (command: Command) => {
    command.option('--domain <domain>', 'all recipients in this domain');
    return command.option('--all', 'all that has not ended');
  };
  const examples = [`queue ${name} 1h8m2k9x70abc`, `queue ${name} --domain example.org`];
  define<SelectOptions>(queue, { usage: `${name} [id...]`, about, examples, options }, async (ids, options) => {
    const selection = await select(ids, options);
    await withStore(io, options, async ({ config, store }) => {
      const { messages } = store;
      if (action.name !== 'reroute') {
        const change: Change = (chosen) => messages[action.name as 'retry'](chosen, Date.now());
        return apply(io, options, action, selection, change);
      }
      const destinationOf = await destinationChooser(config);
      await apply(io, options, action, selection, (chosen) => messages.reroute(chosen, Date.now(), destinationOf));
    });
  });
}

async function select(ids: readonly string[], { domain, all }: SelectOptions): Promise<Selection> {
  const ways = [ids.length > 0, domain !== undefined, all === true].filter(Boolean).length;
  if (ways !== 1) throw new UsageError('say which: one or more IDs, or --domain DOMAIN, or --all');
  if (domain !== undefined) return { domain: await domainTyped(domain) };
  return all ? { all } : { ids: [...new Set(ids)] };
}

/** An ID without a recipient that changed is a failure, after the others are done. */
async function apply(io: Io, options: CommonOptions, action: Action, selection: Selection, change: Change): Promise<void> {
  const touched = await change(selection);
  if (options.json) await printJson(io, touched.map(touchedShape));
  else if (touched.length > 0) await io.out(touchedTable(touched));
  io.err(
    touched.length === 0
      ? `Nothing was ${action.name === 'retry' ? 'waiting' : action.done}.`
      : `${several(touched.length, 'recipient')} ${action.done}.${action.note ?? ''}`,
  );
  const missing = selection.ids?.filter((id) => !touched.some((one) => one.id === id)) ?? [];
  if (missing.length > 0) throw notFound(missing, action.name);
}

function notFound(ids: readonly string[], action?: string): CommandError {
  const what = action === undefined ? 'No message' : `Nothing to ${action} in`;
  return new CommandError(
    `${what} ${ids.join(', ')}. \`smarthost queue list\` shows what waits, \`smarthost trace\` what became of the rest.`,
  );
}

async function summary(io: Io, options: CommonOptions, messages: MessageStore): Promise<void> {
  const { states, oldestAcceptedAt } = await messages.counts();
  const destinations = await messages.summary(1000);
  if (options.json) {
    const shaped = destinations.map((one) => ({
      ...one,
      oldestAcceptedAt: iso(one.oldestAcceptedAt),
      nextAttemptAt: iso(one.nextAttemptAt),
    }));
    return printJson(io, { states, oldestAcceptedAt: iso(oldestAcceptedAt), destinations: shaped });
  }
  if (destinations.length === 0) return io.err('Nothing waits.');
  const rows = destinations.map((one) => [
    one.destination,
    String(one.recipients),
    time(one.oldestAcceptedAt),
    time(one.nextAttemptAt),
  ]);
  await io.out(table(['DESTINATION', 'RECIPIENTS', 'OLDEST', 'NEXT'], rows));
  io.err(
    `Recipients: ${Object.entries(states)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ')}.`,
  );
}

async function domainTyped(text: string): Promise<string> {
  const { parseDomain } = await import('../config/config.ts');
  return typed('--domain', () => parseDomain(text));
}

async function nameTyped(text: string): Promise<string> {
  const { normalizeName } = await import('../credentials/credentials.ts');
  return typed('--user', () => normalizeName(text));
}
