/** `smarthost user …`: the credentials that may send. */
import type { Command } from 'commander';
import { readNewUser, readUserValues, type UserChange, type UserLogin, type WholeUser } from '../control/control.ts';
import { withControl } from './context.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { registerUserBehaviour, type TraitOptions, traitOptions, writtenTraits } from './user-behaviour.ts';
import { givenPassword, type UserOptions, userOptions, writtenUser } from './user-options.ts';
import { printUser, userTable } from './user-text.ts';

type ChangeOptions = UserOptions & TraitOptions & CommonOptions;
const changeOptions = (command: Command) => traitOptions(userOptions(command));

export const registerUser: Register = (program, io) => {
  const user = group(program, 'user', 'Who may send, as whom, and how much.');
  const example = 'anna@example.org';

  define<UserOptions>(
    user,
    {
      usage: 'add <name>',
      about: 'Add a credential. Prints its password once, unless it is given on stdin.',
      examples: [
        `user add ${example}`,
        'user add exchange --mail-server --sender @example.org',
        'user add printer --sender scan@example.org --limit 50/day',
      ],
      options: changeOptions,
    },
    ([name], options) => add(io, name!, options),
  );
  define<UserOptions>(
    user,
    {
      usage: 'set <name>',
      about: 'Change the given options and keep the rest.',
      examples: [`user set ${example} --limit none`, `user set ${example} --sender ${example} --sender @example.net`],
      options: changeOptions,
    },
    ([name], options) => change(io, name!, options),
  );
  define(
    user,
    {
      usage: 'list',
      about: 'List all credentials, and how much of their limits they have used.',
      examples: ['user list', 'user list --json'],
    },
    (_, options) => list(io, options),
  );
  define(user, { usage: 'show <name>', about: 'One credential.', examples: [`user show ${example}`] }, ([name], options) =>
    withControl(io, options, async ({ control }) => show(io, options, await control.users.show(name!))),
  );
  define<UserOptions>(
    user,
    {
      usage: 'passwd <name>',
      about: 'Give it a new password.',
      examples: [`user passwd ${example}`, `user passwd ${example} --password-stdin < secret.txt`],
      options: (command) => command.option('--password-stdin', 'read the password from the first line of stdin'),
    },
    ([name], options) => passwd(io, name!, options),
  );
  for (const disabled of [true, false]) {
    const word = disabled ? 'disable' : 'enable';
    define(
      user,
      {
        usage: `${word} <name>`,
        about: disabled ? 'Refuse its logins from now on.' : 'Take its logins again.',
        examples: [`user ${word} ${example}`],
      },
      ([name], options) => update(io, name!, { disabled }, options, `${word}d`),
    );
  }
  registerUserBehaviour(user, io);
  define(
    user,
    {
      usage: 'remove <name>',
      about: 'Remove it. Mail that it has sent stays in the queue.',
      examples: [`user remove ${example}`],
    },
    ([name], options) =>
      withControl(io, options, async ({ control }) => {
        const removed = await control.users.remove(name!);
        io.err(`${removed.name} is removed.`);
        if (options.json) await printJson(io, removed);
      }),
  );
};

async function add(io: Io, typedName: string, options: ChangeOptions): Promise<void> {
  // Before the store is opened.
  const { user, traits } = await readNewUser({ name: typedName, ...writtenUser(options), ...writtenTraits(options) });
  await withControl(io, options, async ({ control: { users } }) => {
    await users.checkFree(user.name);
    const login = await users.add(user, await givenPassword(io, options), traits);
    const shown = login.password === null ? '' : ' This is its password; it is not shown again:';
    io.err(`${login.name} may send as ${user.senders.join(', ')}.${shown}`);
    await printLogin(io, options, login);
  });
}

async function change(io: Io, name: string, options: ChangeOptions): Promise<void> {
  const { change: named, traits } = readUserValues({ ...writtenUser(options), ...writtenTraits(options) });
  if (Object.keys({ ...named, ...traits }).length === 0 && !options.passwordStdin)
    throw new UsageError('nothing to change: name at least one option');
  const password = await givenPassword(io, options);
  await withControl(io, options, async ({ control }) => {
    if (Object.keys(traits).length > 0) await control.behaviour.setTraits(name, traits);
    await tellChange(io, options, 'changed', await control.users.change(name, named, { password }));
  });
}

async function passwd(io: Io, name: string, options: UserOptions & CommonOptions): Promise<void> {
  await withControl(io, options, async ({ control: { users } }) => {
    const known = await users.show(name);
    const login = await users.setPassword(known.name, await givenPassword(io, options));
    io.err(
      login.password === null
        ? `${login.name} has a new password.`
        : `This is the new password of ${login.name}; it is not shown again:`,
    );
    await printLogin(io, options, login);
  });
}

async function printLogin(io: Io, { json }: CommonOptions, login: UserLogin): Promise<void> {
  if (json) await printJson(io, login);
  else if (login.password !== null) await io.out(`${login.password}\n`);
}

async function update(io: Io, name: string, changes: UserChange, options: CommonOptions, done: string): Promise<void> {
  await withControl(io, options, async ({ control }) => {
    await tellChange(io, options, done, await control.users.change(name, changes));
  });
}

async function tellChange(io: Io, options: CommonOptions, done: string, user: WholeUser): Promise<void> {
  io.err(`${user.name} is ${done}.`);
  if (options.json) await show(io, options, user);
}

async function list(io: Io, options: CommonOptions): Promise<void> {
  await withControl(io, options, async ({ control }) => {
    const users = await control.users.list();
    if (options.json) return printJson(io, users);
    if (users.length === 0) io.err('There are no credentials. `smarthost user add NAME` adds one.');
    else await io.out(userTable(users));
  });
}

async function show(io: Io, { json }: CommonOptions, user: WholeUser): Promise<void> {
  await (json ? printJson(io, user) : io.out(printUser(user)));
}
