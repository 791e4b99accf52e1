/** chasquid with a configuration and data folder of its own, on loopback, as MX of a domain. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withNameserver } from './namespace.ts';
import { hasCommand, hasMountNamespaces } from './peers.ts';
import type { StoredMail } from './postfix.ts';
import { mustRun, startProgram, temporaryFolder, untilReady } from './program.ts';
import { greets } from './smtp-probe.ts';
import { makeCertificate } from './test-certificate.ts';

/** It asks the system's resolver for SPF, so it gets a resolv.conf of its own. */
export const hasChasquid = () => hasMountNamespaces() && hasCommand('chasquid', 'chasquid-util');

export type ChasquidOptions = {
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  readonly domain: string;
  /** Local parts that exist; all others are refused. */
  readonly users: readonly string[];
  /** Address of a DNS server on port 53. */
  readonly nameserver: string;
  /** Also takes mail of its users, who log in with this password, on ports 587 (STARTTLS) and 465 (TLS) of the address. */
  readonly password?: string;
};

export type Chasquid = {
  /** The certificate, self-signed, in its name. */
  readonly certificate: string;
  output(): string;
  mailbox(): readonly StoredMail[];
  close(): Promise<void>;
};

/** Receives a message on stdin: its recipient, its sender, then the content, into one file that appears whole. */
const DELIVERY_AGENT = `#!/bin/sh
umask 022
file=$(mktemp "$1/tmp/XXXXXXXX")
{ printf '%s\\n%s\\n' "$2" "$3"; cat; } >"$file" && mv "$file" "$1/new/"
`;

export async function startChasquid(options: ChasquidOptions): Promise<Chasquid> {
  const temporary = temporaryFolder('chasquid');
  const folder = temporary.path;
  const certificate = await prepare(folder, options);
  const { address, port, nameserver } = options;
  const program = startProgram(withNameserver(nameserver, folder, 'chasquid', [`--config_dir=${join(folder, 'etc')}`]));
  const close = async () => {
    await program.close();
    temporary.remove();
  };
  await untilReady(program, 'chasquid', () => greets(address, port)).catch((error) => {
    temporary.remove();
    throw error;
  });
  const inbox = join(folder, 'box/new');
  return {
    certificate,
    output: program.output,
    mailbox: () => readdirSync(inbox).map((file) => parseStored(readFileSync(join(inbox, file)))),
    close,
  };
}

/** @returns the path of its certificate */
async function prepare(folder: string, options: ChasquidOptions): Promise<string> {
  const { hostname, domain, users, password = 'not used' } = options;
  for (const part of ['etc', 'data', 'box/tmp', 'box/new', `etc/certs/${hostname}`, `etc/domains/${domain}`])
    mkdirSync(join(folder, part), { recursive: true });
  const { certificate, key } = await makeCertificate(folder, hostname);
  symlinkSync(certificate, join(folder, `etc/certs/${hostname}/fullchain.pem`));
  symlinkSync(key, join(folder, `etc/certs/${hostname}/privkey.pem`));
  writeFileSync(join(folder, 'deliver'), DELIVERY_AGENT);
  chmodSync(join(folder, 'deliver'), 0o755);
  writeFileSync(join(folder, 'etc/chasquid.conf'), configuration(folder, options));
  const utility = ['-C', join(folder, 'etc')].join('=');
  for (const user of users) await mustRun('chasquid-util', [utility, 'user-add', `${user}@${domain}`, `--password=${password}`]);
  return certificate;
}

function configuration(folder: string, { hostname, address, port, password }: ChasquidOptions): string {
  const submission = `submission_address: "${address}:587"\nsubmission_over_tls_address: "${address}:465"\n`;
  return `${password === undefined ? '' : submission}hostname: "${hostname}"
smtp_address: "${address}:${port}"
data_dir: "${join(folder, 'data')}"
mail_log_path: "<stdout>"
mail_delivery_agent_bin: "${join(folder, 'deliver')}"
mail_delivery_agent_args: "${join(folder, 'box')}"
mail_delivery_agent_args: "%to%"
mail_delivery_agent_args: "%from%"
`;
}

/** chasquid puts Delivered-To, Received and Received-SPF on top of what came. */
function parseStored(file: Buffer): StoredMail {
  const [recipient = '', reversePath = '', ...lines] = file.toString('latin1').split('\n');
  const received = lines.findIndex((line) => line.startsWith('Received-SPF: ') || line.startsWith('Received: '));
  let end = received;
  while (/^(Received|Received-SPF|Authentication-Results): |^[ \t]/.test(lines[end] ?? '')) end++;
  return {
    recipient,
    reversePath,
    message: Buffer.from(
      lines
        .slice(end)
        .map((line) => line.replace(/\r$/, ''))
        .join('\r\n'),
      'latin1',
    ),
  };
}
