/** The fields of settings that are mappings: files, a login, a database, routes and what is asked of destinations. */
import * as type from './types.ts';

export const ipPolicy = type.oneOf('auto', 'v4-only', 'v6-only', 'v4-first', 'v6-first');
export const tlsLevel = type.oneOf('none', 'opportunistic', 'encrypt', 'verify', 'dane');

export const certificateFields = {
  certificate: { type: type.path, required: true, about: 'PEM with the full chain, leaf first.' },
  key: { type: type.path, required: true, about: 'PEM of its private key.' },
} as const;
const loginFields = {
  user: { type: type.text, required: true, about: 'User name at the upstream.' },
  password: { type: type.secret, required: true, about: 'Its password. Protect the file from other users (mode 0640).' },
} as const;
export const databaseFields = {
  postgres: {
    type: type.listOf(type.hostAndPort),
    required: true,
    about: 'The servers of the cluster, with a port other than 5432 behind a colon. The one that is the primary is used.',
  },
  database: { type: type.text, about: 'The name of the database. Default `smarthost`.' },
  user: { type: type.text, about: 'The owner of the database. Default `smarthost`.' },
  passwordFile: { type: type.path, about: 'The file with the password of the user. Protect it from other users (mode 0640).' },
  tls: {
    type: type.oneOf('none', 'encrypt', 'verify'),
    about:
      'TLS to the database. `verify`, the default, wants a certificate for the host from a trusted authority; `encrypt` takes any; `none` is for a database on this machine.',
  },
  ca: { type: type.path, about: 'PEM of the authorities that `verify` trusts. Default: those of the system.' },
  durability: {
    type: type.oneOf('two', 'one'),
    about:
      'Where a message must be before the client gets its 250. `two`, the default: on the disks of the primary and of a synchronous standby; while none is named (`synchronous_standby_names`) no mail is accepted. `one`: on the disk of the primary.',
  },
  maxSize: {
    type: type.size,
    about:
      'With a larger database, new mail is refused for now with 452 4.3.1. Set it well below the disk: a full disk stops PostgreSQL, and tables seldom shrink. Default: no limit.',
  },
  node: {
    type: type.text,
    about:
      'The name of this relay among those that share the database: mail is tried again by the relay that tried it last. Default: the name of the machine. Set it where that name changes, as in containers.',
  },
} as const;
export const routeFields = {
  recipientDomain: {
    type: type.domainPattern,
    about: 'Recipients in this domain. `.example.org` means its subdomains without the domain itself; `*` means any domain.',
  },
  senderDomain: { type: type.domainPattern, about: 'Envelope senders in this domain; the same patterns.' },
  user: { type: type.text, about: 'Mail of this credential.' },
  mx: { type: type.domainPattern, about: 'Domains whose best MX host is this one; the same patterns.' },
  hosts: { type: type.listOf(type.hostAndPort), required: true, about: 'The hosts that get the mail, tried in order.' },
  tls: { type: tlsLevel, about: 'As `delivery.tls`; `verify` where absent.' },
  login: { type: type.record('user, password', loginFields), about: 'Credentials at the upstream: `{ user: …, password: … }`.' },
  sign: {
    type: type.boolean,
    about:
      '`false`: a message gets no DKIM signature of ours if all its recipients take such routes. For an upstream that signs itself, or that accepts one signature only. The relay decides this when it accepts the message, before it knows the MX, so it has no effect with `mx`.',
  },
  ip: { type: ipPolicy, about: 'As `delivery.ip`.' },
  maxConnections: {
    type: type.count(1, 1000),
    about:
      'The most connections at once to the account at these hosts, of all threads, and of all relays that share a database. Routes with the same `hosts` and `login.user` are one account. Mail waits while all are in use. Without it, `delivery.concurrency` for each relay.',
  },
} as const;

export const fallbackFields = {
  providers: {
    type: type.listOf(type.text),
    about:
      'Providers whose mail may go this way, by their names in `smarthost provider list --all`. Without it: all, and hosts that belong to none. The first entry that names a provider counts.',
  },
  hosts: {
    type: type.listOf(type.hostAndPort),
    required: true,
    about: 'The hosts of the upstream, tried in order. `[]`: mail for these providers waits.',
  },
  tls: routeFields.tls,
  login: routeFields.login,
  ip: routeFields.ip,
  dailyCap: {
    type: type.count(1, 10_000_000),
    required: true,
    about: 'The most recipients in a day (UTC). Further mail is held, and the operator is told.',
  },
  domains: {
    type: type.listOf(type.domainPattern),
    about: 'The domains that may be in From. Mail of others is held. Patterns as in `routes`. Without it: all.',
  },
  addresses: {
    type: type.listOf(type.address),
    about:
      'The addresses that the upstream sends from. Mail of a domain goes this way if its DKIM signature verifies, or if its SPF record allows all of them. Without it: the addresses of `hosts`.',
  },
  after: {
    type: type.duration,
    about: 'How long a provider must have refused the address of this relay. Default `15m`; `0s`: at once.',
  },
} as const;

export const destinationFields = {
  domain: {
    type: type.domainPattern,
    about: 'Recipients in this domain; patterns as in `routes`. Without it, all domains.',
  },
  mx: {
    type: type.domainPattern,
    about: 'MX hosts of this name; the same patterns. At least one of `domain` and `mx` is needed.',
  },
  tls: { type: tlsLevel, about: 'As `delivery.tls`, which counts where it is absent.' },
  names: {
    type: type.listOf(type.domain),
    about: 'With `tls: verify`: the names that a certificate may be for, instead of the name of the MX host.',
  },
  ignore: {
    type: type.listOf(type.oneOf('dane', 'mtaSts')),
    about: 'The policies that do not count here: TLSA records of hosts, MTA-STS policies of domains. It needs `until`.',
  },
  audit: { type: type.boolean, about: '`true`: those policies are evaluated and logged, and not obeyed.' },
  requireTls: {
    type: type.oneOf('enforce', 'tls', 'off'),
    about:
      'For messages that ask for verified TLS (REQUIRETLS, RFC 8689). `enforce` (the default): they leave only to verified hosts that promise the same; `tls`: any TLS is enough, and REQUIRETLS is passed on to hosts that offer it; `off`: as other mail.',
  },
  until: {
    type: type.date,
    about:
      'A day such as `2026-12-31`, or a time such as `2026-12-31T18:00:00Z`. From then on `ignore`, `audit`, `requireTls`, and a `tls` that is lower than `delivery.tls`, have no effect.',
  },
} as const;
