/** Accounts of the console, and who is logged in. */
import * as v from 'valibot';
import type { Control } from '../../control/control.ts';
import { type ApiCaller, ROLES, route } from '../route.ts';
import { given } from './paging.ts';

const Role = v.picklist(ROLES);
const Credentials = v.pipe(
  v.nullable(v.array(v.string())),
  v.description('Only a reader has names here: it sees the mail of these credentials alone. null: of all.'),
);
const Account = v.object({
  name: v.string(),
  role: Role,
  credentials: Credentials,
  disabled: v.boolean(),
  hasPassword: v.boolean(),
  secondFactor: v.boolean(),
  recoveryCodes: v.pipe(v.number(), v.description('How many are left.')),
  createdAt: v.string(),
  passwordSetAt: v.nullable(v.string()),
});
const Invitation = v.object({
  name: v.string(),
  role: Role,
  code: v.pipe(
    v.string(),
    v.description('Stands behind `#setup=` of a link to this console. It is not shown again, and counts once.'),
  ),
  expiresAt: v.string(),
});
const Session = v.object({
  id: v.string(),
  account: v.string(),
  createdAt: v.string(),
  lastSeenAt: v.pipe(v.string(), v.description('At most a minute old.')),
  confirmedAt: v.string(),
  ip: v.string(),
  userAgent: v.string(),
  current: v.pipe(v.boolean(), v.description('The one that asks.')),
});

/** Of the public name of a session. */
const ID_LENGTH = 16;

const admin = { access: 'admin', scope: null } as const;
const own = { access: 'account', scope: null } as const;

/** An administrator may look at all sessions, anybody else at their own. */
const reachOf = (by: ApiCaller, account: string | undefined) => (by.role === 'admin' ? account : by.account);

const named = (made: Awaited<ReturnType<Control['accounts']['add']>>, name: string) => ({ ...made, name: made.name ?? name });

export const ACCOUNT_ROUTES = [
  route({
    method: 'GET',
    path: '/accounts',
    ...admin,
    about: 'All accounts.',
    answer: v.object({ items: v.array(Account) }),
    handle: async ({ control }) => ({ items: await control.accounts.list() }),
  }),
  route({
    method: 'POST',
    path: '/accounts',
    ...admin,
    confirm: true,
    about: 'Adds an account. A link, valid for 60 minutes, sets its password.',
    body: v.strictObject({ name: v.string(), role: Role, credentials: v.optional(Credentials) }),
    answer: Invitation,
    status: 201,
    handle: async ({ control, body }) => named(await control.accounts.add(body), body.name),
  }),
  route({
    method: 'GET',
    path: '/accounts/:name',
    ...admin,
    about: 'One account.',
    answer: Account,
    tag: ({ createdAt, role, credentials, disabled }) => [createdAt, role, credentials, disabled],
    handle: ({ control, params }) => control.accounts.show(params.name),
  }),
  route({
    method: 'PATCH',
    path: '/accounts/:name',
    ...admin,
    confirm: true,
    about: 'Changes what an account may do. Another role, or `disabled`, ends its sessions.',
    body: v.strictObject({ role: v.optional(Role), credentials: v.optional(Credentials), disabled: v.optional(v.boolean()) }),
    answer: Account,
    handle: ({ control, params, body, match }) => control.accounts.change(params.name, given(body), { match }),
  }),
  route({
    method: 'DELETE',
    path: '/accounts/:name',
    ...admin,
    confirm: true,
    about: 'Removes an account. Its sessions and tokens end.',
    handle: async ({ control, params, match }) => void (await control.accounts.remove(params.name, { match })),
  }),
  route({
    method: 'POST',
    path: '/accounts/:name/reset',
    ...admin,
    confirm: true,
    about: 'Takes password and second factor away, ends the sessions, and makes a link for a new password.',
    body: v.strictObject({}),
    answer: Invitation,
    status: 201,
    handle: async ({ control, params }) => named(await control.accounts.reset(params.name), params.name),
  }),
  route({
    method: 'GET',
    path: '/sessions',
    ...own,
    about: 'Who is logged in: the own sessions, and for an administrator those of all accounts.',
    query: v.strictObject({ account: v.optional(v.pipe(v.string(), v.description('Only those of this account.'))) }),
    answer: v.object({ items: v.array(Session) }),
    async handle({ control, by, session, query }) {
      const items = await control.sessions.list(reachOf(by!, query.account));
      return { items: items.map((one) => ({ ...one, current: session!.hash.startsWith(one.id) })) };
    },
  }),
  route({
    method: 'DELETE',
    path: '/sessions',
    ...own,
    about: 'Ends all sessions of the account but this one; an administrator can name another account.',
    query: v.strictObject({ account: v.optional(v.string()) }),
    answer: v.object({ ended: v.number() }),
    async handle({ control, by, session, query }) {
      const account = reachOf(by!, query.account) ?? by!.account;
      return control.sessions.endAll(account, session!.hash.slice(0, ID_LENGTH));
    },
  }),
  route({
    method: 'DELETE',
    path: '/sessions/:id',
    ...own,
    about: 'Ends one session.',
    handle: async ({ control, by, params }) => void (await control.sessions.end(params.id, reachOf(by!, undefined))),
  }),
];
