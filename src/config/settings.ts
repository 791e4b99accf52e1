/** The one list of settings: name, type, default, explanation, and whether SIGHUP can change it. */

import type { Route } from '../smtp/route.ts';
import type { ValueType } from './types.ts';
import * as type from './types.ts';

export type Setting<T> = {
  readonly type: ValueType<T>;
  /** As an operator would write it; undefined: none. */
  readonly fallback: unknown;
  readonly about: string;
  /** SIGHUP changes it in the running relay. */
  readonly live: boolean;
};

type Settings = { readonly [key: string]: Setting<any> | Settings };
/** What the settings become: values with units resolved (milliseconds, bytes). */
type Resolved<S> = S extends Setting<infer T> ? T : { readonly [K in keyof S]: Resolved<S[K]> };

/** A pair of PEM files. */
export type CertificateFiles = { readonly certificate: string; readonly key: string };

/** Read at start only. */
const fixed = <T>(kind: ValueType<T>, fallback: unknown, about: string): Setting<T> => ({
  type: kind,
  fallback,
  about,
  live: false,
});
/** SIGHUP changes it. */
const live = <T>(kind: ValueType<T>, fallback: unknown, about: string): Setting<T> => ({
  type: kind,
  fallback,
  about,
  live: true,
});

const ipPolicy = type.oneOf('auto', 'v4-only', 'v6-only', 'v4-first', 'v6-first');
const tlsLevel = type.oneOf('none', 'opportunistic', 'encrypt', 'verify');
const addresses = type.listOf(type.listenAddress);
const networks = type.listOf(type.network);
const some = type.count(1);

const certificateFields = {
  certificate: { type: type.path, required: true, about: 'PEM with the full chain, leaf first.' },
  key: { type: type.path, required: true, about: 'PEM of its private key.' },
} as const;
const loginFields = {
  user: { type: type.text, required: true, about: 'User name at the upstream.' },
  password: { type: type.secret, required: true, about: 'Its password. Keep the file from the eyes of others (mode 0640).' },
} as const;
const routeFields = {
  recipientDomain: {
    type: type.domainPattern,
    about: 'Recipients in this domain. `.example.org`: in its subdomains, not in itself; `*`: in any.',
  },
  senderDomain: { type: type.domainPattern, about: 'Envelope senders in this domain; patterns as before.' },
  user: { type: type.text, about: 'Mail of this credential.' },
  mx: { type: type.domainPattern, about: 'Domains whose best MX host is this one; patterns as before.' },
  hosts: { type: type.listOf(type.hostAndPort), required: true, about: 'Where it goes, tried in order.' },
  tls: { type: tlsLevel, about: 'As `delivery.tls`; `verify` where absent.' },
  login: { type: type.record('user, password', loginFields), about: 'Credentials at the upstream: `{ user: …, password: … }`.' },
  sign: {
    type: type.boolean,
    about:
      'false: a message that goes to no other route gets no DKIM signature of ours, as for an upstream that signs itself or wants one signature only. Decided when it is accepted: a route with `mx` is not known by then.',
  },
  ip: { type: ipPolicy, about: 'As `delivery.ip`.' },
} as const;

export const SETTINGS = {
  hostname: fixed(
    type.hostname,
    undefined,
    'The name of this relay in EHLO, greeting, certificate, Message-ID and reports. Required: a full host name whose A/AAAA and PTR records fit each other.',
  ),
  dataDir: fixed(type.path, '/var/lib/smarthost', 'Where queue, credentials, keys and certificates are kept.'),
  store: fixed(type.oneOf('sqlite'), 'sqlite', 'What keeps them.'),
  operator: fixed(
    type.optional(type.mailbox),
    undefined,
    'Who is told when something needs a person, and who gets mail for `<postmaster>` without a domain. Absent: nobody is told, and that mail is refused.',
  ),
  listen: {
    submissions: fixed(
      addresses,
      ['[::]:465'],
      'Submission over implicit TLS (RFC 8314). `[::]` is every address, IPv4 included.',
    ),
    submission: fixed(addresses, ['[::]:587'], 'Submission with STARTTLS (RFC 6409).'),
    http: fixed(addresses, ['[::]:80'], 'Answers ACME HTTP-01 challenges; opens only where that challenge is used.'),
    alpn: fixed(addresses, ['[::]:443'], 'Answers ACME TLS-ALPN-01 challenges; opens only where that challenge is used.'),
    admin: fixed(addresses, ['127.0.0.1:8025'], 'Health and metrics. Has no login: keep it on a private address.'),
  },
  tls: {
    mode: fixed(type.oneOf('acme', 'files', 'self-signed'), 'acme', 'Where certificates come from.'),
    names: fixed(type.listOf(type.hostname), [], 'Further names in the certificate.'),
    files: live(
      type.listOfRecords<CertificateFiles>(certificateFields),
      [],
      'With mode `files`: one or two pairs (ECDSA and RSA).',
    ),
    acme: {
      directory: fixed(type.optional(type.url), undefined, 'The ACME directory. Absent: that of Let’s Encrypt.'),
      staging: fixed(type.boolean, false, 'true: the staging directory of Let’s Encrypt, for trials.'),
      email: fixed(type.optional(type.mailbox), undefined, 'Contact of the ACME account.'),
      acceptTerms: fixed(
        type.boolean,
        false,
        'true: you accept the terms of the certificate authority. No certificate is asked for before.',
      ),
      challenge: fixed(type.oneOf('http-01', 'tls-alpn-01'), 'http-01', 'How the authority checks the name.'),
      ca: fixed(type.optional(type.path), undefined, 'PEM file that the ACME server is trusted by, for a test authority.'),
    },
  },
  submission: {
    maxMessageSize: live(type.size, '50MiB', 'Larger messages are refused with 552 5.3.4.'),
    maxRecipients: live(some, 1000, 'Recipients of one message; further ones get 452 4.5.3.'),
    maxHeaderSize: live(type.size, '256KiB', 'Size of the header section.'),
    bareNewlines: live(
      type.oneOf('normalize', 'reject'),
      'normalize',
      'Lines that end in a bare LF: corrected and logged, or refused.',
    ),
    checkFrom: live(type.boolean, true, 'The From field must belong to the credential too, not only the envelope sender.'),
    proxyTrust: live(networks, [], 'Networks of proxies that send the PROXY protocol. Nobody else is believed.'),
    maxSessions: live(some, 1000, 'Sessions at once.'),
    maxSessionsPerAddress: live(some, 100, 'Sessions at once from one address.'),
    handshakesPerAddress: live(
      some,
      20,
      'TLS handshakes a second from one address that lead to no login. More of them wait, up to 5 s, then end. Logins are not counted.',
    ),
    idleTimeout: live(type.duration, '5m', 'A silent session is closed with 421 4.4.2 (RFC 5321 §4.5.3.2.7).'),
    commandTimeout: live(
      type.duration,
      '5m',
      'How long a command may take to arrive once it has begun, and the text of a message to begin.',
    ),
    authTimeout: live(type.duration, '5m', 'How long the steps of one AUTH may take: a person may type the password.'),
    minDataRate: live(type.size, '500B', 'Bytes a second below which an arriving message is given up.'),
  },
  auth: {
    allow: live(networks, [], 'Networks that are never blocked for failed logins: your own servers.'),
    failuresPerMinute: live(some, 10, 'Failed logins of one address in a minute before it is blocked.'),
    failuresPerDay: live(some, 50, 'Failed logins of one address in a day before it is blocked.'),
    failureDelay: live(
      type.duration,
      '1s',
      'How long a wrong login waits for its answer; twice and three times that as failures of an address go on.',
    ),
    cache: fixed(type.duration, '5m', 'How long a verified password is remembered (in memory, under a keyed hash).'),
  },
  limits: {
    messages: live(type.limits('messages'), ['1000/day'], 'Messages of a credential that has no limits of its own.'),
    recipients: live(type.limits('recipients'), [], 'Recipients, likewise.'),
    newRecipients: live(
      type.limits('newRecipients'),
      ['200/day'],
      'Recipients it has not sent to before, or not for 400 days, likewise.',
    ),
    over: live(
      type.oneOf('refuse', 'hold'),
      'refuse',
      'What happens over a limit: 450 4.7.1, or the message is held, and leaves in its order as the limits allow, or by `queue release`. ' +
        'After `queue.lifetime` it is returned.',
    ),
    maxHeld: live(
      type.count(1, 1_000_000),
      1000,
      'Messages of one credential that are held over a limit; with more it hears 450 4.7.1 as with `refuse`.',
    ),
  },
  signing: {
    noKey: live(
      type.oneOf('send', 'warn', 'refuse'),
      'send',
      'Mail from a domain without a DKIM key: sent unsigned, sent and logged as a warning, or refused.',
    ),
  },
  reports: {
    from: fixed(type.mailbox, 'postmaster@HOSTNAME', 'The From field of delivery reports.'),
    perHour: live(
      type.count(1, 100_000),
      100,
      'Delivery reports that one sender address gets in an hour. What comes after them is told in a summary when the hour is over.',
    ),
  },
  delivery: {
    port: live(type.count(1, 65535), 25, 'Port of the destinations.'),
    ip: live(ipPolicy, 'auto', '`auto` uses IPv6 only where our address has a PTR record that fits the host name.'),
    source: live(type.listOf(type.address), [], 'Local addresses to send from.'),
    allowPrivate: live(networks, [], 'Networks that MX hosts may lie in although they are private, such as 127.0.0.0/8.'),
    tls: live(
      tlsLevel,
      'opportunistic',
      '`opportunistic`: TLS when offered; `encrypt`: only with TLS; `verify`: only with a valid certificate; `none`: never.',
    ),
    eightBit: live(
      type.oneOf('send', 'return'),
      'send',
      '8-bit content for a host without 8BITMIME: sent as it is, or returned with 5.6.3.',
    ),
    ca: fixed(
      type.optional(type.path),
      undefined,
      'PEM file of further certificate authorities that upstreams, and hosts with `verify`, are trusted by.',
    ),
    concurrency: live(type.count(1, 1000), 20, 'Sessions at once to one set of MX hosts.'),
    maxSessions: live(
      type.count(1, 20_000),
      500,
      'Sessions at once to all destinations together. At the bound mail waits for its turn; hosts that do not answer get at most half.',
    ),
    timeouts: {
      connect: live(type.duration, '30s', 'TCP connection.'),
      greeting: live(type.duration, '5m', 'Greeting (RFC 5321 §4.5.3.2.1).'),
      command: live(type.duration, '5m', 'Reply to MAIL and RCPT (RFC 5321 §4.5.3.2.2, §4.5.3.2.3).'),
      data: live(type.duration, '2m', 'Reply to DATA (RFC 5321 §4.5.3.2.4).'),
      block: live(type.duration, '3m', 'Progress of the text (RFC 5321 §4.5.3.2.5).'),
      dot: live(type.duration, '10m', 'Reply to the final dot (RFC 5321 §4.5.3.2.6).'),
    },
  },
  routes: live(
    type.listOfRecords<Route>(routeFields),
    [],
    'Mail that goes to an upstream instead of its MX. The first that matches wins; one without a condition matches all.',
  ),
  queue: {
    retry: live(
      type.listOf(type.duration),
      ['5m', '15m', '30m', '1h', '2h', '4h'],
      'Pauses between attempts; the last one repeats.',
    ),
    lifetime: live(type.duration, '5d', 'After this a message that could not be delivered is returned (RFC 5321 §4.5.4.1).'),
    reportLifetime: live(type.duration, '1d', 'The same for our own reports.'),
    delayWarning: live(type.duration, '4h', 'The sender is told once that a message is late.'),
    minFree: live(type.size, '1GiB', 'With less free disk, new mail is put off with 452 4.3.1.'),
  },
  trace: {
    keep: live(type.duration, '30d', 'How long it can be looked up what became of a message.'),
    maxSize: live(type.size, '2GiB', 'Above this the oldest are forgotten earlier.'),
  },
  dns: {
    servers: fixed(type.listOf(type.hostAndPort), [], 'Resolvers such as `127.0.0.1:5300`. Empty: the system’s.'),
    trustAd: fixed(type.boolean, false, 'The resolver validates DNSSEC and is reached over a trusted path.'),
  },
  doctor: {
    destinations: live(
      type.listOf(type.hostname),
      ['gmail.com', 'outlook.com', 'yahoo.com'],
      'Mail domains whose MX hosts `smarthost doctor`, and the relay once when it starts, connect to, to see whether port 25 is open. No mail is sent. `[]`: nobody is asked.',
    ),
    blockLists: live(
      type.listOf(type.hostname),
      ['zen.spamhaus.org', 'bl.spamcop.net', 'b.barracudacentral.org', 'psbl.surriel.com', 'bl.mailspike.net'],
      'Block lists that `smarthost doctor` looks our addresses up in.',
    ),
  },
  log: {
    level: live(type.oneOf('debug', 'info', 'warn', 'error', 'silent'), 'info', 'The least important lines that are written.'),
    format: fixed(type.oneOf('json', 'pretty'), 'json', 'One JSON line an event, or lines for people.'),
  },
} satisfies Settings;

/** The effective configuration: durations in milliseconds, sizes in bytes, paths absolute. */
export type Config = Omit<Resolved<typeof SETTINGS>, 'tls'> & {
  readonly tls: Omit<Resolved<typeof SETTINGS.tls>, 'acme'> & {
    readonly acme: Omit<Resolved<typeof SETTINGS.tls.acme>, 'directory'> & { readonly directory: string };
  };
};

export function isSetting(node: unknown): node is Setting<unknown> {
  return typeof (node as Setting<unknown>).live === 'boolean';
}

/** Every setting with its path, in the order of the list. */
export function listSettings(node: Settings = SETTINGS, prefix = ''): { path: string; setting: Setting<unknown> }[] {
  return Object.entries(node).flatMap(([key, child]) =>
    isSetting(child) ? [{ path: prefix + key, setting: child }] : listSettings(child as Settings, `${prefix}${key}.`),
  );
}

/** `submission.maxMessageSize` → `SMARTHOST_SUBMISSION_MAX_MESSAGE_SIZE`. */
export function environmentName(path: string): string {
  return `SMARTHOST_${path.replace(/\./g, '_').replace(/[A-Z]/g, '_$&').toUpperCase()}`;
}
