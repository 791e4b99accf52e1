/** Health, metrics and a page about TLS over HTTP, for the machine itself and for the networks that the operator allows. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { openPort } from '../net/open-port.ts';
import { plainJson } from '../smtp/text.ts';
import { DAY, MINUTE, SECOND } from '../system/clock.ts';
import { type LinkedLogin, RELEASE_PAGE_POLICY, releasePage } from './release-page.ts';
import { TLS_PAGE_POLICY, type TlsPageFacts, tlsPage } from './tls-page.ts';

/** What one-time links in notices do. Undefined: the link does nothing any more. */
type ReleaseByLink = {
  linked(token: string): Promise<LinkedLogin | undefined>;
  release(token: string): Promise<LinkedLogin | undefined>;
};

type AdminOptions = {
  readonly listen: readonly { readonly address: string; readonly port: number }[];
  /** Host names that a request may use, besides IP addresses and names without a dot. */
  readonly names: readonly string[];
  /** The text for a scraper and its content type. */
  readonly metrics: () => Promise<{ readonly body: string; readonly contentType: string }>;
  /** Reasons why the relay should get no traffic now; empty: ready. */
  readonly unready: () => Promise<readonly string[]>;
  /** Problems that the operator should look at, although the relay can take traffic. */
  readonly warnings?: () => readonly string[];
  /** Absent: there are no links. */
  readonly release?: ReleaseByLink;
  readonly tls: {
    readonly policies: () => Promise<TlsPageFacts['policies']>;
    /** @param since ms since 1970. */
    readonly failures: (since: number) => Promise<TlsPageFacts['failures']>;
  };
};

/** Per listener. Monitoring needs one or two. */
const MOST_CONNECTIONS = 64;
/** A connection that sends its request or reads the answer more slowly is closed. */
const CONNECTION_DEADLINE = MINUTE;
const TIMEOUTS = {
  headersTimeout: 5 * SECOND,
  requestTimeout: 10 * SECOND,
  keepAliveTimeout: 5 * SECOND,
  connectionsCheckingInterval: SECOND,
};

type Page = {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  /** What the page may load: the header Content-Security-Policy. */
  readonly policy?: string;
};

/** @throws Error that names listener, address and port, if a port cannot be opened. */
export async function startAdmin(options: AdminOptions) {
  const servers = await Promise.all(
    options.listen.map(async ({ address, port }) => {
      const server = createServer({ ...TIMEOUTS, maxHeaderSize: 8192 }, (request, response) =>
        answer(options, request, response),
      );
      server.maxConnections = MOST_CONNECTIONS;
      server.on('connection', (socket) => {
        const deadline = setTimeout(() => socket.destroy(), CONNECTION_DEADLINE).unref();
        socket.once('close', () => clearTimeout(deadline));
      });
      await openPort(server, { name: 'admin', address, port });
      return server;
    }),
  );
  return {
    listening: servers.map((server) => {
      const { address, port } = server.address() as AddressInfo;
      return { name: 'admin', address, port };
    }),
    async close(): Promise<void> {
      await Promise.all(
        servers.map((server) => {
          server.closeAllConnections();
          return new Promise((resolve) => server.close(resolve));
        }),
      );
    },
  };
}

async function answer(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const page = await pageFor(options, request).catch(
    (error: Error): Page => ({ status: 500, body: json({ error: error.message }) }),
  );
  response.writeHead(page.status, {
    'content-type': page.contentType ?? 'application/json',
    'content-length': Buffer.byteLength(page.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(page.policy !== undefined && { 'content-security-policy': page.policy, 'referrer-policy': 'no-referrer' }),
  });
  response.end(request.method === 'HEAD' ? undefined : page.body);
}

/**
 * Protects against DNS rebinding: a foreign web page can point its own host name at this machine, and the browser then sends that
 * name as Host. Such a request is refused. IP addresses are allowed, and names without a dot, which containers use.
 */
function isAskedByOwnName({ host }: IncomingMessage['headers'], names: readonly string[]): boolean {
  if (host === undefined) return true; // HTTP/1.0; later versions have it, or are refused by the parser
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  const address = /^\[(.*)\]$/.exec(name)?.[1] ?? name;
  return isIP(address) !== 0 || !name.includes('.') || name.endsWith('.localhost') || names.includes(name);
}

async function pageFor(options: AdminOptions, { method, url, headers }: IncomingMessage): Promise<Page> {
  if (!isAskedByOwnName(headers, options.names)) {
    const error = `ask by an address, localhost, or ${options.names.join(', ')} (hostname, tls.names)`;
    return { status: 421, body: json({ error }) }; // RFC 9110 §15.5.20
  }
  const token = /^\/release\/([\w-]{1,100})$/.exec(url?.split('?')[0] ?? '')?.[1];
  if (token !== undefined && options.release !== undefined) return releaseFor(options.release, token, method);
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: json({ error: 'only GET' }) };
  switch (url?.split('?')[0]) {
    case '/healthz':
      return { status: 200, body: json({ status: 'ok' }) };
    case '/readyz': {
      const reasons = await options.unready();
      const warnings = options.warnings?.() ?? [];
      return reasons.length === 0
        ? { status: 200, body: json({ status: 'ready', ...(warnings.length === 0 ? {} : { warnings }) }) }
        : { status: 503, body: json({ status: 'unready', reasons }) };
    }
    case '/metrics':
      return { status: 200, ...(await options.metrics()) };
    case '/tls': {
      const [policies, failures] = await Promise.all([options.tls.policies(), options.tls.failures(Date.now() - 30 * DAY)]);
      return {
        status: 200,
        body: tlsPage({ policies, failures }),
        contentType: 'text/html; charset=utf-8',
        policy: TLS_PAGE_POLICY,
      };
    }
    default:
      return { status: 404, body: json({ error: 'only /healthz, /readyz, /metrics and /tls' }) };
  }
}

/** Only POST releases. A second one finds nothing. */
async function releaseFor(release: ReleaseByLink, token: string, method: string | undefined): Promise<Page> {
  const html = { contentType: 'text/html; charset=utf-8', policy: RELEASE_PAGE_POLICY };
  if (method === 'POST') {
    const released = await release.release(token);
    if (released !== undefined) return { status: 200, body: releasePage('released', released), ...html };
  } else if (method === 'GET' || method === 'HEAD') {
    const linked = await release.linked(token);
    if (linked !== undefined) return { status: 200, body: releasePage('asked', linked), ...html };
  } else return { status: 405, body: json({ error: 'only GET and POST' }) };
  return { status: 404, body: releasePage('gone'), ...html };
}

const json = (value: unknown) => `${plainJson(JSON.stringify(value))}\n`;
