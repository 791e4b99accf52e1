/** `smarthost changes`: who has changed what. */
import { parseDuration } from '../config/config.ts';
import type { KnownChange } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';
import { limitTyped, typed } from './errors.ts';
import { printJson } from './io.ts';
import { several, table, time } from './text.ts';

const SHOWN = 50;
const MOST = 10_000;
/** Characters of a value. `--json` has the whole. */
const MOST_OF_VALUE = 60;

type ChangesOptions = { readonly actor?: string; readonly action?: string; readonly since?: string; readonly limit?: string };

export const registerChanges: Register = (program, io) => {
  define<ChangesOptions>(
    program,
    {
      usage: 'changes',
      about: 'Who has changed what, by a command, in the console or by its API: the newest first. Kept for a year.',
      examples: ['changes', 'changes --action user --since 7d', 'changes --actor anna --json'],
      options: (command) =>
        command
          .option('--actor <name>', 'by this account, user of the system, or smarthost')
          .option('--action <action>', 'user.add, or user for all about users')
          .option('--since <duration>', 'how far to look back, such as 7d (default: as far as it is kept)')
          .option('--limit <n>', `at most so many (default: ${SHOWN})`),
    },
    (_, { json, ...options }) =>
      withControl(io, options, async ({ control }) => {
        const { actor, action } = options;
        const back = options.since === undefined ? undefined : typed('--since', () => parseDuration(options.since!));
        const since = back === undefined ? undefined : Date.now() - back;
        const found = await control.changes.list({ actor, action, since, limit: limitTyped(options.limit, SHOWN, MOST) });
        if (json) return printJson(io, found);
        if (found.length === 0) return io.err('Nothing was changed.');
        await io.out(table(['AT', 'BY', 'WAY', 'FROM', 'ACTION', 'TARGET', 'CHANGE'], found.map(changeRow)));
      }),
  );
};

function changeRow(change: KnownChange): readonly string[] {
  const { at, actor, way, address, action, target, recipients } = change;
  const words = recipients === null ? differences(change) : several(recipients, 'recipient');
  return [time(at), actor, way, address ?? '', action, target, words];
}

/** The fields that differ; of what is new or gone, nothing, because its action says so. */
function differences({ before, after }: KnownChange): string {
  if (!isRecord(before) || !isRecord(after)) return '';
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => `${name}: ${short(before[name])} > ${short(after[name])}`)
    .join('; ');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return text.length > MOST_OF_VALUE ? `${text.slice(0, MOST_OF_VALUE)}…` : text;
}
