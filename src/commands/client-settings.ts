/** Prints the settings that a client needs. */
import type { Config } from '../config/config.ts';
import { type ClientSettings, clientSettings, type User } from '../control/control.ts';
import type { CommonOptions } from './define.ts';
import { type Io, printJson } from './io.ts';
import { facts } from './text.ts';

type What = { readonly config: Config; readonly user: User | undefined; readonly exchange: boolean };

export async function printSettings(io: Io, { json }: CommonOptions, { config, user, exchange }: What): Promise<void> {
  const { settings, recipes, powershell, advice, exchangeAdvice } = clientSettings(config, user);
  const lines = exchange ? { powershell } : recipes;
  if (json) return printJson(io, { ...settings, ...lines });
  if (user !== undefined) await io.out(describe(settings));
  for (const recipe of Object.values(lines)) await io.out(`${user === undefined ? '' : '\n'}${recipe}\n`);
  for (const sentence of exchange ? exchangeAdvice : advice) io.err(sentence);
}

function describe({ host, ports, user, senders }: ClientSettings['settings']): string {
  return facts([
    ['server', host],
    ...ports.map(
      ({ port, encryption }) =>
        [
          'port',
          encryption === 'TLS' ? `${port} with TLS (also called SSL/TLS, implicit TLS)` : `${port} with STARTTLS`,
        ] as const,
    ),
    ['authentication', 'user name and password (PLAIN or LOGIN)'],
    ['user name', user ?? ''],
    ['sender', senders.join(', ')],
  ]);
}
