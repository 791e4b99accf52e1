/** `smarthost refused` and `smarthost history`: what was refused to clients, and how much passed. */
import { Option } from 'commander';
import { parseDuration } from '../config/config.ts';
import type { HistoryRow, RefusedByUs } from '../control/control.ts';
import { DAY } from '../system/clock.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';
import { limitTyped, typed } from './errors.ts';
import { printJson } from './io.ts';
import { roundSize } from './message-text.ts';
import { table, time } from './text.ts';

const SHOWN = 50;
const MOST = 10_000;

type RefusedOptions = { readonly user?: string; readonly ip?: string; readonly since?: string; readonly limit?: string };

export const registerRefused: Register = (program, io) => {
  define<RefusedOptions>(
    program,
    {
      usage: 'refused',
      about:
        'Why does my client get errors? Commands, messages and logins that the relay has refused, the newest first. Equal ones in a row are one line.',
      examples: ['refused', 'refused --user shop --since 1h', 'refused --ip 203.0.113.9 --json'],
      options: (command) =>
        command
          .option('--user <name>', 'of this credential only')
          .option('--ip <address>', 'of clients at this address only')
          .option('--since <duration>', 'how far to look back, such as 1h (default: as far as it is kept)')
          .option('--limit <n>', `at most so many (default: ${SHOWN})`),
    },
    (_, { json, ...options }) =>
      withControl(io, options, async ({ control }) => {
        const { user, ip, since } = options;
        const back = since === undefined ? undefined : typed('--since', () => parseDuration(since));
        const found = await control.activity.refused({
          ...(user === undefined ? {} : { user }),
          ...(ip === undefined ? {} : { ip }),
          ...(back === undefined ? {} : { since: Date.now() - back }),
          limit: limitTyped(options.limit, SHOWN, MOST),
        });
        if (json) return printJson(io, found);
        if (found.length === 0) return io.err('Nothing was refused. The relay writes this every 5 seconds.');
        await io.out(table(['LAST', 'TIMES', 'CLIENT', 'USER', 'AT', 'FROM', 'TO', 'REPLY'], found.map(refusedRow)));
      }),
  );
};

function refusedRow(refused: RefusedByUs): readonly string[] {
  const { until, count, ip, user, verb, reversePath, recipient, reply } = refused;
  return [time(until), String(count), ip, user ?? '', verb, reversePath ?? '', recipient ?? '', reply];
}

type HistoryOptions = {
  readonly by: 'user' | 'destination';
  readonly name?: string;
  readonly since?: string;
  readonly step: string;
};

export const registerHistory: Register = (program, io) => {
  define<HistoryOptions>(
    program,
    {
      usage: 'history',
      about:
        'How much passed, by credential or by domain of the recipients. `accepted` counts messages, the other outcomes count recipients; a recipient that is delayed several times counts each time.',
      examples: [
        'history',
        'history --since 7d --step day',
        'history --by destination --since 24h',
        'history --name shop --step hour --json',
      ],
      options: (command) =>
        command
          .addOption(new Option('--by <subject>', 'user or destination').choices(['user', 'destination']).default('user'))
          .option('--name <name>', 'of this credential or domain only')
          .option('--since <duration>', 'how far to look back (default: 30d); users are kept for 400 days, destinations for 31')
          .addOption(
            new Option('--step <step>', 'a line for each hour, each day, or the whole time')
              .choices(['hour', 'day', 'whole'])
              .default('whole'),
          ),
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const back = typed('--since', () => parseDuration(options.since ?? '30d'));
        const now = Date.now();
        const rows = await control.activity.history({
          ...{ by: options.by, from: Math.max(0, now - Math.min(back, 400 * DAY)), to: now, names: true },
          step: options.step as 'hour' | 'day' | 'whole',
          ...(options.name === undefined ? {} : { name: options.name.toLowerCase() }),
        });
        if (options.json) return printJson(io, rows);
        if (rows.length === 0) return io.err('Nothing passed. The relay writes this every minute.');
        const header = [
          'FROM',
          options.by.toUpperCase(),
          'ACCEPTED',
          'RELAYED',
          'DELAYED',
          'FAILED',
          'EXPIRED',
          'REFUSED',
          'SIZE',
        ];
        await io.out(table(header, rows.map(historyRow)));
      }),
  );
};

function historyRow({ from, name, accepted, relayed, delayed, failed, expired, refused, bytes }: HistoryRow): readonly string[] {
  const counts = [accepted, relayed, delayed, failed, expired, refused].map(String);
  return [time(from), name, ...counts, roundSize(bytes)];
}
