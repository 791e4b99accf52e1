/** `smarthost queue …`: the queued mail, and the actions on it. */
import type { Command } from 'commander';
import { parseDomain, parseDuration } from '../config/config.ts';
import type { Control, QueueChange, QueuePreview } from '../control/control.ts';
import type { RecipientState, Selection } from '../store/store.ts';
import { paintFor } from './colours.ts';
import { withControl } from './context.ts';
import { type CommonOptions, collect, define, group, type Register } from './define.ts';
import { CommandError, typed, UsageError, WHERE_MAIL_IS } from './errors.ts';
import { type Io, printJson, printJsonArray } from './io.ts';
import { checkStates, describeMessage, messageDocument, messageTable, OPEN, STATES, touchedTable } from './message-text.ts';
import { several, table, time } from './text.ts';

type ListOptions = { readonly domain?: string; readonly user?: string; readonly state?: readonly string[] };
type SelectOptions = ListOptions & {
  readonly destination?: string;
  readonly olderThan?: string;
  readonly upTo?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
};

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
    (_, options) => withControl(io, options, ({ control }) => list(io, options, control)),
  );
  define(
    queue,
    { usage: 'show <id>', about: 'One message with every attempt.', examples: ['queue show 1h8m2k9x70abc'] },
    ([id], options) =>
      withControl(io, options, async ({ control }) => {
        const message = await control.queue.show(id!);
        await (options.json
          ? printJson(io, messageDocument(message))
          : io.out(describeMessage(message, { paint: paintFor(io) })));
      }),
  );
  for (const action of ACTIONS) registerAction(queue, io, action);
  define(
    queue,
    { usage: 'summary', about: 'Count the waiting mail by state and by destination.', examples: ['queue summary'] },
    (_, options) => withControl(io, options, ({ control }) => summary(io, options, control)),
  );
};

function listOptions(command: Command): Command {
  return command
    .option('--domain <domain>', 'with a recipient in this domain')
    .option('--user <name>', 'of this credential')
    .option('--state <state>', `with a recipient in this state (${STATES.join(', ')}); repeatable`, collect);
}

async function list(io: Io, options: ListOptions & CommonOptions, { queue }: Control): Promise<void> {
  if (options.state !== undefined) checkStates(options.state, STATES);
  const pages = queue.list({
    ...(options.domain === undefined ? {} : { domain: domainTyped(options.domain) }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.state === undefined ? {} : { states: options.state as readonly RecipientState[] }),
  });
  if (options.json) return printJsonArray(io, pages);
  let count = 0;
  for await (const page of pages) {
    await io.out(messageTable(page));
    count += page.length;
  }
  io.err(count === 0 ? 'Nothing waits.' : `${several(count, 'message')}.`);
}

type Action = {
  readonly name: 'retry' | 'hold' | 'release' | 'remove' | 'reroute';
  readonly about: string;
  readonly done: string;
  readonly note?: string;
};

const ACTIONS: readonly Action[] = [
  {
    name: 'retry',
    about: 'Try again now, even if the hosts rest. The age of the mail does not change.',
    done: 'due now',
    note: ' Hosts that rest after failures get one attempt; if they answer, their rest is over.',
  },
  { name: 'hold', about: 'Keep it and do not try it until `release`.', done: 'held' },
  { name: 'release', about: 'Let held mail continue.', done: 'released' },
  { name: 'remove', about: 'Take it out of the queue; no report is sent.', done: 'removed' },
  {
    name: 'reroute',
    about: 'Choose the destination again, by the routes of the current configuration.',
    done: 'rerouted',
  },
];

function registerAction(queue: Command, io: Io, action: Action): void {
  const { name, about } = action;
  const options = (command: Command) =>
    command
      .option('--domain <domain>', 'recipients in this domain')
      .option('--destination <name>', 'recipients that are delivered to this domain or route (see `queue summary`)')
      .option('--user <name>', 'mail of this credential')
      .option('--state <state>', `recipients in this state (${OPEN.join(', ')}); repeatable`, collect)
      .option('--older-than <duration>', 'mail that was accepted longer ago, such as 2h')
      .option('--all', 'all that has not ended')
      .option('--up-to <pin>', 'no more than what --dry-run found, which says this')
      .option('--dry-run', 'change nothing, and say how much it would be');
  const examples = [`queue ${name} 1h8m2k9x70abc`, `queue ${name} --domain example.org --older-than 2h --dry-run`];
  define<SelectOptions>(queue, { usage: `${name} [id...]`, about, examples, options }, async (ids, options) => {
    const selection = select(ids, options);
    await withControl(io, options, async ({ control }) => {
      if (options.dryRun) await tellPreview(io, options, await control.queue.preview(selection));
      else await tell(io, options, action, await control.queue[name](selection));
    });
  });
}

function select(ids: readonly string[], { domain, destination, user, state, olderThan, all, upTo }: SelectOptions): Selection {
  if (state !== undefined) checkStates(state, OPEN);
  const filter: Selection = {
    ...(domain === undefined ? {} : { domain: domainTyped(domain) }),
    ...(destination === undefined ? {} : { destination }),
    ...(user === undefined ? {} : { user }),
    ...(state === undefined ? {} : { states: state as readonly RecipientState[] }),
    ...(olderThan === undefined ? {} : { acceptedBefore: Date.now() - typed('--older-than', () => parseDuration(olderThan)) }),
  };
  const filters = Object.keys(filter).length > 0;
  if ([ids.length > 0, filters, all === true].filter(Boolean).length !== 1)
    throw new UsageError('say which: one or more IDs, or options such as --domain and --user, which must all fit, or --all');
  if (ids.length > 0) return { ids };
  return { ...(filters ? filter : { all: true }), ...(upTo === undefined ? {} : { upTo }) };
}

async function tellPreview(io: Io, options: CommonOptions & SelectOptions, preview: QueuePreview): Promise<void> {
  const { recipients, messages, oldestAcceptedAt, upTo } = preview;
  if (options.json) return printJson(io, preview);
  if (recipients === 0) return io.err('Nothing fits.');
  io.err(
    `${several(recipients, 'recipient')} of ${several(messages, 'message')}, the oldest accepted ${time(oldestAcceptedAt)}. Nothing was changed. For no more than these: --up-to ${upTo}`,
  );
}

/** Fails at the end if an ID had no recipient to change. The other IDs are done before. */
async function tell(io: Io, options: CommonOptions, action: Action, { touched, missing }: QueueChange): Promise<void> {
  if (options.json) await printJson(io, touched);
  else if (touched.length > 0) await io.out(touchedTable(touched));
  io.err(
    touched.length === 0
      ? `Nothing was ${action.name === 'retry' ? 'waiting' : action.done}.`
      : `${several(touched.length, 'recipient')} ${action.done}.${action.note ?? ''}`,
  );
  if (missing.length > 0) throw new CommandError(`Nothing to ${action.name} in ${missing.join(', ')}. ${WHERE_MAIL_IS}`);
}

async function summary(io: Io, options: CommonOptions, { queue }: Control): Promise<void> {
  const found = await queue.summary();
  if (options.json) return printJson(io, found);
  const { states, destinations } = found;
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

function domainTyped(text: string): string {
  return typed('--domain', () => parseDomain(text));
}
