/** Routes: mail that goes to other hosts than its MX. Configuration, delivery, reports and commands share these types. */

/**
 * none: no TLS; opportunistic: TLS if offered, any certificate, clear text if it fails; encrypt: TLS with any certificate; verify: PKIX
 * and name; dane: validated TLSA records that match.
 */
export type TlsLevel = 'none' | 'opportunistic' | 'encrypt' | 'verify' | 'dane';
/** auto: IPv6 only if our address has a forward-confirmed PTR equal to our host name. */
export type IpPolicy = 'auto' | 'v4-only' | 'v6-only' | 'v4-first' | 'v6-first';

/** One route. Patterns: `example.org`, `.example.org` or `*.example.org` (subdomains), `*`. */
export type Route = {
  readonly recipientDomain?: string;
  readonly senderDomain?: string;
  readonly user?: string;
  /** The best MX host of the recipient's domain. */
  readonly mx?: string;
  /** `host:port`, `[2001:db8::1]:25`, tried in order. Port 465 is implicit TLS, any other STARTTLS. */
  readonly hosts: readonly string[];
  /** Default: verify. */
  readonly tls?: TlsLevel;
  readonly login?: { readonly user: string; readonly password: string };
  /** false: a message that only takes such routes gets no signature of ours. */
  readonly sign?: boolean;
  readonly ip?: IpPolicy;
  /** Connections at once to the account at these hosts, of all relays that share the data. Absent: no limit of its own. */
  readonly maxConnections?: number;
};

/** The relay that takes mail for providers that refuse our address. */
export type FallbackRule = {
  /** Keys of providers. Absent: all, and hosts that the table does not know. */
  readonly providers?: readonly string[];
  /** As those of a route. Empty: there is no fallback for these providers. */
  readonly hosts: readonly string[];
  /** Default: verify. */
  readonly tls?: TlsLevel;
  readonly login?: { readonly user: string; readonly password: string };
  readonly ip?: IpPolicy;
  /** Recipients in a day (UTC). */
  readonly dailyCap: number;
  /** Domains of From that it may be used for; patterns as in routes. Absent: all. */
  readonly domains?: readonly string[];
  /** Addresses that it sends from, as SPF sees them. Absent: those of its hosts. */
  readonly addresses?: readonly string[];
  /** How long a provider must have refused our address, ms. Default: 15 minutes. */
  readonly after?: number;
};

/** What the operator asks of the TLS of hosts that no route names. Patterns as in routes; a rule counts where all of its patterns match. */
export type DestinationRule = {
  /** The recipient's. */
  readonly domain?: string;
  /** The host's name. */
  readonly mx?: string;
  readonly tls?: TlsLevel;
  /** With `tls: verify`: what a certificate may be for instead of the host's name. */
  readonly names?: readonly string[];
  /** Policies of domains and hosts that do not count. */
  readonly ignore?: readonly ('dane' | 'mtaSts')[];
  /** Those policies are evaluated and told, and not obeyed. */
  readonly audit?: boolean;
  /**
   * What holds for messages with REQUIRETLS: verified TLS and the host's promise (default), any TLS, or nothing but what holds for others.
   * RFC 8689 §4.2.1
   */
  readonly requireTls?: 'enforce' | 'tls' | 'off';
  /** Milliseconds since 1970: then the exceptions of this rule end. */
  readonly until?: number;
};

/** Before the first host of a route, in the key of its deliveries. */
export const ROUTED = 'route:';

/** True for mail that goes to an upstream, as far as that is known before the MX is. @param destination the key of its deliveries. */
export function isRouted(destination: string): boolean {
  return destination.startsWith(ROUTED);
}

/** The facts that choose a route, besides the recipient: the credential (null for our own mail) and the envelope sender. */
export type RouteKey = { readonly user: string | null; readonly reversePath: string };

/** Returns the key by which deliveries are grouped. Called for each recipient when a message is accepted. */
export type DestinationFunction = (message: RouteKey, address: string) => string;

/** Returns false if the route of this recipient wants no signature of ours. Called when a message is accepted. */
export type SignsFunction = (message: RouteKey, address: string) => boolean;
