/** Destinations: how much mail goes there at a isoTime, what rests, and what they have said. */
import * as v from 'valibot';
import type { QueuedGroup } from '../../control/control.ts';
import type { Heard24h, LiveDestination } from '../live-facts.ts';
import { ApiProblem } from '../problem.ts';
import { route } from '../route.ts';
import { isoTime, maybeTime, stateCounts } from './message-shapes.ts';
import { nextPage, pageLimit } from './paging.ts';
import { checkSeesAll } from './sight.ts';

/** Groups of the queue that are read for one answer. */
const MOST_GROUPS = 1000;

const destinationShape = v.object({
  key: v.pipe(v.string(), v.description('The domain, or `route:` and the first host of a route.')),
  hosts: v.pipe(v.nullable(v.string()), v.description('Its mail hosts. null: not looked up since the start.')),
  provider: v.nullable(v.string()),
  sessions: v.pipe(v.number(), v.description('Under way to these hosts now, for all destinations that have them.')),
  allowed: v.pipe(v.nullable(v.number()), v.description('So many may be at a time now. null: not known yet.')),
  inLine: v.pipe(v.number(), v.description('Attempts that wait for a session.')),
  rest: v.pipe(
    v.nullable(v.object({ until: isoTime, failures: v.number(), reason: v.string() })),
    v.description('The hosts get no mail until then, for the so-many-th time in a row. null: they do.'),
  ),
  waiting: v.pipe(v.number(), v.description('Recipients that have not ended.')),
  states: stateCounts,
  oldestAcceptedAt: maybeTime,
  nextAttemptAt: maybeTime,
  heard: v.pipe(
    v.nullable(
      v.object({
        since: isoTime,
        replies: v.array(v.object({ code: v.number(), status: v.string(), count: v.number() })),
        tls: v.array(v.object({ version: v.nullable(v.string()), count: v.number() })),
        last: v.object({ at: isoTime, outcome: v.string(), reply: v.string(), mx: v.nullable(v.string()) }),
      }),
    ),
    v.description('What it has said in the last 24 hours, or since the start. null: nothing.'),
  ),
});

type Shape = ReturnType<typeof shapeOf>;

export const DESTINATION_ROUTES = [
  route({
    method: 'GET',
    path: '/destinations',
    access: 'account',
    scope: 'messages:read',
    about: 'Destinations with mail that waits, and those that have had mail since the start. Those that rest come first.',
    query: v.strictObject({ limit: pageLimit }),
    answer: v.object({ items: v.array(destinationShape), next: nextPage, total: v.number() }),
    async handle({ query: { limit }, by, control, parts }) {
      checkSeesAll(by);
      const groups = await control.queue.groups({ by: 'destination', limit: MOST_GROUPS });
      const all = joined(parts.live.destinations(), groups);
      return { items: all.slice(0, limit), next: null, total: all.length };
    },
  }),
  route({
    method: 'GET',
    path: '/destinations/:key',
    access: 'account',
    scope: 'messages:read',
    about: 'One destination.',
    answer: destinationShape,
    async handle({ params: { key }, by, control, parts }) {
      checkSeesAll(by);
      const groups = await control.queue.groups({ by: 'destination', limit: MOST_GROUPS });
      const found = joined(parts.live.destinations(), groups).find((one) => one.key === key.toLowerCase());
      if (found === undefined) throw new ApiProblem(404, `No mail waits for ${key}, and none has gone there since the start.`);
      return found;
    },
  }),
];

/** Resting ones first, then those with most that waits. */
function joined(live: readonly LiveDestination[], groups: readonly QueuedGroup[]): readonly Shape[] {
  const waiting = new Map(groups.map((group) => [group.name ?? '', group]));
  const known = live.map((one) => shapeOf(one.destination, one, waiting.get(one.destination)));
  const names = new Set(live.map(({ destination }) => destination));
  const others = groups.filter(({ name }) => name !== null && !names.has(name)).map((one) => shapeOf(one.name!, undefined, one));
  return [...known, ...others].sort(
    (a, b) => Number(b.rest !== null) - Number(a.rest !== null) || b.waiting - a.waiting || (a.key < b.key ? -1 : 1),
  );
}

function shapeOf(key: string, live: LiveDestination | undefined, group: QueuedGroup | undefined) {
  const rest = live?.rest ?? null;
  return {
    key,
    hosts: live?.hosts ?? null,
    provider: live?.provider ?? null,
    sessions: live?.sessions ?? 0,
    allowed: live === undefined || live.hosts === null ? null : live.allowed,
    inLine: live?.inLine ?? 0,
    rest: rest && { ...rest, until: iso(rest.until) },
    waiting: group?.recipients ?? 0,
    states: group?.states ?? {},
    oldestAcceptedAt: group?.oldestAcceptedAt ?? null,
    nextAttemptAt: group?.nextAttemptAt ?? null,
    heard: heardShape(live?.heard ?? null),
  };
}

function heardShape(heard: Heard24h | null) {
  return heard && { ...heard, since: iso(heard.since), last: { ...heard.last, at: iso(heard.last.at) } };
}

const iso = (at: number) => new Date(at).toISOString();
