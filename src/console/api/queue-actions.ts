/** What is done to queued mail: first a preview that pins what is meant, then the action on no more than that. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { type Control, readDomain } from '../../control/control.ts';
import type { Selection } from '../../store/store.ts';
import { SECOND } from '../../system/clock.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import { type ApiCaller, makerOf, route } from '../route.ts';
import { phraseShape } from './findings.ts';

const access = { access: 'operator', scope: 'queue:write' } as const;

const state = v.picklist(['queued', 'active', 'delayed', 'held', 'uncertain']);
const selection = v.pipe(
  v.strictObject({
    ids: v.optional(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(1000))),
    domain: v.optional(v.pipe(v.string(), v.description('The domain of the recipient.'))),
    destination: v.optional(v.pipe(v.string(), v.description('What it is delivered to: a domain, or a route.'))),
    user: v.optional(v.pipe(v.string(), v.description('The credential of the message.'))),
    states: v.optional(v.pipe(v.array(state), v.minLength(1))),
    olderThan: v.optional(v.pipe(v.number(), v.minValue(0), v.description('Seconds since the message was accepted.'))),
    all: v.optional(v.literal(true)),
  }),
  v.description('What is given must all fit. `ids` and `all` stand alone.'),
  v.check(
    ({ ids, all, ...filter }) => [ids !== undefined, all === true, Object.keys(filter).length > 0].filter(Boolean).length === 1,
    'say which: `ids`, or filters such as `domain` and `user`, which must all fit, or `all`',
  ),
);
const upTo = v.pipe(v.string(), v.description('From the preview: mail that came later is not touched.'));
const chosen = v.strictObject({ selection, upTo: v.optional(upTo) });

const named = { id: v.string(), recipient: v.nullable(v.string()), state: v.nullable(v.string()) };
const work = v.object({
  id: v.string(),
  what: v.string(),
  state: v.picklist(['running', 'done', 'failed']),
  startedAt: v.string(),
  total: v.pipe(v.nullable(v.number()), v.description('Recipients that fitted. null: they are being counted.')),
  done: v.pipe(v.number(), v.description('Recipients that are changed so far.')),
  result: v.nullable(
    v.object({
      changed: v.object({
        count: v.number(),
        recipients: v.pipe(v.array(v.object(named)), v.description('At most 100.')),
      }),
      unchanged: v.object({
        count: v.number(),
        recipients: v.pipe(
          v.array(v.object({ ...named, reason: v.string(), phrase: phraseShape })),
          v.description('At most 100.'),
        ),
      }),
    }),
  ),
  error: v.pipe(v.nullable(v.string()), v.description('Why it ended early. What was changed until then stays so.')),
});

type Chosen = v.InferOutput<typeof chosen>;
type Action = Parameters<Control['queue']['act']>[0];
type Asked = { readonly control: Control; readonly parts: ConsoleParts; readonly by: ApiCaller | undefined };

/** So long an answer waits for its work: most of it is done by then. */
const PATIENCE = SECOND;
/** Each may go through all of the queue. */
const MOST_AT_ONCE = 8;
/** Recipients. More are not removed without the password. */
export const MOST_UNASKED = 100;

function selectionOf({ selection: given, upTo: last }: Chosen, now: number): Selection {
  const { olderThan, domain, ...rest } = given;
  const whole = {
    ...rest,
    domain: domain === undefined ? undefined : readDomain(domain),
    acceptedBefore: olderThan === undefined ? undefined : now - olderThan * SECOND,
    upTo: last,
  };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
}

/** What is removed does not come back, so that nothing is removed that nobody saw. Ids name it themselves. @throws ApiProblem 422 */
function checkPinned({ selection: { ids }, upTo: last }: Chosen): void {
  if (ids !== undefined || last !== undefined) return;
  const detail =
    'Say up to where: ask /queue/preview what fits, and give the `upTo` of its answer. Later mail is then not removed.';
  throw new ApiProblem(422, detail, { errors: [{ pointer: '/upTo', detail }] });
}

async function begin(action: Action, chosenMail: Selection, { control, parts: { works }, by }: Asked) {
  const owner = makerOf(by!);
  if (works.running(owner) >= MOST_AT_ONCE)
    throw new ApiProblem(429, `${MOST_AT_ONCE} actions of yours are not done yet. Wait for one of them.`, {
      headers: { 'retry-after': '5' },
    });
  const { id, ended } = works.start({ owner, what: action }, (told) => control.queue.act(action, chosenMail, told));
  await Promise.race([ended, sleep(PATIENCE, undefined, { ref: false })]);
  return works.find(id, owner)!;
}

const ABOUT: Readonly<Record<Action, string>> = {
  retry: 'Makes mail due now, even if its hosts rest. Its age does not change.',
  hold: 'Keeps mail, and does not try it until it is released.',
  release: 'Lets held mail continue.',
  reroute: 'Chooses the destination again, by the routes of the current configuration.',
  remove:
    'Takes mail out of the queue. Nobody gets a report. A filter needs the `upTo` of a preview. More than 100 recipients need the password again.',
};

const whereWork = ({ id }: { readonly id: string }) => `/api/v1/queue/work/${id}`;
/** Each step of work is a transaction by itself, and done again it finds what is left. */
const steps = {
  ...access,
  method: 'POST',
  status: 202,
  answer: work,
  location: whereWork,
  goesOn: ({ id, state }: v.InferOutput<typeof work>, { works }: ConsoleParts) => state === 'running' && !works.isOurs(id),
} as const;
const acts = { ...steps, body: chosen } as const;
const aboutOf = (action: Action) => `${ABOUT[action]} Work that takes long goes on: Location says where to ask for it.`;

const HARMLESS = (['retry', 'hold', 'release', 'reroute'] as const).map((action) =>
  route({
    ...acts,
    path: `/queue/${action}`,
    about: aboutOf(action),
    handle: ({ body, ...asked }) => begin(action, selectionOf(body, asked.parts.now()), asked),
  }),
);

export const QUEUE_ACTION_ROUTES = [
  route({
    method: 'POST',
    path: '/queue/preview',
    ...access,
    about: 'What an action would find. Nothing changes. Its `upTo` keeps the action from mail that comes later.',
    body: chosen,
    answer: v.object({
      recipients: v.number(),
      messages: v.number(),
      oldestAcceptedAt: v.nullable(v.string()),
      upTo,
    }),
    handle: ({ control, body, parts }) => control.queue.preview(selectionOf(body, parts.now())),
  }),
  ...HARMLESS,
  route({
    ...acts,
    path: '/queue/remove',
    about: aboutOf('remove'),
    confirm: async ({ control, body, parts }) => {
      checkPinned(body);
      return (await control.queue.preview(selectionOf(body, parts.now()))).recipients > MOST_UNASKED;
    },
    handle: async ({ body, ...asked }) => {
      checkPinned(body);
      return begin('remove', selectionOf(body, asked.parts.now()), asked);
    },
  }),
  route({
    method: 'GET',
    path: '/queue/work/:id',
    ...access,
    about: 'How far an action has come, and its result for an hour.',
    answer: work,
    async handle({ params, parts, by }) {
      const found = parts.works.find(params.id, makerOf(by!));
      if (found === undefined) throw new ApiProblem(404, 'There is no such work, or it ended long ago.');
      return found;
    },
  }),
  route({
    ...steps,
    path: '/destinations/:key/resume',
    about: 'Ends the rest of the hosts of a destination, and makes its mail due now.',
    handle: ({ params, ...asked }) => begin('retry', { destination: params.key }, asked),
  }),
];
