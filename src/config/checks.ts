/** Checks between settings: errors, and warnings about allowed but unwise values. Pure; environment.ts checks the machine. */

import { isLoopback } from '../net/addresses.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { Route } from '../smtp/route.ts';
import { isAscii } from '../smtp/text.ts';
import type { Config } from './settings.ts';
import { formatListenAddress } from './values.ts';

type Report = (level: 'error' | 'warning', path: string, message: string) => void;

export function checkConfig(config: Config, report: Report): void {
  checkListeners(config, report);
  checkConsole(config, report);
  checkStore(config, report);
  checkTls(config, report);
  checkSizes(config, report);
  checkQueue(config, report);
  checkRoutes(config, report);
  checkDestinations(config, report);
  checkFallback(config, report);
  if (!isAscii(config.reports.from)) {
    report('warning', 'reports.from', 'is not ASCII: senders whose mail server lacks SMTPUTF8 get no delivery reports');
  }
  if (config.dns.trustAd && config.dns.servers.some((server) => !/^(127\.|\[?::1\]?(:|$)|localhost(:|$))/.test(server))) {
    report('warning', 'dns.trustAd', 'trusts a resolver that is not on this machine: anyone on the way can forge its answers');
  }
}

function checkListeners({ listen }: Config, report: Report): void {
  const seen = new Map<string, string>();
  for (const [name, list] of Object.entries(listen)) {
    for (const address of list) {
      const written = formatListenAddress(address);
      const other = seen.get(written);
      if (other !== undefined && address.port !== 0)
        report('error', `listen.${name}`, `opens ${written}, which listen.${other} opens already`);
      if (address.port === 25)
        report(
          'error',
          `listen.${name}`,
          'opens port 25, which is for receiving mail: this relay only takes mail from its own clients',
        );
      seen.set(written, name);
    }
  }
  if (listen.submissions.length + listen.submission.length === 0) {
    report('warning', 'listen', 'opens no port for submission: no client can connect');
  }
}

function checkConsole({ console: settings, listen, tls }: Config, report: Report): void {
  const { idle, lifetime, origin, proxyTrust } = settings;
  for (const key of ['idle', 'lifetime'] as const)
    if (settings[key] <= 0) report('error', `console.${key}`, 'must be longer than 0');
  if (idle > lifetime) report('warning', 'console.idle', 'has no effect: console.lifetime is shorter');
  if (proxyTrust.length > 0 && origin === undefined)
    report('error', 'console.origin', 'is required with console.proxyTrust: it is the address of the proxy in browsers');
  if (proxyTrust.some((network) => network.endsWith('/0')))
    report('error', 'console.proxyTrust', 'trusts all addresses: anyone could choose the address that is counted for a login');
  if (listen.console.some(({ address }) => !isLoopback(address)) && tls.mode === 'self-signed')
    report(
      'warning',
      'listen.console',
      'is reached from outside with a self-signed certificate: browsers warn, and nobody knows whom they reach',
    );
}

function checkStore({ store }: Config, report: Report): void {
  if (store === 'sqlite') return;
  const { postgres, passwordFile, tls, ca, durability } = store;
  const hosts = postgres.map(hostOf);
  if (hosts.length === 0) report('error', 'store.postgres', 'must name at least one server');
  for (const [i, one] of postgres.entries())
    if (postgres.indexOf(one) !== i) report('error', `store.postgres[${i}]`, `names ${one} a second time`);
  if (ca !== undefined && tls !== undefined && tls !== 'verify')
    report('error', 'store.ca', `is used with \`tls: verify\` only, not with ${tls}`);
  const far = hosts.find((host) => !/^(127\.|::1$|localhost$)/.test(host));
  if (tls === 'none' && far !== undefined)
    report('warning', 'store.tls', `is none: all mail and all keys can be read on the way to ${far}`);
  if (passwordFile === undefined && far !== undefined)
    report('warning', 'store.passwordFile', `is not set: ${far} must let this machine in without a password`);
  if (durability === 'one')
    report('warning', 'store.durability', 'is one: mail that was accepted is lost if the disk of the database is lost');
}

/** Without the port. */
function hostOf(place: string): string {
  return /^\[(.*)\]/.exec(place)?.[1] ?? (place.split(':').length > 2 ? place : place.replace(/:\d+$/, ''));
}

function checkTls({ tls }: Config, report: Report): void {
  if (tls.mode === 'files' && (tls.files.length < 1 || tls.files.length > 2)) {
    report(
      'error',
      'tls.files',
      `must name one or two pairs { certificate: …, key: … } with mode files, not ${tls.files.length}`,
    );
  }
  if (tls.mode !== 'files' && tls.files.length > 0) report('warning', 'tls.files', `is not used with tls.mode ${tls.mode}`);
  if (tls.mode === 'acme' && !tls.acme.acceptTerms) {
    report('warning', 'tls.acme.acceptTerms', 'is not true: no certificate is requested, clients see a self-signed one');
  }
}

function checkSizes({ submission }: Config, report: Report): void {
  for (const key of ['maxMessageSize', 'maxHeaderSize'] as const) {
    if (submission[key] < 1024) report('error', `submission.${key}`, 'must be at least 1KiB');
  }
  for (const key of ['idleTimeout', 'commandTimeout', 'authTimeout'] as const) {
    if (submission[key] <= 0) report('error', `submission.${key}`, 'must be longer than 0');
  }
  if (submission.maxRecipients < 100) {
    report('warning', 'submission.maxRecipients', 'is less than the 100 that every client may rely on (RFC 5321 §4.5.3.1.8)');
  }
}

function checkQueue({ queue, delivery }: Config, report: Report): void {
  const { retry, lifetime, reportLifetime, delayWarning } = queue;
  if (retry.length === 0 || retry.some((pause) => pause <= 0))
    report('error', 'queue.retry', 'must name at least one pause, each longer than 0');
  if (retry.some((pause, i) => i > 0 && pause < retry[i - 1]!))
    report('error', 'queue.retry', 'must not become shorter from pause to pause');
  if (lifetime <= 0) report('error', 'queue.lifetime', 'must be longer than 0');
  if (reportLifetime <= 0) report('error', 'queue.reportLifetime', 'must be longer than 0');
  if (lifetime > 0 && (retry[0] ?? 0) >= lifetime) report('warning', 'queue.lifetime', 'ends before the first retry');
  if (delayWarning >= lifetime)
    report('warning', 'queue.delayWarning', 'is not shorter than queue.lifetime: senders are never told of a delay');
  for (const [name, timeout] of Object.entries(delivery.timeouts)) {
    if (timeout <= 0) report('error', `delivery.timeouts.${name}`, 'must be longer than 0');
  }
}

function checkRoutes({ routes }: Config, report: Report): void {
  const conditions = ['recipientDomain', 'senderDomain', 'user', 'mx'] as const;
  for (const [i, route] of routes.entries()) {
    if (route.hosts.length === 0) report('error', `routes[${i}].hosts`, 'must name at least one host');
    // A route with a login and without `tls` uses `verify`.
    if (route.login !== undefined && route.tls !== undefined && route.tls !== 'verify') {
      const how = route.tls === 'encrypt' ? 'by anyone on the way who answers as the host' : 'on the way';
      report('warning', `routes[${i}].tls`, `is ${route.tls}: the password can be read ${how}; use verify`);
    }
    const other = routes.findIndex((one) => isSameAccount(one, route) && one.maxConnections !== undefined);
    if (route.maxConnections !== undefined && routes[other]!.maxConnections !== route.maxConnections)
      report(
        'error',
        `routes[${i}].maxConnections`,
        `is ${route.maxConnections}, and routes[${other}] with the same hosts and user has ${routes[other]!.maxConnections}: an account has one limit`,
      );
    if (i < routes.length - 1 && conditions.every((key) => route[key] === undefined)) {
      report('warning', `routes[${i}]`, 'matches all mail: the routes after it are never used');
    }
    const undecided =
      route.sign === false
        ? [...routes.slice(0, i), route].find((one) => one.mx !== undefined && mayMeet(one, route))
        : undefined;
    if (undecided !== undefined) {
      const which =
        undecided === route
          ? 'it has a condition on mx'
          : `routes[${routes.indexOf(undecided)}] comes first and has a condition on mx`;
      report(
        'warning',
        `routes[${i}].sign`,
        `is false without effect, because ${which}: mail is signed when it is accepted, before its MX is known`,
      );
    }
  }
}

function checkDestinations({ destinations }: Config, report: Report): void {
  for (const [i, { domain, mx, tls, names, ignore = [], audit, requireTls, until }] of destinations.entries()) {
    const path = `destinations[${i}]`;
    if (domain === undefined && mx === undefined) report('error', path, 'must name a domain or an mx; `domain: "*"` means all');
    if (ignore.length > 0 && until === undefined)
      report('error', `${path}.until`, 'is required with ignore: an exception must end. Name a day such as 2026-12-31');
    if (names !== undefined && tls !== 'verify') report('error', `${path}.names`, 'is used with `tls: verify` only');
    if (tls === 'dane' && ignore.includes('dane')) report('error', `${path}.ignore`, 'contradicts `tls: dane`');
    if (audit === true && (tls === 'none' || ignore.length === 2))
      report('warning', `${path}.audit`, 'has no effect: no policy is left to evaluate');
    if (until !== undefined && ignore.length === 0 && audit !== true && tls === undefined && requireTls === undefined)
      report('warning', `${path}.until`, 'has no effect: there is no exception that could end');
    if (i < destinations.length - 1 && domain === '*' && mx === undefined && until === undefined)
      report('warning', path, 'matches all destinations: the entries after it are never used');
  }
}

function checkFallback({ hostname, delivery: { fallback }, queue }: Config, report: Report): void {
  const named = new Set<string>();
  for (const [i, { providers, hosts, tls, login, domains, addresses, after = 0 }] of fallback.entries()) {
    const path = `delivery.fallback[${i}]`;
    if (providers?.length === 0)
      report('error', `${path}.providers`, 'must name at least one provider; without it, all are meant');
    if (hosts.length === 0 && providers === undefined) report('error', `${path}.hosts`, 'must name at least one host');
    if (hosts.some((host) => hostOf(host).toLowerCase() === hostname.toLowerCase()))
      report('error', `${path}.hosts`, `names ${hostname}, which is this relay itself`);
    if (domains?.length === 0) report('error', `${path}.domains`, 'must name at least one domain; without it, all are meant');
    if (addresses?.length === 0)
      report('error', `${path}.addresses`, 'must name at least one address; without it, those of its hosts are meant');
    if (after >= queue.lifetime) report('error', `${path}.after`, 'is not shorter than queue.lifetime: mail is returned before');
    if (login !== undefined && tls === 'none') report('error', `${path}.tls`, 'is none, and a password is sent over TLS only');
    else if (login !== undefined && tls !== undefined && tls !== 'verify')
      report(
        'warning',
        `${path}.tls`,
        `is ${tls}: the password can be read by anyone on the way who answers as the host; use verify`,
      );
    if (i < fallback.length - 1 && providers === undefined)
      report('warning', path, 'counts for all providers: the entries after it are never used');
    for (const provider of providers ?? []) {
      if (named.has(provider)) report('warning', `${path}.providers`, `names ${provider} as an earlier entry does, which counts`);
      named.add(provider);
    }
  }
}

/** True if connections of both routes count together. */
function isSameAccount(one: Route, other: Route): boolean {
  return one.login?.user === other.login?.user && one.hosts.join() === other.hosts.join();
}

/** True if some mail may match both routes. Patterns are compared as text. */
function mayMeet(one: Route, other: Route): boolean {
  return (['recipientDomain', 'senderDomain', 'user'] as const).every((key) => {
    const [a = '*', b = '*'] = [one[key], other[key]];
    return a === b || [a, b].some((pattern) => pattern.startsWith('*') || pattern.startsWith('.'));
  });
}

/**
 * With `noKey: refuse` a report that cannot be signed is not sent. The domain of the host name gets keys at the first start.
 * @param domains the domains with a DKIM key that signs. A key also signs for the subdomains of its domain.
 * @returns the problem of `reports.from`, if it has one.
 */
export function checkReports(
  { hostname, signing, reports }: Pick<Config, 'hostname' | 'signing' | 'reports'>,
  domains: readonly string[],
): string | undefined {
  const domain = domainOf(reports.from).toLowerCase();
  const signs = [hostname, ...domains].some((one) => domain === one || domain.endsWith(`.${one}`));
  if (signing.noKey !== 'refuse' || signs) return undefined;
  return `is in ${domain}, which has no DKIM key here, and signing.noKey is refuse: no delivery report can be sent. Run: smarthost domain add ${domain}`;
}
