/** `smarthost status` and `smarthost destinations`: does mail flow, and what waits for whom. */
import type { QueuedGroup, StoredStatus } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';
import { CommandError, limitTyped } from './errors.ts';
import { printJson } from './io.ts';
import { table, time } from './text.ts';

const SHOWN = 50;
const MOST = 1000;

export const registerStatus: Register = (program, io) => {
  define(
    program,
    {
      usage: 'status',
      about: 'What waits, what passed in the last 24 hours, and how much of its limits each credential has used.',
      examples: ['status', 'status --json'],
    },
    (_, { json, ...options }) =>
      withControl(io, options, async ({ control }) => {
        const status = await control.status.show(null);
        await (json ? printJson(io, status) : io.out(describeStatus(status)));
      }),
  );
};

function describeStatus({ queue, last24Hours, credentials }: StoredStatus): string {
  const oldest = queue.oldestAcceptedAt === null ? '' : `, the oldest since ${time(queue.oldestAcceptedAt)}`;
  const passed = Object.entries(last24Hours).map(([outcome, count]) => `${outcome} ${count}`);
  const rows = credentials.map(({ name, accepted24Hours, limit }) => {
    const used = limit === null ? '' : `${limit.percent} % of ${limit.count} ${limit.kind} per ${limit.per}`;
    return [name, String(accepted24Hours), used];
  });
  const lines = [`waiting ${queue.waiting}, held ${queue.held}${oldest}`, `last 24 hours: ${passed.join(', ')}`];
  return rows.length === 0 ? `${lines.join('\n')}\n` : `${lines.join('\n')}\n${table(['USER', 'ACCEPTED', 'LIMIT'], rows)}`;
}

export const registerDestinations: Register = (program, io) => {
  define<{ readonly limit?: string }>(
    program,
    {
      usage: 'destinations [name]',
      about: 'For which destinations mail waits, since when, and what they said last. The largest first.',
      examples: ['destinations', 'destinations example.com --json'],
      options: (command) => command.option('--limit <n>', `at most so many (default: ${SHOWN})`),
    },
    ([name], { json, ...options }) =>
      withControl(io, options, async ({ control }) => {
        const limit = name === undefined ? limitTyped(options.limit, SHOWN, MOST) : MOST;
        const all = await control.queue.groups({ by: 'destination', limit });
        const found = name === undefined ? all : all.filter((one) => one.name === name.toLowerCase());
        if (name !== undefined && found.length === 0) throw new CommandError(`No mail waits for ${name}.`);
        if (json) return printJson(io, name === undefined ? found : found[0]);
        if (found.length === 0) return io.err('Nothing waits.');
        await io.out(table(['DESTINATION', 'RECIPIENTS', 'HELD', 'OLDEST', 'NEXT', 'LAST REPLY'], found.map(groupRow)));
      }),
  );
};

function groupRow({ name, recipients, states, oldestAcceptedAt, nextAttemptAt, lastReply }: QueuedGroup): readonly string[] {
  const next = nextAttemptAt === null ? '' : time(nextAttemptAt);
  return [name ?? '', String(recipients), String(states.held ?? 0), time(oldestAcceptedAt), next, lastReply ?? ''];
}
