/** The caller's own access: login, logout, password, second factor; and the link that a new account gets. */
import * as v from 'valibot';
import type { ConsoleAccount } from '../../store/store.ts';
import type { BegunSession } from '../access/access.ts';
import { csrfOf } from '../access/csrf.ts';
import { newFactor } from '../access/second-factor.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import { route } from '../route.ts';

const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const Password = v.pipe(v.string(), v.maxLength(1024));
const Code = v.pipe(v.string(), v.maxLength(64), v.description('Six digits of the app, or a recovery code. Each counts once.'));
const Link = v.pipe(v.string(), v.maxLength(256), v.description('What stands behind `#setup=` in the link.'));

const Me = v.object({
  signedIn: v.literal(true),
  name: v.string(),
  role: v.picklist(['reader', 'operator', 'admin']),
  credentials: v.pipe(v.nullable(v.array(v.string())), v.description('The only credentials whose mail is seen; null: all.')),
  csrf: v.pipe(v.string(), v.description('The value of the field x-smarthost-csrf, which each change needs.')),
  secondFactor: v.pipe(v.boolean(), v.description('Whether the account has one.')),
  secondFactorNeeded: v.pipe(v.boolean(), v.description('It must set one up before anything else.')),
  recoveryCodes: v.pipe(v.number(), v.description('How many are left.')),
  firstRun: v.pipe(v.boolean(), v.description('There is no configuration yet: only the questions of /first-run are answered.')),
  createdAt: v.string(),
  confirmedAt: v.pipe(v.string(), v.description('When the password was given last.')),
  endsAt: v.string(),
});

/** Who looks before the login is told so without an error, which a browser would print as one. */
const Nobody = v.object({ signedIn: v.literal(false) });

/** Who is logged in. */
export type ApiSession = v.InferOutput<typeof Me>;

/** What `GET /session` answers: somebody, or nobody. */
export type ApiVisitor = ApiSession | v.InferOutput<typeof Nobody>;

const NOBODY = { signedIn: false } as const;

type SessionFacts = { readonly secret: string; readonly createdAt: number; readonly confirmedAt: number };

function meOf(account: ConsoleAccount, { secret, createdAt, confirmedAt }: SessionFacts, parts: ConsoleParts) {
  const { secondFactor, lifetime } = parts.settings();
  const hasFactor = account.totpSecret !== null;
  return {
    signedIn: true as const,
    ...{ name: account.name, role: account.role, credentials: account.credentials && [...account.credentials] },
    ...{ csrf: csrfOf(secret), secondFactor: hasFactor, recoveryCodes: account.recoveryCodes.length },
    secondFactorNeeded: secondFactor === 'required' && !hasFactor,
    firstRun: parts.firstRun !== undefined,
    createdAt: new Date(createdAt).toISOString(),
    confirmedAt: new Date(confirmedAt).toISOString(),
    endsAt: new Date(createdAt + lifetime).toISOString(),
  };
}

/** The answer to what begins a session: the browser gets its cookie. */
function begun({ account, secret, cookie }: BegunSession, headers: Map<string, string>, parts: ConsoleParts) {
  headers.set('set-cookie', cookie);
  const now = parts.now();
  return meOf(account, { secret, createdAt: now, confirmedAt: now }, parts);
}

export const SESSION_ROUTES = [
  route({
    method: 'GET',
    path: '/session',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'Who is logged in, and the value that changes need. A token is no login.',
    answer: v.variant('signedIn', [Me, Nobody]),
    handle: async ({ session, parts }) => (session === undefined ? NOBODY : meOf(session.account, session, parts)),
  }),
  route({
    method: 'POST',
    path: '/session',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'Logs in.',
    body: v.strictObject({ name: Name, password: Password, code: v.optional(Code) }),
    answer: Me,
    status: 201,
    async handle({ body, arrival, headers, access, parts }) {
      return begun(await access.logIn(body, arrival), headers, parts);
    },
  }),
  route({
    method: 'DELETE',
    path: '/session',
    access: 'account',
    scope: null,
    when: 'always',
    about: 'Logs out.',
    async handle({ session, arrival, headers, access }) {
      headers.set('set-cookie', await access.logOut(session!.hash, arrival));
    },
  }),
  route({
    method: 'POST',
    path: '/session/confirm',
    access: 'account',
    scope: null,
    when: 'always',
    about: 'The password again, for what asks for it. It counts for 10 minutes.',
    body: v.strictObject({ password: Password, code: v.optional(Code) }),
    async handle({ body, by, session, arrival, access }) {
      await access.confirm(session!.hash, { ...body, name: by!.account }, arrival);
    },
  }),
  route({
    method: 'POST',
    path: '/session/password',
    access: 'account',
    scope: null,
    when: 'always',
    confirm: true,
    about: 'Changes the password of the account. Its other sessions end, and this one gets a new cookie.',
    body: v.strictObject({ password: v.pipe(Password, v.description('At least 12 characters.')) }),
    answer: Me,
    async handle({ body, session, arrival, headers, access, parts }) {
      return begun(await access.changePassword(session!, body.password, arrival), headers, parts);
    },
  }),
  route({
    method: 'POST',
    path: '/session/factor/new',
    access: 'account',
    scope: null,
    when: 'always',
    confirm: true,
    about: 'A secret for an app. Nothing is changed before its first code is given to /session/factor.',
    body: v.strictObject({}),
    answer: v.object({
      secret: v.pipe(v.string(), v.description('In base32, to type in.')),
      uri: v.string(),
      svg: v.pipe(v.string(), v.description('A QR code of `uri`.')),
    }),
    handle: async ({ by, parts }) => newFactor(by!.account, parts.hostname()),
  }),
  route({
    method: 'POST',
    path: '/session/factor',
    access: 'account',
    scope: null,
    when: 'always',
    confirm: true,
    about: 'Sets the second factor. The recovery codes are shown this once. All other sessions of the account end.',
    body: v.strictObject({ secret: v.pipe(v.string(), v.regex(/^[A-Z2-7]{32}$/)), code: Code }),
    answer: v.object({ recoveryCodes: v.array(v.string()) }),
    status: 201,
    handle: async ({ body, session, arrival, access }) => ({
      recoveryCodes: [...(await access.setFactor(session!, body, arrival))],
    }),
  }),
  route({
    method: 'DELETE',
    path: '/session/factor',
    access: 'account',
    scope: null,
    when: 'always',
    confirm: true,
    about: 'Removes the second factor. All other sessions of the account end.',
    async handle({ session, arrival, access, parts }) {
      if (parts.settings().secondFactor === 'required')
        throw new ApiProblem(409, 'console.secondFactor asks each account for a second factor. Set up another one instead.');
      await access.removeFactor(session!, arrival);
    },
  }),
  route({
    method: 'POST',
    path: '/setup/look',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'Whose password a link sets.',
    body: v.strictObject({ code: Link }),
    answer: v.object({
      account: v.pipe(v.nullable(v.string()), v.description('null: the first administrator, whose name can be chosen.')),
    }),
    handle: async ({ body, arrival, access }) => ({ account: await access.lookAtLink(body.code, arrival) }),
  }),
  route({
    method: 'POST',
    path: '/setup',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'Sets the password of an account by a link, or makes the first administrator. A link counts once.',
    body: v.strictObject({ code: Link, name: v.optional(Name), password: Password }),
    answer: v.object({ name: v.string() }),
    status: 201,
    handle: async ({ body, arrival, access }) => ({ name: await access.useLink(body, arrival) }),
  }),
];
