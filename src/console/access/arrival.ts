/** Where a request comes from and by which name it asks: what the socket says, and what a trusted proxy says. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { canonicalAddress, isLoopback, plainAddress } from '../../net/addresses.ts';
import { createNetworks } from '../../net/networks.ts';
import { cleanLine } from '../../smtp/text.ts';
import type { ConsoleSettings } from '../console.ts';
import { ApiProblem } from '../problem.ts';

export type Arrival = {
  /** The address of the client. */
  readonly ip: string;
  /** The client sees TLS, ours or that of a trusted proxy. */
  readonly secure: boolean;
  /** The port of ours that was reached. */
  readonly port: number;
  /** The origins that our own pages have. */
  readonly origins: readonly string[];
  readonly userAgent: string;
  /** The field Cookie. */
  readonly cookie: string | undefined;
};

const MOST_USER_AGENT = 200;

/**
 * The name that was asked for must be ours: a foreign web page can point its own host name at this machine, and its requests then come from
 * the same origin. A literal address cannot be pointed elsewhere.
 * @throws ApiProblem 400 or 421.
 */
export function arrivalOf(request: IncomingMessage, settings: ConsoleSettings): Arrival {
  const { socket, headers } = request;
  const peer = plainAddress(socket.remoteAddress ?? '');
  const isProxied = createNetworks(settings.proxyTrust).has(peer);
  const host = hostOf(request);
  checkName(host, plainAddress(socket.localAddress ?? ''), settings);
  const { origin } = settings;
  const isSecure = (socket as TLSSocket).encrypted === true || (isProxied && origin !== undefined);
  return {
    ip: isProxied ? forwardedFor(headers['x-forwarded-for'], settings.proxyTrust, peer) : peer,
    secure: isSecure,
    port: socket.localPort ?? 0,
    origins: [`${isSecure ? 'https' : 'http'}://${host}`, ...(origin === undefined ? [] : [origin])],
    userAgent: cleanLine(headers['user-agent'] ?? '', { max: MOST_USER_AGENT }),
    cookie: headers.cookie,
  };
}

/** RFC 9110 §7.2: exactly one Host. */
function hostOf({ headersDistinct }: IncomingMessage): string {
  const [host, ...more] = headersDistinct.host ?? [];
  if (host === undefined || more.length > 0) throw new ApiProblem(400, 'A request must have one Host field.');
  return host.toLowerCase();
}

function checkName(host: string, reached: string, { names, origin }: ConsoleSettings): void {
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]@/?#\\]+)(?::\d{1,5})?$/.exec(host)?.[1]?.replace(/\.$/, '');
  const literal = canonicalAddress(name?.replace(/^\[|\]$/g, '') ?? '');
  const ours = [
    'localhost',
    ...names.map((one) => one.toLowerCase()),
    ...(origin === undefined ? [] : [new URL(origin).hostname]),
  ];
  if (name !== undefined && (ours.includes(name) || isLoopback(literal) || literal === canonicalAddress(reached))) return;
  const known = [...new Set(ours)].join(', ');
  throw new ApiProblem(
    421,
    `This console was asked for as ${JSON.stringify(host.slice(0, 255))}, and it is known as ${known}. Set console.origin to add a name.`,
  );
}

/** The last address that no trusted proxy has. What stands before it can be made up. */
function forwardedFor(field: string | string[] | undefined, trusted: readonly string[], peer: string): string {
  const proxies = createNetworks(trusted);
  const hops = String(field ?? '')
    .split(',')
    .map((hop) => plainAddress(hop.trim()))
    .filter((hop) => hop !== '');
  const last = hops.findLast((hop) => !proxies.has(hop));
  return last !== undefined && canonicalAddress(last) !== '' && /^[0-9a-f:.]+$/i.test(last) ? last : peer;
}
