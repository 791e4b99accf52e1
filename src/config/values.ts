/** How sizes, durations, limits, addresses and names are written in the configuration and on the command line. */
import { isIP } from 'node:net';
import type { ListenAddress } from '../net/open-port.ts';
import { canonicalMailbox } from '../smtp/address.ts';
import { toAsciiDomain } from '../smtp/domain.ts';
import { type Limit, limitOf } from '../smtp/limit.ts';
import { oneLine } from '../smtp/text.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../system/clock.ts';

/** A value that cannot be used. The message completes "SETTING …": `must be a size such as 50MiB, not "x"`. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

const SIZES: readonly (readonly [string, number])[] = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['B', 1],
];
const DURATIONS: readonly (readonly [string, number])[] = [
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
];

/** @returns bytes. */
export function parseSize(text: string): number {
  return parseWithUnit(text, SIZES, 'a size such as 50MiB (units B, KiB, MiB, GiB)');
}

/** @returns milliseconds. */
export function parseDuration(text: string): number {
  return parseWithUnit(text, DURATIONS, 'a duration such as 5m (units s, m, h, d)');
}

function parseWithUnit(text: string, units: readonly (readonly [string, number])[], wanted: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim()) ?? [];
  if (digits !== undefined && unit === '' && Number(digits) === 0) return 0;
  const factor = units.find(([name]) => name === unit)?.[1];
  if (digits === undefined || factor === undefined) throw new ValueError(`must be ${wanted}, not ${quote(text)}`);
  const value = Math.round(Number(digits) * factor);
  if (!Number.isSafeInteger(value)) throw new ValueError(`must be ${wanted}; ${quote(text)} is too large`);
  return value;
}

/** `52428800` as `50MiB`: the largest unit that divides it. */
export function formatSize(bytes: number): string {
  return formatWithUnit(bytes, SIZES, 'B');
}

/** `300000` as `5m`. */
export function formatDuration(milliseconds: number): string {
  return milliseconds % SECOND === 0 ? formatWithUnit(milliseconds, DURATIONS, 's') : `${milliseconds / SECOND}s`;
}

function formatWithUnit(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  const [unit, factor] = units.find(([, size]) => value >= size && value % size === 0) ?? [smallest, 1];
  return `${value / factor}${unit}`;
}

/** `1000/day`. @throws ValueError */
export function parseLimit(text: string, kind: Limit['kind']): Limit {
  const limit = limitOf(text, kind);
  if (limit === undefined) throw new ValueError(`must be a limit such as 1000/day (per minute, hour or day), not ${quote(text)}`);
  return limit;
}

/** `[::]:465`, `127.0.0.1:8025`, `[::1]:25`. @throws ValueError */
export function parseListenAddress(text: string): ListenAddress {
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const address = six ?? four ?? '';
  const port = Number(digits);
  if (isIP(address) !== (six === undefined ? 4 : 6) || !(port <= 65535)) {
    throw new ValueError(`must be an address with a port, such as '[::]:465' or '127.0.0.1:8025', not ${quote(text)}`);
  }
  return { address, port };
}

export function formatListenAddress({ address, port }: ListenAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A domain as lower-case A-labels, RFC 5890 §2.3.2.1. @throws ValueError */
export function parseDomain(text: string): string {
  const name = toAsciiDomain(text.trim());
  if (name === undefined || !name.includes('.')) throw new ValueError(`must be a domain such as example.org, not ${quote(text)}`);
  return name;
}

/** A domain, `.example.org` or `*.example.org` for its subdomains, or `*` for any domain. An empty text matches the null sender. @throws ValueError */
export function parseDomainPattern(text: string): string {
  const [, prefix = '', domain = ''] = /^(\*?\.)?(.*)$/s.exec(text.trim())!;
  const name = toAsciiDomain(domain);
  if (name !== undefined) return prefix + name;
  if (text === '*' || text === '') return text;
  throw new ValueError(`must be a domain such as example.org, .example.org for its subdomains, or *, not ${quote(text)}`);
}

/** The name in EHLO: a fully-qualified host name, RFC 5321 §2.3.5. @throws ValueError */
export function parseHostname(text: string): string {
  const wanted = `must be the full host name of this machine, such as relay.example.net, not ${quote(text)}`;
  try {
    const name = parseDomain(text);
    if (!name.includes('_') && !/(^|\.)localhost$|\.localdomain$/.test(name)) return name;
  } catch {
    // The error below says which form is wanted.
  }
  throw new ValueError(wanted);
}

/** `local-part@domain` by the grammar of SMTP paths, for configuration and command line. @throws ValueError */
export function parseMailAddress(text: string): string {
  const address = canonicalMailbox(text.trim());
  if (address === undefined) throw new ValueError(`must be a mail address such as admin@example.net, not ${quote(text)}`);
  return address;
}

/** An address, `@domain`, `@.domain` (with subdomains) or `*`. @throws ValueError */
export function parseSenderRule(text: string): string {
  if (text === '*') return text;
  if (text.startsWith('@.')) return `@.${parseDomain(text.slice(2))}`;
  if (text.startsWith('@')) return `@${parseDomain(text.slice(1))}`;
  return parseMailAddress(text);
}

/** @throws ValueError */
export function parseAddress(text: string): string {
  if (isIP(text.trim()) !== 0) return text.trim();
  throw new ValueError(`must be an IP address, not ${quote(text)}`);
}

/** An address or a network in CIDR form. @throws ValueError */
export function parseNetwork(text: string): string {
  const [address = '', bits, ...rest] = text.trim().split('/');
  const family = isIP(address);
  const good =
    family !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
  if (!good) throw new ValueError(`must be an address or a network such as 192.0.2.0/24, not ${quote(text)}`);
  return text.trim();
}

/** `host:port`, `[address]:port`, or a bare host or address. @throws ValueError */
export function parseHostAndPort(text: string): string {
  if (isPlace(text.trim(), (host) => /^[\p{L}\p{N}._-]+$/u.test(host))) return text.trim();
  throw new ValueError(`must be a host with a port, such as smtp.example.com:587, not ${quote(text)}`);
}

/** The address of a DNS server, with a port or without: a name would need the DNS that it leads to. @throws ValueError */
export function parseDnsServer(text: string): string {
  if (isPlace(text.trim(), () => false)) return text.trim();
  throw new ValueError(`must be the address of a DNS server, such as 127.0.0.1 or '[::1]:53', not ${quote(text)}`);
}

/** An address, or what may be a host's name, with a port or without. */
function isPlace(text: string, isName: (host: string) => boolean): boolean {
  const [, six, host = '', port] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const good = six === undefined ? isIP(host) === 4 || isName(host) : isIP(six) === 6;
  return isIP(text) === 6 || (good && (port === undefined || (Number(port) > 0 && Number(port) <= 65535)));
}

/** A UTC day, or a time with its zone. @returns milliseconds since 1970. @throws ValueError */
export function parseDate(text: string): number {
  const [, day] = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text.trim()) ?? [];
  const at = day === undefined ? Number.NaN : Date.parse(text.trim());
  // Date.parse takes 31 February for 3 March.
  const isDay = day !== undefined && !Number.isNaN(at) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (isDay) return at;
  throw new ValueError(`must be a day such as 2026-12-31 or a time such as 2026-12-31T18:00:00Z, not ${quote(text)}`);
}

/** A day where it is the beginning of one. */
export function formatMoment(at: number): string {
  const text = new Date(at).toISOString();
  return text.endsWith('T00:00:00.000Z') ? text.slice(0, 10) : text.replace('.000Z', 'Z');
}

/** Quotes a written value for a message: shortened, without control characters. */
export function quote(text: string): string {
  const clean = oneLine(text);
  return `"${clean.length > 60 ? `${clean.slice(0, 60)}…` : clean}"`;
}
