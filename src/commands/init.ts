/** `smarthost init`: a configuration, DKIM keys, and the DNS records to set. */
import { lstat } from 'node:fs/promises';
import {
  type Config,
  formatProblem,
  parseAddress,
  parseConfig,
  parseDomain,
  parseHostname,
  parseMailAddress,
} from '../config/config.ts';
import { type Control, type KeyRecord, type NewUser, newUser, type UserLogin } from '../control/control.ts';
import { publicAddresses } from '../net/addresses.ts';
import {
  chosenResolvers,
  configurationText,
  type Existing,
  neededRecords,
  SYSTEM_DIR,
  writeConfiguration,
  zoneText,
} from '../setup/setup.ts';
import type { DataOwner } from '../store/store.ts';
import { controlOf, withStoreOf } from './context.ts';
import { type CommonOptions, collect, define, type Register } from './define.ts';
import { CommandError, typed, UsageError } from './errors.ts';
import type { InitAnswers } from './init-dialog.ts';
import { chooseFile, dataDirFor, describeOwners, nextCommands } from './init-write.ts';
import { type Io, printJson } from './io.ts';

type InitOptions = InitAnswers & {
  readonly dir?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly web?: boolean;
  readonly webListen?: string;
};

export const registerInit: Register = (program, io) => {
  define<InitOptions>(
    program,
    {
      usage: 'init',
      about: 'Write smarthost.yaml, make DKIM keys, and print the DNS records to set. Asks for what is not given, unless --yes.',
      examples: [
        'init',
        'init --web',
        'init --hostname relay.example.net --domain example.org --email admin@example.net --accept-terms --yes',
      ],
      options: (command) =>
        command
          .option('--hostname <name>', 'the full host name of this machine')
          .option('--domain <domain>', 'a domain that sends; repeatable', collect)
          .option('--email <address>', 'gets mail when something needs a person; contact of the ACME account')
          .option('--address <address>', 'a public address of this machine, if it is behind a NAT; repeatable', collect)
          .option('--user <name>', 'add a first user: an address, or a name that may send as the domains')
          .option(
            '--resolver <address>',
            'who is asked for DNS records, or "system"; repeatable; default 127.0.0.1 where a resolver that validates answers there',
            collect,
          )
          .option('--accept-terms', "accept the terms of the certificate authority (Let's Encrypt)")
          .option(
            '--dir <dir>',
            `where smarthost.yaml goes, if --config names no file; default ${SYSTEM_DIR}, where that cannot be written the current folder`,
          )
          .option(
            '--web',
            'ask in the browser: open only the console, print its address and a code, and start the relay at the end',
          )
          .option(
            '--web-listen <address>',
            'with --web: where the console listens instead of loopback, with a certificate whose fingerprint is printed; the relay keeps the address',
          )
          .option('--yes', 'ask nothing')
          .option('--force', 'replace a smarthost.yaml that exists'),
    },
    (_, options) => init(io, options),
  );
};

async function init(io: Io, given: InitOptions & CommonOptions): Promise<void> {
  if (given.web || given.webListen !== undefined) {
    const { initInBrowser } = await import('./init-web.ts');
    return initInBrowser(io, given);
  }
  const file = await chooseFile(io, given);
  // Checked before the first question.
  if (!given.force && (await lstat(file).catch(() => undefined)))
    throw new CommandError(`${file} exists already. --force replaces it.`);
  const { answers, existing } = await completed(io, given);
  if (answers.hostname === undefined)
    throw new UsageError(
      '--hostname is needed: the full host name of this machine, such as relay.example.net. To be asked in the browser: --web',
    );
  const domains = [...new Set((answers.domain ?? []).map((name) => typed('--domain', () => parseDomain(name))))];
  const addresses = answers.address?.map((address) => typed('--address', () => parseAddress(address))) ?? publicAddresses();
  const user = answers.user === undefined ? undefined : await firstUser(answers.user, domains);
  const text = configurationText({
    hostname: typed('--hostname', () => parseHostname(answers.hostname!)),
    ...(answers.email === undefined ? {} : { email: typed('--email', () => parseMailAddress(answers.email!)) }),
    acceptTerms: answers.acceptTerms ?? false,
    resolvers: await chosenResolvers(io.env, answers.resolver),
    dataDir: dataDirFor(file),
  });
  const config = await judge(io, file, text);
  const { filesOf } = await import('../store/store.ts');
  const owner = filesOf(config)?.owner();
  const takeBack = await writeConfiguration(file, text, { owner, replace: true });
  const made = await withStoreOf(config, async (store) => {
    const control = controlOf(io, config, store);
    const { records: dkim } = await control.domains.ensure([config.hostname, ...domains]);
    return { dkim, user: user === undefined ? undefined : await ensureUser(control.users, user) };
  }).catch(takeBack);
  await report(io, given, { config, domains, addresses, existing, file, owner, ...made });
}

/** Adds the person's answers, if the terminal is interactive. */
async function completed(
  io: Io,
  given: InitOptions,
): Promise<{ answers: InitAnswers; existing?: ReadonlyMap<string, Existing> | undefined }> {
  if (!io.interactive || given.yes) return { answers: given };
  const { askForAnswers } = await import('./init-dialog.ts');
  return askForAnswers(io, given);
}

/** A user whose name is no address may send as every domain of the relay. */
function firstUser(name: string, domains: readonly string[]): Promise<NewUser> {
  const sender = name.includes('@') || domains.length === 0 ? undefined : domains.map((domain) => `@${domain}`);
  return newUser(name, sender === undefined ? {} : { senders: sender });
}

/** An existing user keeps its password, so that `init` can run again. */
async function ensureUser(users: Control['users'], user: NewUser): Promise<UserLogin> {
  return (await users.find(user.name)) === undefined ? users.add(user) : { name: user.name, password: null };
}

/** Checks the text as the configuration, before anything is written. */
async function judge(io: Io, path: string, text: string): Promise<Config> {
  const result = await parseConfig({ path, text }, { env: io.env, cwd: io.cwd });
  if ('config' in result) return result.config;
  const mistyped = result.problems.filter(({ level }) => level === 'error');
  throw new UsageError(mistyped.map((problem) => formatProblem({ ...problem, source: '' })).join('\nerror: '));
}

type Made = {
  readonly config: Config;
  readonly domains: readonly string[];
  readonly addresses: readonly string[];
  readonly existing?: ReadonlyMap<string, Existing> | undefined;
  readonly dkim: readonly KeyRecord[];
  readonly user: UserLogin | undefined;
  readonly file: string;
  readonly owner: DataOwner | undefined;
};

/** Prints the records to stdout as data, and everything else to stderr for the person. */
async function report(io: Io, { json }: CommonOptions, { dkim, user, file, owner, existing, ...made }: Made): Promise<void> {
  const { zoneLine } = await import('../signing/signing.ts');
  const { config, domains, addresses } = made;
  const groups = neededRecords({ hostname: config.hostname, domains, dkim, addresses, ...(existing && { existing }) });
  const records = groups.flatMap((group) => group.records);
  const { start, command } = nextCommands(io, file);
  const first = command(`user add ${domains[0] === undefined ? 'NAME --sender RULE' : `anna@${domains[0]}`}`);
  const next = user === undefined ? first : start;
  if (json) await printJson(io, { file, dataDir: config.dataDir, records, ...(user && { user }), next });
  for (const line of await describeOwners(file, config.dataDir, owner)) io.err(line);
  io.err('Set these DNS records:\n');
  if (!json) await io.out(zoneText(groups, zoneLine));
  if (user && !json)
    io.err(
      user.password === null ? `\n${user.name} exists already.` : `\nPassword of ${user.name}, not shown again: ${user.password}`,
    );
  io.err(
    user === undefined
      ? `\nThen add who may send, and start the relay:\n  ${first}\n  ${start}`
      : `\nThen start the relay:\n  ${start}`,
  );
  io.err(`Check the DNS and the relay until everything is right:\n  ${command('doctor --watch')}`);
}
