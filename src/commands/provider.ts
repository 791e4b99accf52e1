/** `smarthost provider …`: receivers of mail that are known by their MX hosts, what each gets, and how each sees our addresses. */
import type { Command } from 'commander';
import type { KnownProvider, ProviderCommand } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, group, type Register } from './define.ts';
import { type Io, printJson } from './io.ts';
import { facts, several, table, time } from './text.ts';

export const registerProvider: Register = (program, io) => {
  const provider = group(program, 'provider', 'Providers: receivers of mail for many domains, and what each gets.');
  define<{ readonly all?: boolean }>(
    provider,
    {
      usage: 'list',
      about: 'Providers that get less than usual or refuse our address, and their held mail.',
      examples: ['provider list', 'provider list --all', 'provider list --json'],
      options: (command) => command.option('--all', 'the whole table of providers with their limits'),
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.providers.list();
        if (options.json) return printJson(io, found);
        if (options.all) return io.out(table(['PROVIDER', ...LIMITS], found.flatMap(limitsRow)));
        const rows = found.flatMap(stateRows);
        if (rows.length === 0) return io.err('Every provider takes mail as usual.');
        await io.out(table(['PROVIDER', 'ADDRESS', 'STATE', 'SINCE', 'NEXT', 'HELD', 'OLDEST', 'REPLY'], rows));
      }),
  );
  define(
    provider,
    {
      usage: 'show <provider>',
      about: 'One provider: its state, its limits and where they come from.',
      examples: ['provider show yahoo'],
    },
    ([key], options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.providers.show(key!);
        await (options.json ? printJson(io, found) : io.out(facts(factsOf(found))));
      }),
  );
  for (const command of ['probe', 'open', 'hold'] as const) registerCommand(provider, io, command);
};

const COMMANDS: Readonly<Record<ProviderCommand, { readonly about: string; readonly said: string }>> = {
  probe: {
    about: 'Send one held message now, to find out whether the provider takes mail again. The next times stay as they are.',
    said: 'one held message is sent',
  },
  open: { about: 'Send its mail at full pace now. A new refusal holds it again.', said: 'its mail goes now' },
  hold: {
    about: 'Hold its mail until `provider open`: nothing is sent to find out whether the provider takes it.',
    said: 'its mail is held',
  },
};

function registerCommand(provider: Command, io: Io, command: ProviderCommand): void {
  const { about, said } = COMMANDS[command];
  define(provider, { usage: `${command} <provider>`, about, examples: [`provider ${command} microsoft365`] }, ([key], options) =>
    withControl(io, options, async ({ control }) => {
      await control.providers.command(key!, command);
      io.err(`The relay was asked: ${said}. \`smarthost provider show ${key}\` shows the result.`);
      if (options.json) await printJson(io, { provider: key, command });
    }),
  );
}

const LIMITS = ['SESSIONS', 'PER CONNECTION', 'PER MINUTE', 'FIRST REST', 'WHOSE', 'MX'] as const;

function limitsRow({ provider, limits }: KnownProvider): readonly (readonly string[])[] {
  if (limits === null) return [];
  const { sessions, perConnection, perMinute, firstRest, origin, mx } = limits;
  const numbers = [String(sessions), String(perConnection), String(perMinute), `${firstRest / 60} min`];
  return [[provider, ...numbers, origin === 'local' ? 'yours' : 'shipped', mx.join(' ')]];
}

function stateRows({ provider, addresses, held, oldestHeldAt }: KnownProvider): readonly (readonly string[])[] {
  return addresses
    .filter(({ state }) => state !== 'open' || held > 0)
    .map(({ address, family, state, since, until, reply }) => [
      ...[provider, address ?? `IPv${family}`, state, time(since), time(until), String(held), time(oldestHeldAt), reply ?? ''],
    ]);
}

function factsOf({
  provider,
  limits,
  addresses,
  held,
  fallback,
  oldestHeldAt,
}: KnownProvider): readonly (readonly [string, string])[] {
  const states = addresses.flatMap(
    ({ address, family, state, since, until, reply, perConnection, ipv6Until, warmUp, ...now }) => [
      [
        address ?? `IPv${family}`,
        `${state} since ${time(since)}${until === null ? '' : `, ${nextWord(state)} ${time(until)}`}`,
      ] as const,
      ...(WITHOUT_PACE.has(state) ? [] : [['  takes', `${several(now.sessions, 'session')}, ${paceOf(now.perMinute)}`] as const]),
      ...(perConnection === null ? [] : [['  learnt', `${perConnection} messages in a connection`] as const]),
      ...(warmUp === null ? [] : [['  new address', `${warmUp.sent} of ${several(warmUp.cap, 'message')} today`] as const]),
      ...(ipv6Until === null
        ? []
        : [['  IPv6', `not used until ${time(ipv6Until)}: it was refused or failed where IPv4 was not`] as const]),
      ...(reply === null ? [] : [['  reply', reply] as const]),
    ],
  );
  const mail =
    held === 0 ? [] : [['held', `${several(held, 'recipient')}, the oldest accepted at ${time(oldestHeldAt)}`] as const];
  return [['provider', provider], ...states, ...mail, ...fallbackFacts(fallback), ...(limits === null ? [] : limitFacts(limits))];
}

/** It takes what it takes from all, or only what finds out whether it takes mail again. */
const WITHOUT_PACE: ReadonlySet<string> = new Set(['open', 'blocked', 'probing']);

const paceOf = (perMinute: number) =>
  perMinute < 1 ? `${Math.round(perMinute * 60)} messages an hour` : `${perMinute} messages a minute`;

function fallbackFacts(fallback: KnownProvider['fallback']): readonly (readonly [string, string])[] {
  if (fallback === null) return [];
  const { hosts, used, dailyCap, after, state, until, reply } = fallback;
  const when = after === 0 ? 'at once' : `after ${Math.round((after ?? 900) / 60)} min of a block`;
  return [
    ['fallback', `${hosts.join(', ')}, ${when}: ${used} of ${several(dailyCap, 'recipient')} today`],
    ...(state === 'blocked' ? [['  fails', `${reply ?? ''}; tried again ${time(until)}`] as const] : []),
  ];
}

const nextWord = (state: string) => (state === 'blocked' ? 'next probe' : 'until');

function limitFacts(limits: NonNullable<KnownProvider['limits']>): readonly (readonly [string, string])[] {
  const { mx, sessions, perConnection, perMinute, firstRest, ipv6, removal, source, read, origin } = limits;
  return [
    ['MX hosts', mx.join(' ')],
    ['limits', `${several(sessions, 'session')}, ${perConnection} messages in each, ${perMinute} a minute`],
    ['first rest', `${firstRest / 60} min after a request for less`],
    ['IPv6', ipv6 === 'no' ? 'never' : 'as for all destinations'],
    ['report a block', removal ?? ''],
    ['source', `${source}${read === '' ? '' : ` (read ${read})`}`],
    ['whose line', origin === 'local' ? 'yours (delivery.providers)' : 'shipped'],
  ];
}
