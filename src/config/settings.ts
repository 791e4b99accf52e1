/** The list of all settings: name, type, default, explanation, and whether SIGHUP can change it. */

import type { AlignmentRule } from '../smtp/alignment-rule.ts';
import type { DestinationRule, FallbackRule, Route } from '../smtp/route.ts';
import { BEHAVIOUR_SETTINGS } from './behaviour-settings.ts';
import {
  certificateFields,
  databaseFields,
  destinationFields,
  fallbackFields,
  ipPolicy,
  routeFields,
  tlsLevel,
} from './fields.ts';
import type { ValueType } from './types.ts';
import * as type from './types.ts';

export type Setting<T> = {
  readonly type: ValueType<T>;
  /** The default as an operator would write it; undefined if there is no default. */
  readonly fallback: unknown;
  readonly about: string;
  /** True if SIGHUP changes it in the running relay. */
  readonly live: boolean;
};

type Settings = { readonly [key: string]: Setting<any> | Settings };
/** The type of the resolved settings: durations in milliseconds, sizes in bytes. */
type Resolved<S> = S extends Setting<infer T> ? T : { readonly [K in keyof S]: Resolved<S[K]> };

/** A pair of PEM files. */
export type CertificateFiles = { readonly certificate: string; readonly key: string };

/** A PostgreSQL database. What is absent has its default in the store. */
export type DatabaseSettings = {
  readonly postgres: readonly string[];
  readonly database?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly tls?: 'none' | 'encrypt' | 'verify';
  readonly ca?: string;
  readonly durability?: 'two' | 'one';
  readonly node?: string;
  readonly maxSize?: number;
};

/** A setting that is read at start only. */
const fixed = <T>(kind: ValueType<T>, fallback: unknown, about: string): Setting<T> => ({
  type: kind,
  fallback,
  about,
  live: false,
});
/** A setting that SIGHUP changes. */
const live = <T>(kind: ValueType<T>, fallback: unknown, about: string): Setting<T> => ({
  type: kind,
  fallback,
  about,
  live: true,
});

const addresses = type.listOf(type.listenAddress);
const networks = type.listOf(type.network);
const some = type.count(1);

const alignmentDuty = type.oneOf('off', 'warn', 'refuse');
const alignmentFields = {
  user: { type: type.text, about: 'Mail of this credential.' },
  domain: { type: type.domainPattern, about: 'Mail with this domain in From; patterns as in `routes`.' },
  mode: { type: alignmentDuty, required: true, about: 'As `alignment.mode`.' },
} as const;

export const SETTINGS = {
  hostname: fixed(
    type.hostname,
    undefined,
    'The name of this relay in EHLO, greeting, certificate, Message-ID and reports. Required: a full host name whose A/AAAA and PTR records match each other.',
  ),
  dataDir: fixed(type.path, '/var/lib/smarthost', 'The folder with queue, credentials, keys and certificates.'),
  store: fixed(
    type.wordOrRecord(type.oneOf('sqlite'), type.record<DatabaseSettings>('mapping', databaseFields)),
    'sqlite',
    'What keeps them. `sqlite`: files in `dataDir`. A mapping: a PostgreSQL database, which several relays may share; this is a preview.',
  ),
  threads: fixed(
    type.threadCount,
    1,
    'Threads for sessions with clients and destinations. `1`: the main thread has them. `auto`: one less than the machine has cores. More than one serve more clients at once, and each needs about 35 MB of memory. Limits count for all together.',
  ),
  operator: fixed(
    type.optional(type.mailbox),
    undefined,
    'The address that gets notices when something needs a person, and mail for `<postmaster>` without a domain. Without it no notice is sent, and such mail is refused.',
  ),
  listen: {
    submissions: fixed(
      addresses,
      ['[::]:465'],
      'Submission over implicit TLS (RFC 8314). `[::]` means all addresses, IPv4 included.',
    ),
    submission: fixed(addresses, ['[::]:587'], 'Submission with STARTTLS (RFC 6409).'),
    http: fixed(addresses, ['[::]:80'], 'Answers ACME HTTP-01 challenges. Opens only if that challenge is used.'),
    alpn: fixed(addresses, ['[::]:443'], 'Answers ACME TLS-ALPN-01 challenges. Opens only if that challenge is used.'),
    admin: fixed(addresses, ['127.0.0.1:8025'], 'Health and metrics. There is no login: use a private address only.'),
    console: fixed(addresses, ['127.0.0.1:8026'], 'Pages and API for people and scripts, with a login.'),
  },
  console: {
    secondFactor: live(
      type.oneOf('offered', 'required'),
      'offered',
      'Whether each account of the console must have a second factor: a code of an app (RFC 6238).',
    ),
    idle: live(type.duration, '12h', 'A session of the console ends after so long without use.'),
    lifetime: live(type.duration, '7d', 'A session of the console ends after so long, used or not.'),
    origin: live(
      type.optional(type.origin),
      undefined,
      'The address of the console in browsers, where it is not the one of `listen.console`: `https://mail.example.net`, behind a proxy.',
    ),
    proxyTrust: live(networks, [], 'Networks of proxies before the console, whose `X-Forwarded-For` names the client.'),
    content: live(type.boolean, false, 'Whether administrators may fetch whole messages of the queue. Each time is noted.'),
  },
  tls: {
    mode: fixed(type.oneOf('acme', 'files', 'self-signed'), 'acme', 'The source of the certificates.'),
    names: fixed(type.listOf(type.hostname), [], 'More names in the certificate.'),
    files: live(
      type.listOfRecords<CertificateFiles>(certificateFields),
      [],
      'For mode `files`: one or two pairs (ECDSA and RSA).',
    ),
    acme: {
      directory: fixed(type.optional(type.url), undefined, 'The ACME directory. Default: the one of Let’s Encrypt.'),
      staging: fixed(type.boolean, false, '`true` uses the staging directory of Let’s Encrypt, for tests.'),
      email: fixed(type.optional(type.mailbox), undefined, 'Contact address of the ACME account.'),
      acceptTerms: fixed(
        type.boolean,
        false,
        '`true` means that you accept the terms of the certificate authority. No certificate is requested before.',
      ),
      challenge: fixed(type.oneOf('http-01', 'tls-alpn-01'), 'http-01', 'How the authority checks the name.'),
      ca: fixed(
        type.optional(type.path),
        undefined,
        'PEM file with the authority of the ACME server’s own certificate, for a test authority.',
      ),
    },
  },
  submission: {
    maxMessageSize: live(type.size, '50MiB', 'Larger messages are refused with 552 5.3.4.'),
    maxRecipients: live(some, 1000, 'Recipients of one message. More get 452 4.5.3.'),
    maxHeaderSize: live(type.size, '256KiB', 'Size of the header section.'),
    bareNewlines: live(
      type.oneOf('normalize', 'reject'),
      'normalize',
      'Lines that end in a bare LF are corrected and logged, or refused.',
    ),
    checkFrom: live(type.boolean, true, 'Not only the envelope sender but also the From field must belong to the credential.'),
    proxyTrust: live(networks, [], 'Networks of proxies that send the PROXY protocol. From other addresses it is not accepted.'),
    requireTls: live(
      type.oneOf('offer', 'off'),
      'offer',
      'Whether clients may ask that a message leaves over verified TLS only, to hosts that promise the same (REQUIRETLS, RFC 8689).',
    ),
    tlsRequiredNo: live(
      type.oneOf('honor', 'ignore'),
      'honor',
      'Whether the field `TLS-Required: No` of a message lifts what the recipient’s domain asks of TLS (DANE, MTA-STS; RFC 8689 §3). It never lifts `delivery.tls`.',
    ),
    maxSessions: live(some, 1000, 'Most sessions at the same time.'),
    maxSessionsPerAddress: live(some, 100, 'Most sessions at the same time from one address.'),
    handshakesPerAddress: live(
      some,
      20,
      'TLS handshakes per second from one address that lead to no login. More of them wait up to 5 s, and are then closed. Handshakes that lead to a login are not counted.',
    ),
    idleTimeout: live(
      type.duration,
      '5m',
      'A session without traffic is closed with 421 4.4.2 after this time (RFC 5321 §4.5.3.2.7).',
    ),
    commandTimeout: live(
      type.duration,
      '5m',
      'The time for a command to arrive once it has begun, and for the text of a message to begin.',
    ),
    authTimeout: live(type.duration, '5m', 'The time for all steps of one AUTH. A person may have to type the password.'),
    minDataRate: live(type.size, '500B', 'Bytes per second. If a message arrives more slowly, its session ends.'),
  },
  auth: {
    allow: live(networks, [], 'Networks that are never blocked for failed logins, such as those of your own servers.'),
    failuresPerMinute: live(some, 10, 'Failed logins of one address in a minute before it is blocked.'),
    failuresPerDay: live(some, 50, 'Failed logins of one address in a day before it is blocked.'),
    failureDelay: live(
      type.duration,
      '1s',
      'The delay of the answer to a wrong login. It becomes two and three times as long if an address goes on failing.',
    ),
    cache: fixed(type.duration, '5m', 'How long a verified password is remembered (in memory, as a keyed hash).'),
  },
  limits: {
    messages: live(type.limits('messages'), ['1000/day'], 'Messages of a credential without limits of its own.'),
    recipients: live(type.limits('recipients'), [], 'Recipients, likewise.'),
    newRecipients: live(
      type.limits('newRecipients'),
      ['200/day'],
      'Recipients that such a credential has not sent to before, or not for 400 days.',
    ),
    over: live(
      type.oneOf('refuse', 'hold'),
      'refuse',
      'What happens over a limit. `refuse` answers 450 4.7.1. `hold` keeps the message and sends it in its order as the limits allow, or after `queue release`. ' +
        'After `queue.lifetime` it is returned.',
    ),
    maxHeld: live(
      type.count(1, 1_000_000),
      1000,
      'Held messages of one credential. Above this number the answer is 450 4.7.1, as with `refuse`.',
    ),
  },
  behaviour: BEHAVIOUR_SETTINGS,
  signing: {
    noKey: live(
      type.oneOf('send', 'warn', 'refuse'),
      'send',
      'Mail from a domain without a DKIM key: sent unsigned, sent and logged as a warning, or refused.',
    ),
  },
  alignment: {
    mode: live(
      alignmentDuty,
      'warn',
      'Mail that receivers will not believe, because neither SPF nor a DKIM signature is aligned with From (DMARC, RFC 9989). `warn` sends it and tells the operator once a day. `refuse` answers 550 5.7.26 if the domain asks receivers to refuse it (`p=reject`) and two evaluations agree. `off` does not look.',
    ),
    rules: live(
      type.listOfRecords<AlignmentRule>(alignmentFields),
      [],
      'Other modes for a credential or a domain. The first entry that matches wins.',
    ),
    resolvers: fixed(
      type.listOf(type.dnsServer),
      [],
      'Resolvers that give the public answers for these domains, such as `9.9.9.9`, where those of `dns.servers` have answers of their own for internal zones. If empty, `dns.servers` are asked.',
    ),
  },
  reports: {
    from: fixed(type.mailbox, 'postmaster@HOSTNAME', 'The From field of delivery reports.'),
    perHour: live(
      type.count(1, 100_000),
      100,
      'Delivery reports that one sender address gets in an hour. Further failures are reported in one summary at the end of the hour.',
    ),
    tls: live(
      type.oneOf('all', 'failures', 'off'),
      'failures',
      'Reports about TLS (RFC 8460) to the domains that ask for them: for every day with mail, only for days with a failed session, or none.',
    ),
    tlsFrom: fixed(
      type.mailbox,
      'postmaster@HOSTNAME',
      'The From field and the contact of reports about TLS. Its domain signs them. Without a DKIM key of exactly that domain no report is sent by mail.',
    ),
    httpsVerify: live(type.boolean, true, '`true` sends reports about TLS by HTTPS only to hosts with a valid certificate.'),
  },
  delivery: {
    port: live(type.count(1, 65535), 25, 'Port of the destinations.'),
    ip: live(ipPolicy, 'auto', '`auto` uses IPv6 only if our address has a PTR record that matches the host name.'),
    source: live(
      type.listOf(type.address),
      [],
      'Local addresses to send from. Of each family the first one is used, and a further one for a provider that refuses those before it for what they are.',
    ),
    allowPrivate: live(networks, [], 'Private networks that mail may be sent to all the same, such as 127.0.0.0/8.'),
    tls: live(
      tlsLevel,
      'opportunistic',
      '`opportunistic`: with TLS if offered; `encrypt`: only with TLS; `verify`: only with a valid certificate; `dane`: only with validated TLSA records that match; `none`: never with TLS.',
    ),
    dane: live(
      type.oneOf('on', 'audit', 'off'),
      'on',
      'TLSA records of MX hosts (RFC 7672): obeyed, only evaluated and logged, or not looked up. It needs a resolver that validates DNSSEC.',
    ),
    mtaSts: live(
      type.oneOf('on', 'audit', 'off'),
      'on',
      'MTA-STS policies of recipient domains (RFC 8461). `on` obeys them, `audit` only evaluates and logs them, `off` does not look them up.',
    ),
    eightBit: live(
      type.oneOf('send', 'return'),
      'send',
      '8-bit content for a host without 8BITMIME is sent as it is, or returned with 5.6.3.',
    ),
    ca: fixed(
      type.optional(type.path),
      undefined,
      'PEM file with more certificate authorities to trust, besides those of Node and of the system, wherever a certificate is verified.',
    ),
    providers: live(
      type.optional(type.path),
      undefined,
      'File with lines of your own for the table of providers (`smarthost provider list`): other limits, more providers.',
    ),
    replies: live(
      type.optional(type.path),
      undefined,
      'File with lines of your own for the table of replies: what receivers say, and what it means (`smarthost reply explain`). They are asked before those of the release.',
    ),
    warmUp: live(
      type.oneOf('on', 'off'),
      'on',
      '`on`: a relay that begins with an empty data directory sends little to each provider at first, 50 messages on the first day and up to twice as many on each further one, because providers take much mail from an unknown address for spam. An office never notices. `off`: for an address that has sent mail before.',
    ),
    priority: live(
      type.listOf(type.text),
      [],
      'Logins whose mail does not wait behind other mail while a new address may send little. Others leave them a fifth of what may go.',
    ),
    fallback: live(
      type.listOfRecords<FallbackRule>(fallbackFields),
      [],
      'An upstream for the mail of providers that refuse the address of this relay, for as long as they do. The mail keeps its sender and its signature. Not for mail that is refused for other reasons.',
    ),
    concurrency: live(type.count(1, 1000), 20, 'Most sessions at the same time to one set of MX hosts.'),
    maxSessions: live(
      type.count(1, 20_000),
      500,
      'Most sessions at the same time to all destinations together. Other mail waits for its turn. Hosts that do not answer get at most half of the sessions.',
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
    'Mail that goes to an upstream instead of its MX. The first route that matches wins; a route without a condition matches all mail.',
  ),
  destinations: live(
    type.listOfRecords<DestinationRule>(destinationFields),
    [],
    'What is asked of the TLS of destinations that no route serves. The first entry that matches wins.',
  ),
  queue: {
    retry: live(
      type.listOf(type.duration),
      ['5m', '15m', '30m', '1h', '2h', '4h'],
      'Pauses between attempts. The last one repeats.',
    ),
    lifetime: live(type.duration, '5d', 'After this time a message that could not be delivered is returned (RFC 5321 §4.5.4.1).'),
    reportLifetime: live(type.duration, '1d', 'The same for our own reports.'),
    delayWarning: live(type.duration, '4h', 'After this time the sender is told once that a message is late.'),
    minFree: live(type.size, '1GiB', 'With less free disk space, new mail is refused for now with 452 4.3.1.'),
  },
  trace: {
    keep: live(type.duration, '30d', 'How long `smarthost trace` can show a message after it has ended.'),
    maxSize: live(type.size, '2GiB', 'Above this size the oldest messages are removed from the trace earlier.'),
    subject: live(
      type.boolean,
      true,
      'Whether the trace keeps the subject of each message, cut at 200 characters. The log never has it.',
    ),
  },
  dns: {
    servers: fixed(
      type.listOf(type.dnsServer),
      [],
      'Addresses of resolvers, such as `127.0.0.1` or `127.0.0.1:5300`. If empty, the system’s are used.',
    ),
    trustAd: fixed(type.boolean, false, 'The resolver validates DNSSEC and is reached over a trusted path.'),
  },
  doctor: {
    destinations: live(
      type.listOf(type.hostname),
      ['gmail.com', 'outlook.com', 'yahoo.com'],
      '`smarthost doctor`, and the relay once when it starts, connect to the MX hosts of these domains, to see whether port 25 is open. No mail is sent. `[]` turns this off.',
    ),
    blockLists: live(
      type.listOf(type.hostname),
      ['zen.spamhaus.org', 'bl.spamcop.net', 'b.barracudacentral.org', 'psbl.surriel.com', 'bl.mailspike.net'],
      'Block lists in which `smarthost doctor` looks up our addresses.',
    ),
  },
  log: {
    level: live(type.oneOf('debug', 'info', 'warn', 'error', 'silent'), 'info', 'The lowest level that is written.'),
    format: fixed(type.oneOf('json', 'pretty'), 'json', 'One JSON line per event, or lines for people.'),
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
