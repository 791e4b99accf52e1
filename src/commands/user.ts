/** `smarthost user …`: the credentials that may send. */
import type { Config } from '../config/config.ts';
import type { Credential, CredentialChange, Store } from '../store/store.ts';
import { withStore } from './context.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { CommandError, typed, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { credentialShape, wholeCredentialShape } from './shapes.ts';
import { choosePassword, parseSender, parseUserOptions, type UserOptions, userOptions } from './user-options.ts';
import { printUser, userTable, viewOf } from './user-text.ts';

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
      options: userOptions,
    },
    ([name], options) => add(io, name!, options),
  );
  define<UserOptions>(
    user,
    {
      usage: 'set <name>',
      about: 'Change what is named and keep the rest.',
      examples: [`user set ${example} --limit none`, `user set ${example} --sender ${example} --sender @example.net`],
      options: userOptions,
    },
    ([name], options) => change(io, name!, options),
  );
  define(
    user,
    {
      usage: 'list',
      about: 'All credentials, with what they used of their limits.',
      examples: ['user list', 'user list --json'],
    },
    (_, options) => withStore(io, options, ({ config, store }) => list(io, options, config, store)),
  );
  define(user, { usage: 'show <name>', about: 'One credential.', examples: [`user show ${example}`] }, ([name], options) =>
    withStore(io, options, async ({ config, store }) => show(io, options, config, store, await existing(store, name!))),
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
  define(
    user,
    {
      usage: 'remove <name>',
      about: 'Remove it. Mail that it has sent stays in the queue.',
      examples: [`user remove ${example}`],
    },
    ([name], options) =>
      withStore(io, options, async ({ store }) => {
        const { name: known } = await existing(store, name!);
        await store.credentials.remove(known);
        io.err(`${known} is removed.`);
        if (options.json) await printJson(io, { name: known, removed: true });
      }),
  );
};

async function add(io: Io, typedName: string, options: UserOptions & CommonOptions): Promise<void> {
  const wanted = await wantedCredential(typedName, options);
  await withStore(io, options, async ({ store }) => {
    const { name, senders } = wanted;
    if (await store.credentials.get(name)) throw exists(name);
    const { password, given } = await choosePassword(io, options.passwordStdin);
    await addCredential(store, wanted, password);
    io.err(`${name} may send as ${senders.join(', ')}.${given ? '' : ' This is its password; it is not shown again:'}`);
    await printPassword(io, options, name, given ? null : password);
  });
}

type Wanted = Pick<Credential, 'name' | 'senders'> & ReturnType<typeof parseUserOptions>;

/** What was typed, before anything is opened. @throws UsageError */
export async function wantedCredential(typedName: string, options: UserOptions): Promise<Wanted> {
  const { normalizeName } = await import('../credentials/credentials.ts');
  const name = typed('NAME:', () => normalizeName(typedName));
  const change = parseUserOptions(options);
  return { ...change, name, senders: change.senders ?? defaultSenders(name) };
}

/** @throws CommandError where the name exists. */
export async function addCredential(store: Store, wanted: Wanted, password: string): Promise<void> {
  const { hashPassword } = await import('../credentials/credentials.ts');
  const added = await store.credentials.add({
    mailServer: false,
    limits: null,
    expiresAt: null,
    rewrite: null,
    ...wanted,
    hash: await hashPassword(password),
    disabled: false,
    createdAt: Date.now(),
  });
  if (!added) throw exists(wanted.name);
}

function exists(name: string): CommandError {
  return new CommandError(
    `${name} exists already. \`smarthost user set\` changes it, \`smarthost user passwd\` gives it a new password.`,
  );
}

function defaultSenders(name: string): readonly string[] {
  try {
    if (name.includes('@') && !name.startsWith('@')) return [parseSender(name)];
  } catch {
    // Looks like an address and is none: the sentence below says what to do.
  }
  throw new UsageError(`"${name}" is not a mail address: say what it may send as, with --sender ADDRESS, @domain, @.domain or *`);
}

async function change(io: Io, name: string, options: UserOptions & CommonOptions): Promise<void> {
  const named = parseUserOptions(options);
  if (Object.keys(named).length === 0 && !options.passwordStdin)
    throw new UsageError('nothing to change: name at least one option');
  if (!options.passwordStdin) return update(io, name, named, options, 'changed');
  const { hashPassword } = await import('../credentials/credentials.ts');
  const { password } = await choosePassword(io, true);
  await update(io, name, { ...named, hash: await hashPassword(password) }, options, 'changed');
}

async function passwd(io: Io, name: string, options: UserOptions & CommonOptions): Promise<void> {
  const { hashPassword } = await import('../credentials/credentials.ts');
  await withStore(io, options, async ({ store }) => {
    const { name: known } = await existing(store, name);
    const { password, given } = await choosePassword(io, options.passwordStdin);
    await store.credentials.update(known, { hash: await hashPassword(password) });
    io.err(given ? `${known} has a new password.` : `This is the new password of ${known}; it is not shown again:`);
    await printPassword(io, options, known, given ? null : password);
  });
}

async function printPassword(io: Io, { json }: CommonOptions, name: string, password: string | null): Promise<void> {
  if (json) await printJson(io, { name, password });
  else if (password !== null) await io.out(`${password}\n`);
}

async function update(io: Io, name: string, changes: CredentialChange, options: CommonOptions, done: string): Promise<void> {
  await withStore(io, options, async ({ config, store }) => {
    const before = await existing(store, name);
    await store.credentials.update(before.name, changes);
    io.err(`${before.name} is ${done}.`);
    if (options.json) await show(io, options, config, store, await existing(store, name));
  });
}

async function list(io: Io, { json }: CommonOptions, config: Config, store: Store): Promise<void> {
  const views = [];
  for (const credential of await store.credentials.list()) views.push(await viewOf(credential, config, store));
  if (json) return printJson(io, views.map(credentialShape));
  if (views.length === 0) io.err('There are no credentials. `smarthost user add NAME` adds one.');
  else await io.out(userTable(views));
}

async function show(io: Io, { json }: CommonOptions, config: Config, store: Store, credential: Credential): Promise<void> {
  const view = await viewOf(credential, config, store);
  await (json ? printJson(io, wholeCredentialShape(view)) : io.out(printUser(view)));
}

/** @throws CommandError where there is none of that name. */
export async function existing(store: Store, name: string): Promise<Credential> {
  const { normalizeName } = await import('../credentials/credentials.ts');
  const found = await store.credentials.get(typed('NAME:', () => normalizeName(name)));
  if (found === undefined)
    throw new CommandError(`No credential named ${JSON.stringify(name)}. \`smarthost user list\` shows them.`);
  return found;
}
