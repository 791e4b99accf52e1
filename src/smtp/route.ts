/** Mail that goes another way than the MX says: what the configuration, the delivery, the reports and the commands call a route. */

/** none: clear text; opportunistic: as offered, unverified, clear where it fails; encrypt: any certificate; verify: PKIX and name. */
export type TlsLevel = 'none' | 'opportunistic' | 'encrypt' | 'verify';
/** auto: IPv6 only where our address has a forward-confirmed PTR equal to our host name. */
export type IpPolicy = 'auto' | 'v4-only' | 'v6-only' | 'v4-first' | 'v6-first';

/** Mail that goes another way than the MX says. Patterns: `example.org`, `.example.org` or `*.example.org` (subdomains), `*`. */
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
  /** false: mail that goes nowhere else is accepted without our signature. */
  readonly sign?: boolean;
  readonly ip?: IpPolicy;
};

/** What a route is chosen by, beside the recipient: the credential, null for our own mail, and the sender of the envelope. */
export type RouteKey = { readonly user: string | null; readonly reversePath: string };

/** What deliveries are grouped by. Asked when a message is accepted, for each recipient. */
export type DestinationFunction = (message: RouteKey, address: string) => string;

/** False: the route of this recipient asks for no signature of ours. Asked when a message is accepted. */
export type SignsFunction = (message: RouteKey, address: string) => boolean;
