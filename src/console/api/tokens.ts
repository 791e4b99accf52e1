/** Tokens: how programs come in. */
import * as v from 'valibot';
import { TOKEN_SCOPES } from '../../control/control.ts';
import { route } from '../route.ts';

const token = {
  id: v.string(),
  name: v.string(),
  account: v.pipe(v.string(), v.description('Who made it. It ends with this account, and may never do more.')),
  scopes: v.array(v.string()),
  credential: v.pipe(
    v.nullable(v.string()),
    v.description('The only credential whose mail it reads. null: all that its account may.'),
  ),
  networks: v.pipe(v.array(v.string()), v.description('It is taken from these alone. Empty: from everywhere.')),
  createdAt: v.string(),
  expiresAt: v.nullable(v.string()),
  lastUsedAt: v.pipe(v.nullable(v.string()), v.description('At most a minute old.')),
  lastUsedIp: v.nullable(v.string()),
};
const Instant = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'expiresAt is a time such as 2026-11-28T09:00:00Z.'),
  v.transform((text) => Date.parse(text)),
);

const admin = { access: 'admin', scope: null } as const;

export const TOKEN_ROUTES = [
  route({
    method: 'GET',
    path: '/tokens',
    ...admin,
    about: 'All tokens.',
    answer: v.object({ items: v.array(v.object(token)) }),
    handle: async ({ control }) => ({ items: await control.tokens.list() }),
  }),
  route({
    method: 'POST',
    path: '/tokens',
    ...admin,
    confirm: true,
    about: 'Makes a token of the caller. It is shown this once.',
    body: v.strictObject({
      name: v.string(),
      scopes: v.array(v.picklist(TOKEN_SCOPES)),
      credential: v.optional(v.nullable(v.string())),
      networks: v.optional(v.array(v.string())),
      expiresAt: v.pipe(v.optional(v.nullable(Instant)), v.description('Absent: in 90 days. null: never.')),
    }),
    answer: v.object({ ...token, token: v.string() }),
    status: 201,
    handle: ({ control, by, body }) => control.tokens.add({ ...body, account: by!.account }),
  }),
  route({
    method: 'DELETE',
    path: '/tokens/:id',
    ...admin,
    about: 'Ends a token.',
    handle: async ({ control, params }) => void (await control.tokens.remove(params.id)),
  }),
];
