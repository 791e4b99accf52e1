/** Messages: the list, and one of them. */
import * as v from 'valibot';
import type { BrowseQuery } from '../../store/store.ts';
import { ApiProblem } from '../problem.ts';
import { type ApiCaller, route } from '../route.ts';
import { API_STATES, listedMessage, maybeTime, wholeMessage } from './message-shapes.ts';
import { given, instant, nextPage, pageBefore, pageLimit, shortText } from './paging.ts';
import { sees, sightOf } from './sight.ts';

/** Milliseconds. A search that has found little until then says how far it came. */
const BUDGET = 150;
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
    path: '/messages/:id',
    access: 'account',
    scope: 'messages:read',
    about: 'One message with each attempt for each recipient, and what its sender was told.',
    answer: wholeMessage,
    async handle({ params: { id }, by, control }) {
      const message = await control.trace.show(id);
      if (!sees(by, message.user)) throw new ApiProblem(404, `No message ${id}.`);
      return message;
    },
  }),
];
