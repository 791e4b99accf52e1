/** The last lines of the log, and those that come. */
import * as v from 'valibot';
import type { LiveFacts } from '../live-facts.ts';
import { route } from '../route.ts';
import { eventStream } from './event-stream.ts';
import { shortText } from './paging.ts';
import { checkSeesAll } from './sight.ts';

const KEPT = 2000;
/** Lines of one frame. */
const MOST_LINES = 500;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

type Line = { readonly seq: number; readonly line: string };
type LogFilter = { readonly level?: (typeof LEVELS)[number] | undefined; readonly event?: string | undefined };

const FILTERS = {
  level: v.optional(v.pipe(v.picklist(LEVELS), v.description('This level and those above it.'))),
  event: shortText('The name of an event.'),
  after: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}$/, 'after is the `seq` of a line.'),
      v.transform(Number),
      v.description('Only lines behind this `seq`.'),
    ),
  ),
};

export const LOG_ROUTES = [
  route({
    method: 'GET',
    path: '/log',
    access: 'operator',
    scope: 'metrics:read',
    about: 'The last lines of the log, from memory, the oldest first: at most 2,000 since the start.',
    query: v.strictObject({
      ...FILTERS,
      limit: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^[1-9]\d{0,3}$/, `limit is a whole number from 1 to ${KEPT}.`),
          v.transform(Number),
          v.maxValue(KEPT, `limit is a whole number from 1 to ${KEPT}.`),
        ),
        '500',
      ),
    }),
    answer: v.object({
      items: v.array(
        v.object({
          seq: v.pipe(v.number(), v.description('Grows by one with each line since the start.')),
          line: v.pipe(v.string(), v.description('JSON with `level`, `time`, `event` and the fields of the event.')),
        }),
      ),
    }),
    async handle({ query: { limit, after = 0, ...filter }, by, parts }) {
      checkSeesAll(by);
      const fitting = parts.live.log.recent().filter((line) => line.seq > after && fits(line.line, filter));
      return { items: fitting.slice(-limit) };
    },
  }),
  route({
    method: 'GET',
    path: '/log/live',
    access: 'operator',
    scope: 'metrics:read',
    about: 'Lines of the log as they come: events `lines` with `items` as in /log, and `more`, the number of those left out.',
    query: v.strictObject(FILTERS),
    streams: 'text/event-stream',
    async handle({ query: { after, ...filter }, by, parts, signal }) {
      checkSeesAll(by);
      return linesAsTheyCome(parts.live, filter, after, signal);
    },
  }),
];

function linesAsTheyCome({ log }: LiveFacts, filter: LogFilter, after: number | undefined, signal: AbortSignal) {
  return eventStream(() => {
    let waiting: Line[] = after === undefined ? [] : log.recent().filter(({ seq, line }) => seq > after && fits(line, filter));
    let more = Math.max(0, waiting.length - MOST_LINES);
    waiting = waiting.slice(-MOST_LINES);
    const end = log.watch((seq, line) => {
      if (!fits(line, filter)) return;
      if (waiting.length < MOST_LINES) waiting.push({ seq, line });
      else more++;
    });
    const next = () => {
      if (waiting.length === 0) return undefined;
      const id = String(waiting.at(-1)!.seq);
      const data = JSON.stringify({ items: waiting, more });
      waiting = [];
      more = 0;
      return { id, event: 'lines', data };
    };
    return { next, end };
  }, signal);
}

function fits(line: string, { level, event }: LogFilter): boolean {
  if (level === undefined && event === undefined) return true;
  try {
    const said = JSON.parse(line) as { readonly level?: unknown; readonly event?: unknown };
    const isLoud = level === undefined || LEVELS.indexOf(said.level as (typeof LEVELS)[number]) >= LEVELS.indexOf(level);
    return isLoud && (event === undefined || said.event === event);
  } catch {
    return false;
  }
}
