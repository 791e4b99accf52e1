/** `smarthost domain …`: the domains whose mail is signed, and the DNS records that go with their keys. RFC 6376. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Control, KeyRecord, SigningDomain } from '../control/control.ts';
import { withControl } from './context.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { CommandError, domainTyped, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { several, table, time } from './text.ts';

type AddOptions = { readonly selector?: string; readonly key?: string };

export const registerDomain: Register = (program, io) => {
  const domain = group(program, 'domain', 'Domains whose mail is signed with DKIM.');
  define<AddOptions>(
    domain,
    {
      usage: 'add <domain>',
      about: 'Make or take over keys for a domain and print the records to publish. They sign at once.',
      examples: [
        'domain add example.org',
        'domain add example.org --selector mail --key /etc/opendkim/keys/example.org/mail.private',
      ],
      options: (command) =>
        command
          .option('--selector <selector>', 'name of the key in the DNS')
          .option('--key <file>', 'take over this private key (PEM, PKCS#1 or PKCS#8); needs --selector'),
    },
    ([name], options) => add(io, name!, options),
  );
  define(domain, { usage: 'list', about: 'All domains with their keys.', examples: ['domain list'] }, (_, options) =>
    withControl(io, options, ({ control }) => list(io, options, control)),
  );
  define(
    domain,
    {
      usage: 'show <domain>',
      about: 'Show the keys of one domain, and whether the DNS has their records.',
      examples: ['domain show example.org'],
    },
    ([name], options) => show(io, name!, options),
  );
  define(
    domain,
    {
      usage: 'records <domain>',
      about: 'The DNS records to publish, as lines of a zone file.',
      examples: ['domain records example.org', 'domain records example.org --json'],
    },
    ([name], options) =>
      withControl(io, options, async ({ control }) =>
        printRecords(io, options, await control.domains.records(domainTyped(name!))),
      ),
  );
  define(
    domain,
    {
      usage: 'rotate <domain>',
      about: 'Make new keys and print their records. The old ones sign until the new records are seen.',
      examples: ['domain rotate example.org'],
    },
    ([name], options) => rotate(io, name!, options),
  );
  define(
    domain,
    {
      usage: 'remove <domain>',
      about: 'Stop signing. A key that queued mail was signed with is kept until that mail has ended.',
      examples: ['domain remove example.org'],
    },
    ([name], options) => withControl(io, options, ({ control }) => remove(io, name!, options, control)),
  );
};

async function add(io: Io, name: string, options: AddOptions & CommonOptions): Promise<void> {
  const domain = domainTyped(name);
  const { selector, key: file } = options;
  if (file !== undefined && selector === undefined)
    throw new UsageError('--key needs --selector: the name under which its record is published');
  // Read before the process changes its user, because the new user may not be allowed to read the key.
  const pem = file === undefined ? undefined : await readKey(resolve(io.cwd, file));
  await withControl(io, options, async ({ control: { domains } }) => {
    const records = await (pem === undefined ? domains.add(domain, selector) : domains.takeOver(domain, selector!, pem));
    // A first key signs at once: a signature that cannot be checked yet does no more harm than a missing one.
    const when = `mail is signed from now on, and receivers can check it when ${records.length === 1 ? 'it' : 'they'} can be seen`;
    await announce(io, options, records, when);
  });
}

async function readKey(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(`${path} cannot be read (${cause.code}).`, { cause });
  });
}

async function announce(io: Io, options: CommonOptions, records: readonly KeyRecord[], when: string): Promise<void> {
  io.err(`Publish ${records.length === 1 ? 'this record' : 'these records'}; ${when}:`);
  await printRecords(io, options, records);
}

async function printRecords(io: Io, { json }: CommonOptions, records: readonly KeyRecord[]): Promise<void> {
  if (json) return printJson(io, records);
  const { zoneLine } = await import('../signing/signing.ts');
  await io.out(records.map((record) => `${zoneLine(record)}\n`).join(''));
}

async function list(io: Io, { json }: CommonOptions, control: Control): Promise<void> {
  const domains = await control.domains.list();
  if (json) return printJson(io, domains);
  if (domains.length === 0) return io.err('There are no domains. `smarthost domain add DOMAIN` adds one.');
  await io.out(table(COLUMNS, domains.flatMap(keyRows)));
}

const COLUMNS = ['DOMAIN', 'SELECTOR', 'ALGORITHM', 'STATE', 'MADE'];

function keyRows({ domain, keys }: SigningDomain): string[][] {
  return keys.map(({ selector, algorithm, state, createdAt }) => [domain, selector, algorithm, state, time(createdAt)]);
}

async function show(io: Io, name: string, options: CommonOptions): Promise<void> {
  await withControl(io, options, async ({ control }) => {
    const shown = await control.domains.show(domainTyped(name));
    if (options.json) return printJson(io, shown);
    await io.out(
      table(
        [...COLUMNS, 'DNS'],
        keyRows(shown).map((row, i) => [...row, shown.keys[i]!.published]),
      ),
    );
  });
}

async function rotate(io: Io, name: string, options: CommonOptions): Promise<void> {
  await withControl(io, options, async ({ control }) => {
    const records = await control.domains.rotate(domainTyped(name));
    const them = records.length === 1 ? 'it' : 'them';
    const when = `the running relay signs with the new keys as soon as it sees ${them}, until then with the old ones`;
    await announce(io, options, records, when);
  });
}

async function remove(io: Io, name: string, options: CommonOptions, control: Control): Promise<void> {
  const done = await control.domains.remove(domainTyped(name), { force: true });
  const { domain, removed, retiring } = done;
  const why = `Queued mail carries the ${several(retiring.length, 'signature')} of ${retiring.map(({ selector }) => selector).join(', ')}: leave the DNS ${retiring.length === 1 ? 'record' : 'records'} until it has ended.`;
  io.err(removed ? `${domain} is removed. Its DNS records may go.` : `${domain} no longer signs. ${why}`);
  if (options.json) await printJson(io, done);
}
