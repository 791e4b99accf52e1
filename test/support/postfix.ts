/** Postfix with a configuration, queue and spool of its own, in the foreground on loopback: as a destination, a client and a sender. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { withNameserver } from './namespace.ts';
import { hasCommand, isRoot } from './peers.ts';
import { mustRun, startProgram, temporaryFolder, until, untilReady } from './program.ts';
import { greets } from './smtp-probe.ts';
import { makeCertificate } from './test-certificate.ts';

/** It changes its user: root starts it, or nobody. */
export const hasPostfix = () => isRoot && hasCommand('postfix', 'postmulti', 'sendmail');

/** The process that runs the others; `postfix start-fg` would put a script before it, which takes no signal while it waits. */
const MASTER = '/usr/lib/postfix/sbin/master';

/** The user that stored mail belongs to. */
const NOBODY = 65_534;

/** A message as it was stored. */
export type StoredMail = {
  /** The envelope's recipient and sender as Postfix noted them. */
  readonly recipient: string;
  readonly reversePath: string;
  /** What came over the wire, CRLF as line ends, without the fields that delivery put on top. */
  readonly message: Buffer;
};

/** What its log says of one attempt: `sent`, `deferred` or `bounced`, and the whole line. */
export type PostfixAttempt = { readonly status: string; readonly line: string };

export type Postfix = {
  readonly folder: string;
  output(): string;
  /** All mail in the mailbox, in no order. */
  mailbox(): readonly StoredMail[];
  /** Hands a message to its own sendmail. */
  sendmail(args: readonly string[], message: string | Buffer): Promise<void>;
  /** Resolves when its first attempt for a recipient has ended. */
  attempt(recipient: string): Promise<PostfixAttempt>;
  /** Messages in its queue. */
  waiting(): number;
  close(): Promise<void>;
};

export type DestinationOptions = {
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  /** Each takes every recipient, except local parts that begin with `unknown`. */
  readonly domains: readonly string[];
  /** Further lines of main.cf. */
  readonly settings?: readonly string[];
};

/** Starts Postfix as MX of some domains, STARTTLS offered, mail kept in one maildir. */
export async function startPostfixDestination(options: DestinationOptions): Promise<Postfix> {
  const { address, port, hostname, domains, settings = [] } = options;
  const listener = `${address}:${port} inet n - n - - smtpd`;
  return startPostfix({
    name: 'postfix-mx',
    hostname,
    services: [listener],
    ready: () => greets(address, port),
    settings: async (folder) => {
      const { certificate, key } = await makeCertificate(folder, hostname);
      writeFileSync(join(folder, 'mailboxes'), 'if !/^unknown/\n/./ mail/\nendif\n');
      mkdirSync(join(folder, 'box'));
      await chown(join(folder, 'box'), NOBODY, NOBODY);
      return [
        `virtual_mailbox_domains = ${domains.join(' ')}`,
        `virtual_mailbox_base = ${join(folder, 'box')}`,
        `virtual_mailbox_maps = regexp:${join(folder, 'mailboxes')}`,
        `virtual_uid_maps = static:${NOBODY}`,
        `virtual_gid_maps = static:${NOBODY}`,
        `smtpd_tls_cert_file = ${certificate}`,
        `smtpd_tls_key_file = ${key}`,
        'smtpd_tls_security_level = may',
        'smtpd_tls_loglevel = 1',
        'smtpd_tls_received_header = yes',
        ...settings,
      ];
    },
  });
}

export type ClientOptions = {
  readonly hostname: string;
  /** Where the relay listens. */
  readonly relay: { readonly address: string; readonly port: number };
  /** TLS from the first byte, as on port 465. */
  readonly implicitTls: boolean;
  readonly mechanism: 'plain' | 'login';
  readonly user: string;
  readonly password: string;
  readonly settings?: readonly string[];
};

/** Starts Postfix as a mail server that hands all its mail to the relay. */
export async function startPostfixClient(options: ClientOptions): Promise<Postfix> {
  const { hostname, relay, implicitTls, mechanism, user, password, settings = [] } = options;
  const nextHop = `[${relay.address}]:${relay.port}`;
  return startPostfix({
    name: 'postfix-client',
    hostname,
    services: [],
    settings: async (folder) => {
      writeFileSync(join(folder, 'passwords'), `${nextHop} ${user}:${password}\n`, { mode: 0o600 });
      return [
        `relayhost = ${nextHop}`,
        'smtp_sasl_auth_enable = yes',
        `smtp_sasl_password_maps = texthash:${join(folder, 'passwords')}`,
        'smtp_sasl_security_options = noanonymous',
        `smtp_sasl_mechanism_filter = ${mechanism}`,
        'smtp_tls_security_level = encrypt',
        `smtp_tls_wrappermode = ${implicitTls ? 'yes' : 'no'}`,
        'smtp_tls_loglevel = 1',
        ...settings,
      ];
    },
  });
}

export type SenderOptions = {
  readonly hostname: string;
  /** A resolver that validates, on port 53. */
  readonly nameserver: string;
  /** Of all MX hosts. */
  readonly port: number;
};

/** Starts Postfix as a mail server that delivers to MX hosts and obeys DANE. */
export async function startPostfixSender({ hostname, nameserver, port }: SenderOptions): Promise<Postfix> {
  return startPostfix({
    name: 'postfix-sender',
    hostname,
    services: [],
    nameserver,
    settings: async () => [
      'smtp_tls_security_level = dane',
      'smtp_dns_support_level = dnssec',
      'smtp_host_lookup = dns',
      `smtp_tcp_port = ${port}`,
      'dnssec_probe =', // the lab has no root zone
      'default_process_limit = 20',
    ],
  });
}

type StartOptions = {
  readonly name: string;
  readonly hostname: string;
  /** Lines of master.cf beside the internal services. */
  readonly services: readonly string[];
  readonly settings: (folder: string) => Promise<readonly string[]>;
  readonly ready?: () => Promise<boolean>;
  /** Its resolver; default: the machine's, which no test may ask. */
  readonly nameserver?: string;
};

async function startPostfix({ name, hostname, services, settings, ready, nameserver }: StartOptions): Promise<Postfix> {
  const temporary = temporaryFolder(name);
  const folder = temporary.path;
  for (const part of ['etc', 'queue', 'data']) mkdirSync(join(folder, part));
  const postfixUser = Number((await mustRun('id', ['-u', 'postfix'])).trim());
  await chown(join(folder, 'data'), postfixUser, -1);
  const lines = [...common(folder, hostname), ...(await settings(folder))];
  writeFileSync(join(folder, 'etc/main.cf'), `${lastOfEach(lines).join('\n')}\n`);
  writeFileSync(join(folder, 'etc/master.cf'), `${[...services, ...INTERNAL_SERVICES].join('\n')}\n`);
  await mustRun('postfix', ['-c', join(folder, 'etc'), 'check']); // makes the folders of the queue
  const master = { command: MASTER, args: ['-c', join(folder, 'etc'), '-s'] };
  // A busy machine may answer late: the last value of an option counts.
  const patient = 'trust-ad edns0 timeout:10 attempts:2';
  const program = startProgram(nameserver ? withNameserver(nameserver, folder, master.command, master.args, patient) : master);
  const output = () => program.output() + readText(join(folder, 'maillog'));
  // The log is written by a daemon that starts beside the others: its first line may be lost, the sockets are not.
  const listens = () => ['qmgr', 'pickup', 'cleanup'].every((name) => existsSync(join(folder, 'queue/public', name)));
  const started = async () => (output().includes('daemon started') || listens()) && (ready === undefined || (await ready()));
  const close = async () => {
    await program.close();
    temporary.remove();
  };
  await untilReady(program, name, started, output).catch(async (error) => {
    await close();
    throw error;
  });
  const attempt = async (recipient: string) => {
    const line = await until(`an attempt for ${recipient}`, () => lineOf(output(), recipient), { context: output });
    return { status: / status=(\w+) /.exec(line)![1]!, line };
  };
  return { folder, output, attempt, ...mailOf(folder), close };
}

function mailOf(folder: string): Pick<Postfix, 'mailbox' | 'sendmail' | 'waiting'> {
  const inbox = join(folder, 'box/mail/new');
  return {
    mailbox: () => list(inbox).map((file) => parseStored(readFileSync(join(inbox, file)))),
    async sendmail(args, message) {
      await mustRun('sendmail', ['-C', join(folder, 'etc'), ...args], { input: message });
    },
    waiting: () =>
      ['maildrop', 'incoming', 'active', 'deferred'].reduce((sum, name) => sum + files(join(folder, 'queue', name)), 0),
  };
}

/** The first line about a recipient that has a status. */
function lineOf(log: string, recipient: string): string | undefined {
  return log.split('\n').find((line) => line.includes(` to=<${recipient}>, `) && line.includes(' status=') && line.endsWith(')'));
}

function common(folder: string, hostname: string): string[] {
  return [
    'compatibility_level = 3.6',
    `queue_directory = ${join(folder, 'queue')}`,
    `data_directory = ${join(folder, 'data')}`,
    'mail_owner = postfix',
    'setgid_group = postdrop',
    `myhostname = ${hostname}`,
    'mydestination =',
    'mynetworks = 127.0.0.0/8',
    'inet_interfaces = loopback-only',
    'inet_protocols = ipv4',
    'alias_maps =',
    'alias_database =',
    `maillog_file = ${join(folder, 'maillog')}`,
    `maillog_file_prefixes = ${folder}`,
    'smtpd_peername_lookup = no', // no question to the machine's own resolver
    'disable_dns_lookups = yes',
    'smtpd_client_connection_count_limit = 0',
    'local_header_rewrite_clients =', // loopback is a stranger here: headers stay as they came
    'smtpd_relay_restrictions = reject_unauth_destination',
    'smtputf8_enable = yes',
    'in_flow_delay = 0',
  ];
}

/** The queue manager looks each five seconds for what it put aside for a minute, as it does with a file that an agent still holds. */
const INTERNAL_SERVICES = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 5 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd`.split('\n');

/**
 * One line for each parameter, the last one given. Postfix warns of each overridden line in each process that starts, postlogd(8)
 * among them: once its own socket is full of such warnings, it waits for itself for ever, and all that log wait with it.
 */
function lastOfEach(lines: readonly string[]): string[] {
  return [...new Map(lines.map((line) => [line.slice(0, line.indexOf('=')).trim(), line])).values()];
}

/** The log does not exist before the first line. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** A maildir that has had no mail yet does not exist. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function files(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

/** virtual(8) puts Return-Path, X-Original-To and Delivered-To on top, smtpd(8) its Received below them. */
function parseStored(file: Buffer): StoredMail {
  const lines = file.toString('latin1').split('\n');
  const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
  const received = lines.findIndex((line) => line.startsWith('Received: '));
  const end = lines.findIndex((line, i) => i > received && !/^[ \t]/.test(line));
  return {
    recipient: field('Delivered-To'),
    reversePath: field('Return-Path').replace(/^<|>$/g, ''),
    message: Buffer.from(lines.slice(end).join('\r\n'), 'latin1'),
  };
}
