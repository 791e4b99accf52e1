/** `smarthost domain …`: the domains whose mail is signed, and the DNS records that go with their keys. RFC 6376. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { keyShape } from '../control/control.ts';
import type { DkimKey, Store } from '../store/store.ts';
import { withStore } from './context.ts';
import { type CommonOptions, define, group, type Register } from './define.ts';
import { CommandError, typed, UsageError } from './errors.ts';
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
    withStore(io, options, ({ store }) => list(io, options, store)),
  );
  define(
    domain,
    {
      usage: 'show <domain>',
      about: 'The keys of one domain, and whether the DNS has their records.',
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
      withStore(io, options, async ({ store }) => printRecords(io, options, toPublish(await keysOf(store, name!)))),
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
    ([name], options) => withStore(io, options, ({ store }) => remove(io, name!, options, store)),
  );
};

async function add(io: Io, name: string, options: AddOptions & CommonOptions): Promise<void> {
  const { createDkimKeys, importDkimKey } = await import('../signing/signing.ts');
  const domain = await domainTyped(name);
  const { selector, key: file } = options;
  if (file !== undefined && selector === undefined)
    throw new UsageError('--key needs --selector: the name under which its record is published');
  // Read before the user changes: the key may belong to another one.
  const pem = file === undefined ? undefined : await readKey(resolve(io.cwd, file));
  await withStore(io, options, async ({ store }) => {
    const there = await store.operation.dkimKeys(domain);
    if (there.some(({ state }) => state !== 'retiring'))
      throw new CommandError(`${domain} exists already. \`smarthost domain rotate ${domain}\` makes new keys.`);
    const keys =
      pem === undefined
        ? await typedLater('--selector', () =>
            createDkimKeys({ domain, now: Date.now(), state: 'active', ...nameFor(selector, there) }),
          )
        : [typed('--key', () => importDkimKey({ domain, selector: selector!, pem, now: Date.now(), state: 'active' }))];
    await keep(store, keys);
    await announce(io, options, keys);
  });
}

async function readKey(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(`${path} cannot be read (${cause.code}).`, { cause });
  });
}

async function typedLater<T>(what: string, make: () => Promise<T>): Promise<T> {
  return make().catch((error: Error) => {
    throw new UsageError(`${what}: ${error.message}`, { cause: error });
  });
}

/** Selectors are named by the day; a second pair on one day needs another name. */
function nameFor(selector: string | undefined, there: readonly DkimKey[]): { selector?: string } {
  if (selector !== undefined) return { selector };
  const today = `s${new Date().toISOString().slice(0, 10).replaceAll('-', '')}`;
  const sameDay = there.filter((key) => key.selector.startsWith(today)).length;
  return sameDay === 0 ? {} : { selector: `${today}-${Math.floor(sameDay / 2) + 1}` };
}

async function keep(store: Store, keys: readonly DkimKey[]): Promise<void> {
  if (await store.operation.addDkimKeys(keys)) return;
  const names = keys.map(({ selector }) => selector).join(', ');
  throw new CommandError(`${keys[0]!.domain} has a key with the selector ${names} already: choose another --selector.`);
}

async function announce(io: Io, options: CommonOptions, keys: readonly DkimKey[]): Promise<void> {
  const [these, they, them] = keys.length === 1 ? ['this record', 'it', 'it'] : ['these records', 'they', 'them'];
  // A first key signs at once: a signature that nobody can check yet does no more harm than none.
  const active = keys.every(({ state }) => state === 'active');
  const when = active
    ? `mail is signed from now on, and receivers can check it when ${they} can be seen`
    : `the running relay signs with the new keys as soon as it sees ${them}, until then with the old ones`;
  io.err(`Publish ${these}; ${when}:`);
  await printRecords(io, options, keys);
}

async function printRecords(io: Io, { json }: CommonOptions, keys: readonly DkimKey[]): Promise<void> {
  const { dkimRecord, zoneLine } = await import('../signing/signing.ts');
  const records = keys.map(dkimRecord);
  if (json)
    await printJson(
      io,
      records.map(({ name, type, ttl, value }) => ({ name, type, ttl, value })),
    );
  else await io.out(records.map((record) => `${zoneLine(record)}\n`).join(''));
}

/** A retiring key's record must stay too, until no queued mail needs it. */
function toPublish(keys: readonly DkimKey[]): readonly DkimKey[] {
  return [...keys].sort((a, b) => b.createdAt - a.createdAt);
}

async function list(io: Io, { json }: CommonOptions, store: Store): Promise<void> {
  const keys = await store.operation.dkimKeys();
  const domains = [...Map.groupBy(keys, ({ domain }) => domain)];
  if (json)
    return printJson(
      io,
      domains.map(([domain, own]) => ({ domain, keys: own.map(keyShape) })),
    );
  if (keys.length === 0) return io.err('There are no domains. `smarthost domain add DOMAIN` adds one.');
  await io.out(keyTable(keys));
}

function keyTable(keys: readonly DkimKey[], published?: readonly string[]): string {
  const rows = keys.map(({ domain, selector, algorithm, state, createdAt }, i) => [
    domain,
    selector,
    algorithm,
    state,
    time(createdAt),
    ...(published === undefined ? [] : [published[i]!]),
  ]);
  return table(['DOMAIN', 'SELECTOR', 'ALGORITHM', 'STATE', 'MADE', ...(published === undefined ? [] : ['DNS'])], rows);
}

async function show(io: Io, name: string, options: CommonOptions): Promise<void> {
  const { checkPublished } = await import('../signing/signing.ts');
  const { createDns } = await import('../dns/dns.ts');
  const { config, keys } = await withStore(io, options, async ({ config, store }) => ({
    config,
    keys: await keysOf(store, name),
  }));
  const dns = createDns({ servers: config.dns.servers });
  const published = await Promise.all(keys.map((key) => checkPublished(key, dns)));
  if (!options.json) return io.out(keyTable(keys, published));
  await printJson(io, { domain: keys[0]!.domain, keys: keys.map((key, i) => ({ ...keyShape(key), published: published[i] })) });
}

async function rotate(io: Io, name: string, options: CommonOptions): Promise<void> {
  const { createDkimKeys } = await import('../signing/signing.ts');
  await withStore(io, options, async ({ store }) => {
    const there = await keysOf(store, name);
    const keys = await createDkimKeys({ domain: there[0]!.domain, now: Date.now(), ...nameFor(undefined, there) });
    await keep(store, keys);
    await announce(io, options, keys);
  });
}

/** A key in use becomes retiring, which no longer signs; the running relay removes it when the last of its mail has ended. */
async function remove(io: Io, name: string, options: CommonOptions, store: Store): Promise<void> {
  const keys = await keysOf(store, name);
  const { domain } = keys[0]!;
  const kept: DkimKey[] = [];
  for (const key of keys) {
    const { selector, createdAt } = key;
    const which = { domain, selector, createdAt }; // in whatever state the relay has put it meanwhile
    if (await store.messages.signatureInUse(`${selector}._domainkey.${domain}`)) {
      await store.operation.setDkimKeyState(which, 'retiring');
      kept.push({ ...key, state: 'retiring' });
    } else {
      await store.operation.removeDkimKey(which);
    }
  }
  const why = `Queued mail carries the ${several(kept.length, 'signature')} of ${kept.map(({ selector }) => selector).join(', ')}: leave the DNS ${kept.length === 1 ? 'record' : 'records'} until it has ended.`;
  io.err(kept.length === 0 ? `${domain} is removed. Its DNS records may go.` : `${domain} no longer signs. ${why}`);
  if (options.json) await printJson(io, { domain, removed: kept.length === 0, retiring: kept.map(keyShape) });
}

/** @throws CommandError where the domain has no keys. */
async function keysOf(store: Store, name: string): Promise<readonly DkimKey[]> {
  const domain = await domainTyped(name);
  const keys = await store.operation.dkimKeys(domain);
  if (keys.length === 0) throw new CommandError(`No domain named ${domain}. \`smarthost domain list\` shows them.`);
  return keys;
}

async function domainTyped(text: string): Promise<string> {
  const { parseDomain } = await import('../config/config.ts');
  return typed('DOMAIN', () => parseDomain(text));
}
