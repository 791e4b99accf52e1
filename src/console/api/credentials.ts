/** Logins of clients: who may send, as whom, and how much. */
import * as v from 'valibot';
import { readNewUser, readUserValues, USER_KINDS } from '../../control/control.ts';
import { route } from '../route.ts';
import { phraseShape } from './findings.ts';
import { MOST_UNASKED } from './queue-actions.ts';

const path = '/credentials/:name';
const write = { access: 'operator', scope: 'credentials:write' } as const;

const time = v.nullable(v.string());
const limit = v.object({
  kind: v.picklist(['messages', 'recipients', 'newRecipients']),
  count: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  per: v.picklist(['minute', 'hour', 'day']),
});
const held = v.object({
  sender: v.pipe(v.nullable(v.string()), v.description('The envelope sender of a mail server. null: the login as a whole.')),
  state: v.string(),
  since: v.string(),
  by: v.string(),
  score: v.number(),
  signals: v.array(v.string()),
  heldRecipients: v.number(),
  linkUntil: time,
});

const user = {
  name: v.string(),
  senders: v.array(v.string()),
  mailServer: v.boolean(),
  limits: v.pipe(v.array(limit), v.description('Those in effect, the defaults of the configuration included.')),
  used: v.array(v.object({ ...limit.entries, used: v.number(), resetsAt: v.string() })),
  disabled: v.boolean(),
  expiresAt: time,
  stops: v.array(held),
  trustedUntil: time,
  lastLogin: v.pipe(
    v.nullable(v.object({ at: v.string(), ip: v.string(), tls: v.nullable(v.string()), mechanism: v.string() })),
    v.description('Kept by the running relay each 20 seconds. null: none is known.'),
  ),
};
const wholeUser = v.object({
  ...user,
  defaultLimits: v.boolean(),
  rewrite: v.nullable(v.string()),
  createdAt: v.string(),
  revision: v.pipe(v.number(), v.description('Grows with each change.')),
  profile: v.string(),
  bulk: v.boolean(),
  contact: v.nullable(v.string()),
});

const orNone = v.nullable(v.string());
const values = {
  senders: v.optional(v.pipe(v.array(v.string()), v.description('An address, `@domain`, `@.domain` (with subdomains) or `*`.'))),
  mailServer: v.optional(v.boolean()),
  limits: v.optional(
    v.pipe(
      v.nullable(v.array(v.union([v.string(), v.strictObject(limit.entries)]))),
      v.description(
        'As on the command line (`recipients=500/hour`), or in the form of the answer. null: the defaults. []: none.',
      ),
    ),
  ),
  expiresAt: v.optional(v.pipe(orNone, v.description('A date or a time. null: never.'))),
  rewrite: v.optional(v.pipe(orNone, v.description('Replaces the sender of its mail.'))),
  profile: v.optional(v.pipe(orNone, v.description('`app`, `person` or `server`. null: `mailServer` says it.'))),
  bulk: v.optional(v.boolean()),
  contact: v.optional(v.pipe(orNone, v.description('An address that is told too if its mail is held.'))),
};
const password = v.optional(v.pipe(v.string(), v.description('Absent: one is made, and answered this one time.')));
const login = v.object({
  name: v.string(),
  password: v.pipe(v.nullable(v.string()), v.description('Only if it was made here. It is not shown again.')),
});

export const CREDENTIAL_ROUTES = [
  route({
    method: 'GET',
    path: '/credentials',
    ...write,
    about: 'All credentials, with what they have used of their limits.',
    answer: v.object({ items: v.array(v.object(user)) }),
    handle: async ({ control }) => ({ items: await control.users.list() }),
  }),
  route({
    method: 'GET',
    path,
    ...write,
    about: 'One credential.',
    answer: wholeUser,
    tag: ({ createdAt, revision }) => [createdAt, revision],
    handle: ({ control, params }) => control.users.show(params.name),
  }),
  route({
    method: 'POST',
    path: '/credentials',
    ...write,
    status: 201,
    confirm: true,
    about: 'Adds a credential. What is not given follows from `kind`, or is the default.',
    body: v.strictObject({ name: v.string(), kind: v.optional(v.picklist(USER_KINDS)), ...values, password }),
    answer: login,
    async handle({ control, body }) {
      const { user: made, traits } = await readNewUser(body);
      return control.users.add(made, body.password, traits);
    },
  }),
  route({
    method: 'PATCH',
    path,
    ...write,
    about: 'Changes what is given, and keeps the rest.',
    body: v.strictObject({ ...values, disabled: v.optional(v.boolean()) }),
    answer: wholeUser,
    async handle({ control, params: { name }, body: { disabled, ...written }, match }) {
      const { change, traits } = readUserValues(written);
      const changed = await control.users.change(name, { ...change, ...(disabled === undefined ? {} : { disabled }) }, { match });
      if (Object.keys(traits).length === 0) return changed;
      await control.behaviour.setTraits(name, traits);
      return control.users.show(name);
    },
  }),
  route({
    method: 'DELETE',
    path,
    ...write,
    about: 'Removes it. Its sessions end, and its mail stays in the queue.',
    async handle({ control, params, match }) {
      await control.users.remove(params.name, match);
      return undefined;
    },
  }),
  route({
    method: 'POST',
    path: `${path}/password`,
    ...write,
    confirm: true,
    about: 'Gives it a new password. Its sessions end.',
    body: v.strictObject({ password }),
    answer: login,
    handle: ({ control, params, body }) => control.users.setPassword(params.name, body.password),
  }),
  route({
    method: 'GET',
    path: `${path}/client`,
    ...write,
    about: 'Settings to type in at the other end, and lines to copy. PASSWORD stands for the password.',
    answer: v.object({
      host: v.string(),
      ports: v.array(v.object({ port: v.number(), encryption: v.picklist(['TLS', 'STARTTLS']) })),
      user: v.nullable(v.string()),
      senders: v.array(v.string()),
      recipes: v.record(v.string(), v.string()),
      powershell: v.pipe(v.string(), v.description('The Send connector for Exchange Server.')),
      advice: v.array(v.string()),
      exchangeAdvice: v.array(v.string()),
      phrases: v.object({ advice: v.array(phraseShape), exchangeAdvice: v.array(phraseShape) }),
    }),
    async handle({ control, params }) {
      const { settings, ...texts } = await control.users.client(params.name);
      return { ...settings, ...texts };
    },
  }),
  route({
    method: 'POST',
    path: `${path}/check-sender`,
    ...write,
    about: 'Tries senders: what would be answered to mail with them? Nothing is sent.',
    body: v.strictObject({
      reversePath: v.pipe(v.string(), v.description('Of MAIL FROM. Empty: the null sender.')),
      from: v.optional(v.pipe(v.string(), v.description('Of the header. Default: the same.'))),
    }),
    answer: v.object({
      allowed: v.boolean(),
      reply: v.pipe(v.nullable(v.string()), v.description('The refusal, as the client would get it.')),
      sentAs: v.pipe(v.nullable(v.string()), v.description('The sender that replaces it.')),
    }),
    handle: ({ control, params, body }) => control.users.checkSender(params.name, body),
  }),
  route({
    method: 'POST',
    path: `${path}/hold`,
    ...write,
    about: 'Keeps its mail back until it is released. It is still accepted, or refused with `refuse`.',
    body: v.strictObject({ sender: v.optional(v.string()), refuse: v.optional(v.boolean()) }),
    answer: held,
    handle: ({ control, params, body }) => control.behaviour.hold(params.name, body),
  }),
  route({
    method: 'POST',
    path: `${path}/release`,
    ...write,
    goesOn: () => false, // what is held is removed in steps; the stop ends with the last one
    about:
      'Lets mail leave that is held because of unusual behaviour, or removes it. More than 100 recipients are removed only with the password again.',
    confirm: async ({ control, params, body: { discard } }) => {
      if (discard !== true) return false;
      const { stops } = await control.users.show(params.name);
      return stops.reduce((sum, { heldRecipients }) => sum + heldRecipients, 0) > MOST_UNASKED;
    },
    body: v.strictObject({
      sender: v.optional(v.string()),
      discard: v.optional(v.pipe(v.boolean(), v.description('Removes what is held. Nobody gets a report.'))),
      trust: v.optional(v.pipe(v.number(), v.minValue(0), v.description('Seconds for which the thresholds are higher.'))),
    }),
    answer: v.object({
      name: v.string(),
      sender: v.nullable(v.string()),
      state: v.string(),
      discarded: v.number(),
      trustedUntil: time,
    }),
    handle: ({ control, params, body: { trust, ...body } }) =>
      control.behaviour.release(params.name, { ...body, ...(trust === undefined ? {} : { trust: trust * 1000 }) }),
  }),
];
