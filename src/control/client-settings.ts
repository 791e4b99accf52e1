/** The settings that a client needs, for people, scripts and Exchange Server. */
import { inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import { recipesFor, type Settings } from './client-recipes.ts';
import type { User } from './shapes.ts';

export type ClientSettingsSource = {
  readonly hostname: string;
  readonly listen: { readonly [name in 'submissions' | 'submission']: readonly { readonly port: number }[] };
  readonly tls: { readonly mode: 'acme' | 'files' | 'self-signed' };
};

/** `client`. `advice`: sentences for a person. */
export type ClientSettings = ReturnType<typeof clientSettings>;

/** Takes the usual port if it is open, else the first one of the list. @param user undefined: only what all clients need. */
export function clientSettings(source: ClientSettingsSource, user: User | undefined) {
  const { hostname, listen } = source;
  const ports = [
    ...listen.submissions.map(({ port }) => ({ port, encryption: 'TLS' as const })),
    ...listen.submission.map(({ port }) => ({ port, encryption: 'STARTTLS' as const })),
  ];
  const settings: Settings = { host: hostname, ports, user: user?.name ?? null, senders: user?.senders ?? [] };
  const phrases = { advice: clientAdvice(source, settings), exchangeAdvice: exchangeAdvice(source, user) };
  return {
    settings,
    recipes: recipesFor(settings),
    advice: phrases.advice.map(inEnglish),
    powershell: sendConnector(settings),
    exchangeAdvice: phrases.exchangeAdvice.map(inEnglish),
    /** The advice, to be said in another language. */
    phrases,
  };
}

/** Exchange only supports STARTTLS, on any port, and checks the certificate against `-TlsDomain`. */
function sendConnector({ host, ports }: Settings): string {
  const port = ports.find(({ encryption }) => encryption === 'STARTTLS')?.port ?? 587;
  const connector = [
    `New-SendConnector -Name 'Relay ${host}' -Custom -AddressSpaces '*' -DNSRoutingEnabled $false`,
    `-SmartHosts '${host}' -Port ${port}`,
    '-SmartHostAuthMechanism BasicAuthRequireTLS -AuthenticationCredential (Get-Credential)',
    `-RequireTLS $true -TlsAuthLevel DomainValidation -TlsDomain '${host}'`,
    '-Fqdn (Read-Host "Host name of this Exchange server") -ProtocolLoggingLevel Verbose',
  ].join(' `\n  ');
  return `${connector}\n\n${checks(host)}`;
}

/** These lines are comments, so that the operator can paste all of the output. */
function checks(host: string): string {
  return [
    '# More than one Mailbox server: name those that may send through it.',
    `# Set-SendConnector 'Relay ${host}' -SourceTransportServers EX01,EX02`,
    '',
    '# To check it, send a message out. Is it waiting, and what did the relay answer?',
    '# Get-Queue | Where-Object MessageCount -gt 0 | Format-List Identity,MessageCount,NextHopDomain,LastError',
    '# The log with every line of the conversation with the relay is in this folder:',
    '# Get-TransportService | Format-List Name,SendProtocolLogPath',
    '# What happened to the message, on the relay:  smarthost trace ADDRESS',
  ].join('\n');
}

function clientAdvice({ tls }: ClientSettingsSource, { host, ports }: Settings): readonly Phrase[] {
  const starttls = ports.find(({ encryption }) => encryption === 'STARTTLS')?.port ?? 587;
  return [
    phrase`The password was shown when the credential was made; \`smarthost user passwd\` makes a new one.`,
    phrase`mailcow, docker-mailserver, MDaemon and others ask for the same: relay host ${host}, port ${starttls}, user name, password.`,
    ...selfSigned(tls.mode),
  ];
}

/** The problems that administrators meet first, each with the error text of Exchange. */
function exchangeAdvice({ tls, hostname }: ClientSettingsSource, user: User | undefined): readonly Phrase[] {
  return [
    userAdvice(user),
    ...selfSigned(tls.mode),
    phrase`"451 5.7.3 Require basic authentication": a firewall on the way hides AUTH; \`smarthost doctor\` shows what the relay itself offers.`,
    phrase`"451 5.7.3 STARTTLS is required": something inspects SMTP on the way, or the port is wrong.`,
    phrase`"454 4.7.5 Certificate validation failure": the smart host must be written as ${hostname}; Exchange must reach the revocation lists of the authority over HTTP.`,
    phrase`Exchange Online cannot log in to a smart host: its connectors take no credential.`,
  ];
}

function selfSigned(mode: ClientSettingsSource['tls']['mode']): readonly Phrase[] {
  return mode === 'self-signed'
    ? [phrase`The certificate is self-signed: clients refuse it until they are told to trust it (tls.mode).`]
    : [];
}

function userAdvice(user: User | undefined): Phrase {
  if (user === undefined)
    return phrase`Run it in the Exchange Management Shell. The credential: smarthost user add exchange --mail-server --sender @YOUR-DOMAIN`;
  if (!user.mailServer)
    return phrase`${user.name} cannot send the reports of a mail server (From its postmaster): smarthost user set ${user.name} --mail-server`;
  return phrase`Run it in the Exchange Management Shell; Get-Credential asks for ${user.name} and its password.`;
}
