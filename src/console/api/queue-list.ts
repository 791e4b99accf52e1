/** The mail that waits: by destination, by credential, or message by message. */
import * as v from 'valibot';
import { ApiProblem } from '../problem.ts';
import { type ApiCaller, route } from '../route.ts';
import { isoTime, listedMessage, maybeTime, stateCounts } from './message-shapes.ts';
import { browseQuery, MESSAGE_FILTERS } from './messages.ts';
import { given, nextPage, pageBefore, pageLimit } from './paging.ts';
import { sees, sightOf } from './sight.ts';

const OPEN = ['queued', 'active', 'delayed', 'uncertain', 'held'] as const;
const BUDGET = 100;

const group = v.object({
  name: v.pipe(v.nullable(v.string()), v.description('The destination, or the credential. null: mail of smarthost itself.')),
  recipients: v.number(),
  messages: v.number(),
  states: stateCounts,
  oldestAcceptedAt: isoTime,
  nextAttemptAt: maybeTime,
  lastReply: v.pipe(v.nullable(v.string()), v.description('What the oldest message was told last.')),
  rest: v.pipe(
    v.nullable(v.object({ until: isoTime, failures: v.number(), reason: v.string() })),
    v.description('The hosts of the destination get no mail until then. null: they do.'),
  ),
});

/** One destination or login of `GET /queue`. */
export type ApiQueueGroup = v.InferOutput<typeof group>;

export const QUEUE_LIST_ROUTES = [
  route({
    method: 'GET',
    path: '/queue',
    access: 'account',
    scope: 'messages:read',
    about: 'What waits: groups, the largest first, or messages, the newest first.',
    query: v.strictObject({
      by: v.optional(v.picklist(['destination', 'credential', 'message'])),
      ...MESSAGE_FILTERS,
      limit: pageLimit,
      before: pageBefore,
    }),
    answer: v.variant('by', [
      v.object({ by: v.picklist(['destination', 'credential']), items: v.array(group), next: nextPage }),
      v.object({ by: v.literal('message'), items: v.array(listedMessage), next: nextPage, searchedBackTo: maybeTime }),
    ]),
    async handle({ query: { by: kind = 'destination', limit, before, ...filters }, by, control, parts }) {
      if (kind === 'message') {
        const states = filters.state?.filter((state) => (OPEN as readonly string[]).includes(state)) ?? OPEN;
        const query = { ...browseQuery(by, filters), states, ...given({ before }), limit, budget: BUDGET };
        return { by: kind, ...(await control.trace.browse(query)) };
      }
      const wrong = Object.keys(given(filters)).filter((name) => name !== 'credential');
      if (wrong.length > 0) throw new ApiProblem(422, `Groups have no filter ${wrong.join(', ')}: ask with by=message.`);
      const users = usersOf(by, filters.credential);
      const found = await control.queue.groups({
        by: kind === 'credential' ? 'user' : 'destination',
        ...(users === null ? {} : { users }),
        limit,
      });
      const rests = new Map(kind === 'destination' ? parts.live.destinations().map((one) => [one.destination, one.rest]) : []);
      const items = found.map((one) => {
        const rest = rests.get(one.name ?? '') ?? null;
        return { ...one, rest: rest && { ...rest, until: new Date(rest.until).toISOString() } };
      });
      return { by: kind, items, next: null };
    },
  }),
];

/** null: the mail of all. */
function usersOf(by: ApiCaller | undefined, credential: string | undefined): readonly string[] | null {
  if (credential === undefined) return sightOf(by);
  return sees(by, credential) ? [credential] : [];
}
