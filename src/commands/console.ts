/** `smarthost console …`: the accounts of the console, and who is logged in. */
import { type Command, Option } from 'commander';
import { ACCOUNT_ROLES, type Account, type AccountInvitation, type SessionOfAccount } from '../control/control.ts';
import { type ConsolePlace, withAccounts } from './console-place.ts';
import { type CommonOptions, collect, define, group, type Register } from './define.ts';
import { UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { several, table, time } from './text.ts';

type Role = (typeof ACCOUNT_ROLES)[number];
type RightsOptions = { readonly role?: Role; readonly credential?: readonly string[] };
type Forced = { readonly force?: boolean };

const force = (command: Command) => command.option('--force', 'also the last admin: then nobody changes accounts in the console');
const credential = (command: Command) =>
  command.option('--credential <name>', 'a reader sees the mail of this credential only; repeatable', collect);

export const registerConsole: Register = (program, io) => {
  const accounts = group(program, 'console', 'Who may use the console in the browser, and who is logged in.');
  registerAccounts(accounts, io);
  registerRights(accounts, io);
  registerSessions(accounts, io);
};

function registerAccounts(parent: Command, io: Io): void {
  define(
    parent,
    {
      usage: 'setup',
      about: 'Print a link by which the first admin is made. It is valid for 60 minutes.',
      examples: ['console setup'],
    },
    (_, options) =>
      withAccounts(io, options, async ({ place, control }) => {
        await tellLink(io, options, place, await control.accounts.setup());
      }),
  );
  define<RightsOptions>(
    parent,
    {
      usage: 'add <name>',
      about: 'Add an account. Prints a link by which a password is set; it is valid for 60 minutes.',
      examples: ['console add anna --role admin', 'console add rita --role reader --credential shop'],
      options: (command) =>
        credential(command).addOption(
          new Option('--role <role>', 'reader: sees; operator: changes; admin: also accounts')
            .choices(ACCOUNT_ROLES)
            .default('operator'),
        ),
    },
    ([name], options) =>
      withAccounts(io, options, async ({ place, control }) => {
        const { role = 'operator', credential: credentials } = options;
        await tellLink(io, options, place, await control.accounts.add({ name: name!, role, credentials }));
      }),
  );
  define(
    parent,
    { usage: 'list', about: 'List all accounts.', examples: ['console list', 'console list --json'] },
    (_, options) =>
      withAccounts(io, options, async ({ control }) => {
        const accounts = await control.accounts.list();
        if (options.json) return printJson(io, accounts);
        if (accounts.length === 0) return io.err('There are no accounts. `smarthost console setup` makes the first one.');
        await io.out(table(['ACCOUNT', 'ROLE', 'CREDENTIALS', 'PASSWORD', 'SECOND FACTOR', 'SINCE'], accounts.map(accountRow)));
      }),
  );
  define(
    parent,
    {
      usage: 'reset <name>',
      about:
        'For a lost password or phone: take password and second factor away, end its sessions, and print a link for a new password.',
      examples: ['console reset anna'],
    },
    ([name], options) =>
      withAccounts(io, options, async ({ place, control }) => {
        await tellLink(io, options, place, await control.accounts.reset(name!));
      }),
  );
}

function registerRights(parent: Command, io: Io): void {
  define<RightsOptions & Forced>(
    parent,
    {
      usage: 'role <name> <role>',
      about: 'Give it another role: reader, operator or admin. Its sessions end.',
      examples: ['console role anna admin', 'console role rita reader --credential shop'],
      options: (command) => force(credential(command)),
    },
    ([name, role], options) =>
      withAccounts(io, options, async ({ control }) => {
        const change = { role: roleTyped(role!), credentials: options.credential };
        await tellAccount(io, options, 'changed', await control.accounts.change(name!, change, options));
      }),
  );
  for (const disabled of [true, false]) {
    const word = disabled ? 'disable' : 'enable';
    define<Forced>(
      parent,
      {
        usage: `${word} <name>`,
        about: disabled ? 'Refuse its logins and tokens from now on. Its sessions end.' : 'Take its logins and tokens again.',
        examples: [`console ${word} anna`],
        ...(disabled ? { options: force } : {}),
      },
      ([name], options) =>
        withAccounts(io, options, async ({ control }) => {
          await tellAccount(io, options, `${word}d`, await control.accounts.change(name!, { disabled }, options));
        }),
    );
  }
  define<Forced>(
    parent,
    {
      usage: 'remove <name>',
      about: 'Remove it. Its sessions and tokens end.',
      examples: ['console remove anna'],
      options: force,
    },
    ([name], options) =>
      withAccounts(io, options, async ({ control }) => {
        const removed = await control.accounts.remove(name!, options);
        io.err(`${removed.name} is removed.`);
        if (options.json) await printJson(io, removed);
      }),
  );
}

function registerSessions(parent: Command, io: Io): void {
  define(
    parent,
    {
      usage: 'sessions [name]',
      about: 'Who is logged in, the newest first.',
      examples: ['console sessions', 'console sessions anna'],
    },
    ([name], options) =>
      withAccounts(io, options, async ({ control }) => {
        const sessions = await control.sessions.list(name);
        if (options.json) return printJson(io, sessions);
        if (sessions.length === 0) return io.err('Nobody is logged in.');
        await io.out(table(['ACCOUNT', 'ADDRESS', 'SINCE', 'LAST SEEN', 'BROWSER'], sessions.map(sessionRow)));
      }),
  );
  define(
    parent,
    { usage: 'logout <name>', about: 'End all its sessions.', examples: ['console logout anna'] },
    ([name], options) =>
      withAccounts(io, options, async ({ control }) => {
        const result = await control.sessions.endAll(name!);
        io.err(`${several(result.ended, 'session')} of ${result.name} ended.`);
        if (options.json) await printJson(io, result);
      }),
  );
}

function roleTyped(text: string): Role {
  const role = ACCOUNT_ROLES.find((one) => one === text);
  if (role === undefined) throw new UsageError(`ROLE is one of ${ACCOUNT_ROLES.join(', ')}, not "${text}"`);
  return role;
}

async function tellLink(io: Io, { json }: CommonOptions, place: ConsolePlace, invitation: AccountInvitation): Promise<void> {
  const link = `${place.origin()}/#setup=${invitation.code}`;
  const whose = invitation.name === null ? 'The first admin is made' : `${invitation.name} sets a password`;
  io.err(`${whose} by this link, until ${time(invitation.expiresAt)}. It works once:`);
  if (json) return printJson(io, { ...invitation, link });
  await io.out(`${link}\n`);
  const { hostname, port } = new URL(link);
  if (hostname !== 'localhost') return;
  io.err(`From another machine: ssh -L ${port}:localhost:${port} ${place.machine}, and then the same link there.`);
}

async function tellAccount(io: Io, { json }: CommonOptions, done: string, account: Account): Promise<void> {
  io.err(`${account.name} is ${done}.`);
  if (json) await printJson(io, account);
}

function accountRow({ name, role, credentials, disabled, hasPassword, secondFactor, createdAt }: Account): readonly string[] {
  const word = disabled ? `${role}, disabled` : role;
  return [
    name,
    word,
    credentials?.join(', ') ?? 'all',
    hasPassword ? 'yes' : 'not yet',
    secondFactor ? 'yes' : 'no',
    time(createdAt),
  ];
}

function sessionRow({ account, ip, createdAt, lastSeenAt, userAgent }: SessionOfAccount): readonly string[] {
  return [account, ip, time(createdAt), time(lastSeenAt), userAgent];
}
