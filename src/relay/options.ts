/** Turns the configuration into the options that each part declares. */
import { type CertificateOptions, purposeOf } from '../certificates/certificates.ts';
import { type Config, defaultLimits, listSettings } from '../config/config.ts';
import type { EventLog } from '../events/events.ts';
import type { PortAddress } from '../net/open-port.ts';
import type { QuotaDefaults } from '../policy/policy.ts';
import type { StsSettings } from '../tls-policy/tls-policy.ts';

export function certificateOptions({
  hostname,
  tls,
  listen,
}: Config): Pick<CertificateOptions, 'mode' | 'hostname' | 'names' | 'files' | 'acme' | 'listen'> {
  const { directory, email, acceptTerms, challenge, ca } = tls.acme;
  const acme = { directory, email, acceptTerms, challenge, ca };
  return { mode: tls.mode, hostname, names: tls.names, files: tls.files, acme, listen: { http: listen.http, alpn: listen.alpn } };
}

/** The names by which the pages for the machine may be asked for, besides addresses. */
export function adminNames({ hostname, tls, behaviour: { link } }: Config): readonly string[] {
  return [hostname, ...tls.names, ...(link === undefined ? [] : [new URL(link).hostname])];
}

export function stsSettings({ delivery: { mtaSts, allowPrivate, ca } }: Config): StsSettings {
  return { mtaSts, allowPrivate, caFile: ca };
}

export function quotaDefaults(config: Config): QuotaDefaults {
  const { over, maxHeld } = config.limits;
  return { list: defaultLimits(config), over, maxHeld };
}

/** Whether anything depends on a resolver that validates. */
export function needsValidation({ delivery, destinations, routes, submission }: Config): boolean {
  if (submission.requireTls !== 'off') return true; // RFC 8689 §4.2.1
  return delivery.dane !== 'off' || [delivery, ...destinations, ...routes].some(({ tls }) => tls === 'dane');
}

/** The ports that the start opens. Ports for challenges are opened only if the challenge is used. */
export function portsOf({ listen, tls }: Config): readonly PortAddress[] {
  const { acceptTerms, challenge } = tls.acme;
  const challenged = tls.mode === 'acme' && acceptTerms ? (challenge === 'http-01' ? 'http' : 'alpn') : undefined;
  const purpose = purposeOf(challenge);
  return [
    ...(['submissions', 'submission', 'admin', 'console'] as const).flatMap((name) =>
      listen[name].map((at) => ({ name, ...at })),
    ),
    ...(challenged === undefined ? [] : listen[challenged].map((at) => ({ name: challenged, ...at, purpose }))),
  ];
}

/** Keeps the old values of settings that only a restart changes, and names them in the log. */
export function keepFixed(before: Config, after: Config, log: EventLog): { config: Config; restartNeeded: readonly string[] } {
  const kept = structuredClone(after) as unknown as Record<string, unknown>;
  const changed: string[] = [];
  for (const { path, setting } of listSettings()) {
    if (setting.live) continue;
    const keys = path.split('.');
    const [old, now] = [before, after].map((config) => keys.reduce<any>((node, key) => node?.[key], config));
    if (JSON.stringify(old) === JSON.stringify(now)) continue;
    changed.push(path);
    const parent = keys.slice(0, -1).reduce<any>((node, key) => node[key], kept);
    parent[keys.at(-1)!] = old;
  }
  if (changed.length > 0) log.emit('restartNeeded', { settings: changed });
  return { config: kept as unknown as Config, restartNeeded: changed };
}
