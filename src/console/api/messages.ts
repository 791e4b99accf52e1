/** Messages: the list, and one of them. */
import * as v from 'valibot';
import type { Control } from '../../control/control.ts';
import type { BrowseQuery } from '../../store/store.ts';
import { ApiProblem } from '../problem.ts';
import { type ApiCaller, route } from '../route.ts';
import { liveMessages } from './live-messages.ts';
import { API_STATES, listedMessage, maybeTime, wholeMessage } from './message-shapes.ts';
import { messagesCsv } from './messages-csv.ts';
import { given, instant, nextPage, pageBefore, pageLimit, shortText } from './paging.ts';
import { sees, sightOf } from './sight.ts';

/** Milliseconds. A search that has found little until then says how far it came. */
const BUDGET = 100;
const WAITING = ['queued', 'active', 'delayed', 'uncertain'] as const;
const WORDS: ReadonlySet<string> = new Set([...API_STATES, 'waiting']);

/** Which messages: what is given must all fit. */
export const MESSAGE_FILTERS = {
  state: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => text.split(',').every((word) => WORDS.has(word)), `state is one or more of ${[...WORDS].join(', ')}.`),
      v.transform((text) =>
        text.split(',').flatMap((word) => (word === 'waiting' ? WAITING : [word as (typeof API_STATES)[number]])),
      ),
      v.description(
        'States of a recipient, with commas between them. `waiting` stands for queued, active, delayed and uncertain.',
      ),
    ),
  ),
  from: shortText('Part of the envelope sender. The case of ASCII letters does not count.'),
  to: shortText('Part of the address of a recipient.'),
  subject: shortText('Part of the subject.'),
  credential: shortText('The login that has sent it.'),
  destination: shortText('The domain of a recipient, or a route.'),
  messageId: shortText('The Message-ID, with angle brackets or without.'),
  since: instant('since', 'Accepted then or later.'),
  until: instant('until', 'Accepted before then.'),
};

/** Recipients of one message come in parts: there may be thousands of attempts. */
const firstRecipient = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,9}$/, 'from is a whole number, the number of a recipient.'),
    v.transform(Number),
    v.description('The number of the first recipient that is shown, from 0 on: the `next` of the answer before.'),
  ),
  '0',
);

type Filters = v.InferOutput<v.StrictObjectSchema<typeof MESSAGE_FILTERS, undefined>>;

/** What the store is asked. The caller sees no other mail, whatever the filters say. */
export function browseQuery(by: ApiCaller | undefined, filters: Filters): Omit<BrowseQuery, 'limit'> {
  const { state: states, from: sender, to: recipient, credential: user, ...rest } = filters;
  const users = sightOf(by);
  return given({ ...rest, states, sender, recipient, user, ...(users === null ? {} : { users }) });
}

export const MESSAGE_ROUTES = [
  route({
    method: 'GET',
    path: '/messages',
    access: 'account',
    scope: 'messages:read',
    about: 'Messages that fit, the newest first, ended ones too. A search ends after some time and says how far it came.',
    query: v.strictObject({ ...MESSAGE_FILTERS, limit: pageLimit, before: pageBefore }),
    answer: v.object({
      items: v.array(listedMessage),
      next: nextPage,
      searchedBackTo: v.pipe(maybeTime, v.description('All that is newer was looked at. null: to the oldest message.')),
    }),
    async handle({ query: { limit, before, ...filters }, by, control }) {
      return control.trace.browse({ ...browseQuery(by, filters), ...given({ before }), limit, budget: BUDGET });
    },
  }),
  route({
    method: 'GET',
    path: '/messages.csv',
    access: 'account',
    scope: 'messages:read',
    about: 'The same messages as a table for spreadsheets, one line each, with at most 20 recipients.',
    query: v.strictObject(MESSAGE_FILTERS),
    streams: 'text/csv',
    handle: async ({ query, by, control, signal }) => messagesCsv(control.trace, browseQuery(by, query), signal),
  }),
  route({
    method: 'GET',
    path: '/messages/live',
    access: 'account',
    scope: 'messages:read',
    about:
      'Messages as they come and change: events `messages` with `items` as in /messages, at most 100 in half a second, and `more`, the number of changes left out (null: unknown).',
    query: v.strictObject({ ...MESSAGE_FILTERS, after: shortText('Only newer messages than the one with this id.') }),
    streams: 'text/event-stream',
    async handle({ query: { after, ...filters }, by, control, parts, signal }) {
      const { live } = parts;
      const query = browseQuery(by, filters);
      return liveMessages({ live, trace: control.trace, query, sees: (user) => sees(by, user), after, signal });
    },
  }),
  route({
    method: 'GET',
    path: '/messages/:id',
    access: 'account',
    scope: 'messages:read',
    about: 'One message with each attempt for some of its recipients, and what its sender was told.',
    query: v.strictObject({ from: firstRecipient, limit: pageLimit }),
    answer: wholeMessage,
    async handle({ params: { id }, query, by, control }) {
      const message = await control.trace.show(id, query);
      if (!sees(by, message.user)) throw new ApiProblem(404, `No message ${id}.`);
      return message;
    },
  }),
  route({
    method: 'GET',
    path: '/messages/:id/headers',
    access: 'operator',
    scope: 'messages:read',
    confined: true,
    about: 'The header of a message that waits, as it leaves.',
    streams: 'text/plain',
    async handle({ params: { id }, by, control }) {
      await checkSeen(id, by, control);
      return control.content.header(id);
    },
  }),
  route({
    method: 'GET',
    path: '/messages/:id/raw',
    access: 'admin',
    scope: null,
    confined: true,
    confirm: true,
    about: 'A whole message that waits, as it leaves. Only if `console.content` is true. The changes say who has read it.',
    streams: 'message/rfc822',
    async handle({ params: { id }, by, control, parts }) {
      if (!parts.settings().content)
        throw new ApiProblem(403, 'The content of mail is not shown: `console.content` is false in the configuration.');
      await checkSeen(id, by, control);
      return control.content.raw(id);
    },
  }),
];

/** @throws ApiProblem 404 for mail that the caller may not see. */
async function checkSeen(id: string, by: ApiCaller | undefined, control: Control): Promise<void> {
  const { user } = await control.queue.show(id);
  if (!sees(by, user)) throw new ApiProblem(404, `No message ${id}.`);
}
