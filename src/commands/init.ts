/** `smarthost init`: a configuration, DKIM keys, and the DNS records to set. */
import { constants } from 'node:fs';
import { access, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Config, formatProblem, parseConfig, parseDomain, parseHostname, parseMailbox } from '../config/config.ts';
import type { DkimKey, Store } from '../store/store.ts';
import { withStoreOf } from './context.ts';
import { type CommonOptions, collect, define, type Register } from './define.ts';
import { CommandError, typed, UsageError } from './errors.ts';
import { configurationText } from './init-file.ts';
import { neededRecords, publicAddresses, zoneText } from './init-records.ts';
import { type Io, printJson } from './io.ts';

type InitOptions = {
  readonly hostname?: string;
  readonly domain?: readonly string[];
  readonly email?: string;
  readonly acceptTerms?: boolean;
  readonly dir?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
};

const SYSTEM_DIR = '/etc/smarthost';

export const registerInit: Register = (program, io) => {
  define<InitOptions>(
    program,
    {
      usage: 'init',
      about: 'Write smarthost.yaml, make DKIM keys, and print the DNS records to set. Asks for what is not given, unless --yes.',
      examples: ['init', 'init --hostname relay.example.net --domain example.org --email admin@example.net --accept-terms --yes'],
      options: (command) =>
        command
          .option('--hostname <name>', 'the full host name of this machine')
          .option('--domain <domain>', 'a domain that sends; repeatable', collect)
          .option('--email <address>', 'who is told when something needs a person; contact of the ACME account')
          .option('--accept-terms', "accept the terms of the certificate authority (Let's Encrypt)")
          .option(
            '--dir <dir>',
            `where smarthost.yaml goes; default ${SYSTEM_DIR}, where that cannot be written the current folder`,
          )
          .option('--yes', 'ask nothing')
          .option('--force', 'replace a smarthost.yaml that exists'),
    },
    (_, options) => init(io, options),
  );
};

async function init(io: Io, given: InitOptions & CommonOptions): Promise<void> {
  const options = io.interactive && !given.yes ? await ask(given) : given;
  if (options.hostname === undefined)
    throw new UsageError('--hostname is needed: the full host name of this machine, such as relay.example.net');
  const dir = await chooseDir(io, options.dir);
  const file = join(dir, 'smarthost.yaml');
  if (!options.force && (await stat(file).catch(() => undefined)))
    throw new CommandError(`${file} exists already. --force replaces it.`);
  const domains = [...new Set((options.domain ?? []).map((name) => typed('--domain', () => parseDomain(name))))];
  const text = configurationText({
    hostname: typed('--hostname', () => parseHostname(options.hostname!)),
    ...(options.email === undefined ? {} : { email: typed('--email', () => parseMailbox(options.email!)) }),
    acceptTerms: options.acceptTerms ?? false,
    dataDir: dir === SYSTEM_DIR ? '/var/lib/smarthost' : './data',
  });
  const config = await judge(io, file, text);
  const keys = await withStoreOf(config, (store) => ensureKeys(store, [config.hostname, ...domains]));
  await write(file, text);
  await printRecords(io, options, { config, domains, keys, file });
}

/** Only what was not said on the command line. */
async function ask(given: InitOptions & CommonOptions): Promise<InitOptions & CommonOptions> {
  const dialog = createInterface({ input: process.stdin, output: process.stderr });
  const question = async (text: string) => (await dialog.question(`${text} `)).trim() || undefined;
  try {
    const hostname = given.hostname ?? (await question('Full host name of this machine (relay.example.net):'));
    const domains = given.domain ?? (await question('Domains that send, separated by spaces:'))?.split(/[\s,]+/);
    const email = given.email ?? (await question('Mail address of the operator:'));
    const accept = given.acceptTerms ?? /^y/i.test((await question("Accept the terms of Let's Encrypt? (y/n)")) ?? '');
    return {
      ...given,
      ...(hostname === undefined ? {} : { hostname }),
      ...(domains === undefined ? {} : { domain: domains }),
      ...(email === undefined ? {} : { email }),
      acceptTerms: accept,
    };
  } finally {
    dialog.close();
  }
}

async function chooseDir(io: Io, dir: string | undefined): Promise<string> {
  if (dir !== undefined) return resolve(io.cwd, dir);
  const exists = await stat(SYSTEM_DIR).catch(() => undefined);
  const writable = await access(exists ? SYSTEM_DIR : dirname(SYSTEM_DIR), constants.W_OK).then(
    () => true,
    () => false,
  );
  return writable ? SYSTEM_DIR : io.cwd;
}

/** Before anything is written, by the rules that will read it. */
async function judge(io: Io, path: string, text: string): Promise<Config> {
  const result = await parseConfig({ path, text }, { env: io.env, cwd: io.cwd });
  if ('config' in result) return result.config;
  const mistyped = result.problems.filter(({ level }) => level === 'error');
  throw new UsageError(mistyped.map((problem) => formatProblem({ ...problem, source: '' })).join('\nerror: '));
}

async function write(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode: 0o644 });
  } catch (cause) {
    throw new CommandError(`${file} cannot be written (${(cause as NodeJS.ErrnoException).code}).`, { cause });
  }
}

/** A domain that has keys keeps them: `init` may be run again. */
async function ensureKeys({ operation }: Store, domains: readonly string[]): Promise<readonly DkimKey[]> {
  const { createDkimKeys } = await import('../signing/signing.ts');
  const keys: DkimKey[] = [];
  for (const domain of new Set(domains)) {
    let own = await operation.dkimKeys(domain);
    if (own.length === 0) {
      own = await createDkimKeys({ domain, now: Date.now(), state: 'active' });
      await operation.addDkimKeys(own);
    }
    keys.push(...own);
  }
  return keys;
}

type Made = {
  readonly config: Config;
  readonly domains: readonly string[];
  readonly keys: readonly DkimKey[];
  readonly file: string;
};

async function printRecords(io: Io, { json }: CommonOptions, { config, domains, keys, file }: Made): Promise<void> {
  const { dkimRecord, zoneLine } = await import('../signing/signing.ts');
  const groups = neededRecords({ hostname: config.hostname, domains, dkim: keys.map(dkimRecord), addresses: publicAddresses() });
  const next = `smarthost user add ${domains[0] === undefined ? 'NAME --sender RULE' : `anna@${domains[0]}`}`;
  if (json) await printJson(io, { file, dataDir: config.dataDir, records: groups.flatMap(({ records }) => records), next });
  io.err(`Wrote ${file}; keys are in ${config.dataDir}. Set these DNS records:\n`);
  if (!json) await io.out(zoneText(groups, zoneLine));
  io.err(`\nThen add who may send, and start the relay:\n  ${next}\n  smarthost config check\n  smarthost serve`);
}
