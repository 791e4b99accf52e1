/** What the relay has refused to clients. */
import * as v from 'valibot';
import type { RefusedByUs } from '../../control/control.ts';
import type { RefusedCommand } from '../../store/store.ts';
import { route } from '../route.ts';
import { isoTime } from './message-shapes.ts';
import { given, instant, nextPage, pageLimit, shortText } from './paging.ts';
import { checkSeesAll } from './sight.ts';

type Refusal = Omit<RefusedByUs, 'seq'> & { readonly seq: number | null };
type Filters = {
  readonly credential?: string | undefined;
  readonly ip?: string | undefined;
  readonly since?: number | undefined;
};

const refusalShape = v.object({
  seq: v.pipe(v.nullable(v.number()), v.description('null: of the last seconds, and not stored yet.')),
  at: v.pipe(isoTime, v.description('The first time.')),
  until: v.pipe(isoTime, v.description('The last time.')),
  count: v.number(),
  session: v.string(),
  ip: v.string(),
  user: v.nullable(v.string()),
  verb: v.string(),
  code: v.number(),
  status: v.string(),
  reply: v.string(),
  reversePath: v.nullable(v.string()),
  recipient: v.nullable(v.string()),
});

/** One entry of `GET /refusals`. */
export type ApiRefusal = v.InferOutput<typeof refusalShape>;

export const REFUSAL_ROUTES = [
  route({
    method: 'GET',
    path: '/refusals',
    access: 'operator',
    scope: 'messages:read',
    about: 'Commands, messages and logins that were refused to clients, the newest first. Equal ones in a row are one entry.',
    query: v.strictObject({
      credential: shortText('The login; what was typed, where it failed.'),
      ip: shortText('The address of the client.'),
      since: instant('since', 'Refused then or later.'),
      limit: pageLimit,
      before: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^\d{1,15}$/, 'before is the `next` of the answer before.'),
          v.transform(Number),
          v.description('The `next` of the answer before.'),
        ),
      ),
    }),
    answer: v.object({
      items: v.array(refusalShape),
      next: nextPage,
    }),
    async handle({ query: { limit, before, ...filters }, by, control, parts }) {
      checkSeesAll(by);
      const waiting = before === undefined ? newest(parts.live.refusals(), filters) : [];
      const { credential: user, ...rest } = filters;
      const stored = await control.activity.refused({ ...given({ ...rest, user, before }), limit });
      const items: readonly Refusal[] = [...waiting, ...stored];
      return { items, next: stored.length < limit ? null : String(stored.at(-1)!.seq) };
    },
  }),
];

/** They come beside the `limit` of the first page, because none of them is on the next one. */
function newest(refusals: readonly RefusedCommand[], { credential, ip, since = 0 }: Filters): readonly Refusal[] {
  return refusals
    .filter((one) => credential === undefined || one.user?.toLowerCase() === credential.toLowerCase())
    .filter((one) => (ip === undefined || one.ip === ip) && one.until >= since)
    .map(({ at, until, ...rest }) => ({
      seq: null,
      ...rest,
      at: new Date(at).toISOString(),
      until: new Date(until).toISOString(),
    }));
}
