/** `smarthost trace`: shows what happened to a message, or lists messages. */
import type { Command } from 'commander';
import { parseDuration } from '../config/config.ts';
import type { Control } from '../control/control.ts';
import type { BrowseQuery, RecipientState } from '../store/store.ts';
import { paintFor } from './colours.ts';
import { withControl } from './context.ts';
import { type CommonOptions, collect, define, type Register } from './define.ts';
import { CommandError, limitTyped, typed, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { checkStates, describeMessage, listedTable, messageDocument, STATES } from './message-text.ts';
import { time } from './text.ts';

/** Most messages that are printed in full: an address may have thousands. */
const MOST = 100;
const SHOWN = 5;
const LISTED = 50;
const MOST_LISTED = 1000;

type Filter = {
  readonly user?: string;
  readonly from?: string;
  readonly to?: string;
  readonly subject?: string;
  readonly destination?: string;
  readonly state?: readonly string[];
  readonly since?: string;
  readonly before?: string;
  readonly limit?: string;
};
type TraceOptions = Filter & { readonly all?: boolean; readonly verbose?: boolean };

export const registerTrace: Register = (program, io) => {
  define<TraceOptions>(
    program,
    {
      usage: 'trace [what]',
      about:
        'Where is my mail? Find it by queue ID, Message-ID, or the address of a recipient or sender, and see every attempt. Or list the messages that fit the options; all of them must fit. The newest is first.',
      examples: [
        'trace 1h8m2k9x70abc',
        "trace '<1234@example.org>'",
        'trace bob@example.com --json',
        'trace --user shop --state failed --since 2d',
        'trace --to @example.com --subject invoice',
      ],
      options,
    },
    ([what], given) =>
      withControl(io, given, async ({ control }) => {
        const filter = filterOf(given);
        const isList = Object.keys(filter).length > 0;
        if ((what === undefined) !== isList)
          throw new UsageError('say which: a queue ID, Message-ID or address, or options such as --user, --to and --state');
        if (what === undefined) await list(io, given, control, filter);
        else await show(io, given, control, what);
      }),
  );
};

function options(command: Command): Command {
  return command
    .option('--all', `more than the newest ${SHOWN}, up to ${MOST}; --json always has them`)
    .option(
      '--verbose',
      'show the SMTP conversation of each attempt, kept for test messages (`smarthost send`); --json always has it',
    )
    .option('--user <name>', 'list mail of this credential')
    .option('--from <text>', 'list mail whose envelope sender has this text')
    .option('--to <text>', 'list mail with a recipient whose address has this text')
    .option('--subject <text>', 'list mail whose subject has this text')
    .option('--destination <name>', 'list mail for this domain or route')
    .option('--state <state>', `list mail with a recipient in this state (${STATES.join(', ')}); repeatable`, collect)
    .option('--since <duration>', 'list mail of this time, such as 2d')
    .option('--before <id>', 'continue a list behind this queue ID')
    .option('--limit <n>', `at most so many messages in a list (default: ${LISTED})`);
}

function filterOf({ user, from, to, subject, destination, state, since, before }: Filter): Omit<BrowseQuery, 'limit'> {
  if (state !== undefined) checkStates(state, STATES);
  return {
    ...(user === undefined ? {} : { user }),
    ...(from === undefined ? {} : { sender: from }),
    ...(to === undefined ? {} : { recipient: to }),
    ...(subject === undefined ? {} : { subject }),
    ...(destination === undefined ? {} : { destination }),
    ...(state === undefined ? {} : { states: state as readonly RecipientState[] }),
    ...(since === undefined ? {} : { since: Date.now() - typed('--since', () => parseDuration(since)) }),
    ...(before === undefined ? {} : { before }),
  };
}

async function list(io: Io, given: TraceOptions & CommonOptions, { trace }: Control, filter: Omit<BrowseQuery, 'limit'>) {
  const limit = limitTyped(given.limit, LISTED, MOST_LISTED);
  const { items, next } = await trace.browse({ ...filter, limit });
  if (given.json) return printJson(io, { items, next });
  if (items.length > 0) await io.out(listedTable(items));
  if (next !== null) io.err(`More: add --before ${next}, which was accepted ${time(items.at(-1)?.acceptedAt)}.`);
  else if (items.length === 0) io.err('No message fits, or its trace was forgotten (trace.keep).');
}

async function show(io: Io, { all, json, verbose }: TraceOptions & CommonOptions, { trace }: Control, what: string) {
  const found = await trace.find(what.trim(), MOST);
  const shown = all || json ? found : found.slice(0, SHOWN);
  if (json) await printJson(io, found.map(messageDocument));
  else {
    const manner = { paint: paintFor(io), conversations: verbose === true };
    await io.out(shown.map((message) => describeMessage(message, manner)).join('\n'));
  }
  if (found.length === 0)
    throw new CommandError(
      `Nothing is known of ${JSON.stringify(what)}: no such message, or its trace was forgotten (trace.keep).`,
    );
  if (shown.length < found.length)
    io.err(`The newest ${SHOWN} of ${found.length === MOST ? 'many' : found.length}; --all shows more.`);
  else if (found.length === MOST) io.err(`The newest ${MOST} are shown.`);
}
