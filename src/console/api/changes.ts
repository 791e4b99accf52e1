/** Who has changed what. */
import * as v from 'valibot';
import { route } from '../route.ts';
import { given, instant, nextPage, pageBefore, pageLimit, shortText } from './paging.ts';

export const CHANGE_ROUTES = [
  route({
    method: 'GET',
    path: '/changes',
    access: 'admin',
    scope: null,
    about: 'What was changed, by whom and from where, also by commands and by the relay itself. The newest first.',
    query: v.strictObject({
      limit: pageLimit,
      before: v.optional(
        v.pipe(pageBefore.wrapped, v.regex(/^[1-9]\d{0,14}$/, 'before is the `next` of another answer.'), v.transform(Number)),
      ),
      actor: shortText('An account, or a user of the system.'),
      action: shortText('`user.add`, or `user` for all about credentials.'),
      since: instant('since', 'Not before this time.'),
    }),
    answer: v.object({
      items: v.array(
        v.object({
          seq: v.number(),
          at: v.string(),
          actor: v.string(),
          way: v.picklist(['session', 'token', 'command', 'relay']),
          address: v.nullable(v.string()),
          action: v.string(),
          target: v.string(),
          before: v.pipe(v.unknown(), v.description('What it was, without secrets. null: there was nothing.')),
          after: v.unknown(),
          recipients: v.pipe(v.nullable(v.number()), v.description('How many an action on queued mail has changed.')),
        }),
      ),
      next: nextPage,
    }),
    async handle({ control, query }) {
      const items = await control.changes.list({ ...given(query), limit: query.limit });
      return { items, next: items.length < query.limit ? null : String(items.at(-1)!.seq) };
    },
  }),
];
