/** The settings that a client needs, for people, scripts and Exchange Server. */
import type { Config } from '../config/config.ts';
import type { Credential } from '../store/store.ts';
import type { CommonOptions } from './define.ts';
import { type Io, printJson } from './io.ts';
import { facts } from './text.ts';

type What = { readonly config: Config; readonly credential: Credential | undefined; readonly exchange: boolean };

export async function printSettings(io: Io, { json }: CommonOptions, { config, credential, exchange }: What): Promise<void> {
  const settings = settingsFor(config, credential);
  const powershell = exchange ? sendConnector(settings) : undefined;
  if (json) return printJson(io, { ...settings, ...(powershell === undefined ? {} : { powershell }) });
  if (credential !== undefined) await io.out(describe(settings));
  if (powershell === undefined)
    return io.err('The password was shown when the credential was made; `smarthost user passwd` makes a new one.');
  await io.out(`${credential === undefined ? '' : '\n'}${powershell}\n`);
  io.err(exchangeAdvice(credential));
}

type Settings = {
  readonly host: string;
  readonly ports: readonly { readonly port: number; readonly encryption: 'TLS' | 'STARTTLS' }[];
  readonly user: string | null;
  readonly senders: readonly string[];
};

/** A port that is not the usual one is the first of its list. */
function settingsFor({ hostname, listen }: Config, credential: Credential | undefined): Settings {
  const ports = [
    ...listen.submissions.map(({ port }) => ({ port, encryption: 'TLS' as const })),
    ...listen.submission.map(({ port }) => ({ port, encryption: 'STARTTLS' as const })),
  ];
  return { host: hostname, ports, user: credential?.name ?? null, senders: credential?.senders ?? [] };
}

function describe({ host, ports, user, senders }: Settings): string {
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

/** Exchange knows STARTTLS alone, on any port, and checks the certificate against `-TlsDomain`. */
function sendConnector({ host, ports }: Settings): string {
  const port = ports.find(({ encryption }) => encryption === 'STARTTLS')?.port ?? 587;
  return [
    `New-SendConnector -Name 'Relay ${host}' -Custom -AddressSpaces '*' -DNSRoutingEnabled $false`,
    `-SmartHosts '${host}' -Port ${port}`,
    '-SmartHostAuthMechanism BasicAuthRequireTLS -AuthenticationCredential (Get-Credential)',
    `-RequireTLS $true -TlsAuthLevel DomainValidation -TlsDomain '${host}'`,
    '-Fqdn (Read-Host "Host name of this Exchange server") -ProtocolLoggingLevel Verbose',
  ].join(' `\n  ');
}

function exchangeAdvice(credential: Credential | undefined): string {
  if (credential === undefined)
    return 'Run it in the Exchange Management Shell. The credential: smarthost user add exchange --mail-server --sender @YOUR-DOMAIN';
  if (!credential.mailServer)
    return `${credential.name} cannot send reports and out-of-office replies (null sender): smarthost user set ${credential.name} --mail-server`;
  return `Run it in the Exchange Management Shell; Get-Credential asks for ${credential.name} and its password.`;
}
