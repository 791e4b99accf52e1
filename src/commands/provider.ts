/** `smarthost provider …`: receivers of mail that are known by their MX hosts, and what each gets. */
import type { KnownProvider } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, group, type Register } from './define.ts';
import { printJson } from './io.ts';
import { facts, several, table } from './text.ts';

export const registerProvider: Register = (program, io) => {
  const provider = group(program, 'provider', 'Providers: receivers of mail for many domains, and what each gets.');
  define(
    provider,
    {
      usage: 'list',
      about: 'The table of providers and their limits. The setting delivery.providers names a file with lines of your own.',
      examples: ['provider list', 'provider list --json'],
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.providers.list();
        if (options.json) return printJson(io, found);
        await io.out(
          table(['PROVIDER', 'SESSIONS', 'PER CONNECTION', 'PER MINUTE', 'FIRST REST', 'WHOSE', 'MX'], found.map(row)),
        );
      }),
  );
  define(
    provider,
    { usage: 'show <provider>', about: 'One provider: its limits and where they come from.', examples: ['provider show yahoo'] },
    ([key], options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.providers.show(key!);
        await (options.json ? printJson(io, found) : io.out(facts(factsOf(found))));
      }),
  );
};

function row({ provider, sessions, perConnection, perMinute, firstRest, origin, mx }: KnownProvider): readonly string[] {
  return [
    ...[provider, String(sessions), String(perConnection), String(perMinute), `${firstRest / 60} min`],
    ...[origin === 'local' ? 'yours' : 'shipped', mx.join(' ')],
  ];
}

function factsOf(found: KnownProvider): readonly (readonly [string, string])[] {
  return [
    ['provider', found.provider],
    ['MX hosts', found.mx.join(' ')],
    ['limits', `${several(found.sessions, 'session')}, ${found.perConnection} messages in each, ${found.perMinute} a minute`],
    ['first rest', `${found.firstRest / 60} min after a request for less`],
    ['IPv6', found.ipv6 === 'no' ? 'never' : 'as for all destinations'],
    ['removal', found.removal ?? ''],
    ['source', `${found.source}${found.read === '' ? '' : ` (read ${found.read})`}`],
    ['whose line', found.origin === 'local' ? 'yours (delivery.providers)' : 'shipped'],
  ];
}
