/** Hands a report over by HTTPS: RFC 8460 §5.4. One POST within a deadline, to public addresses only, no redirect. Never rejects. */
import { type RequestOptions, request } from 'node:https';
import type { SecureContext } from 'node:tls';
import type { Dns } from '../dns/dns.ts';
import { SECOND } from '../system/clock.ts';
import { VERSION } from '../system/version.ts';

export type HttpsPostOptions = {
  readonly dns: Pick<Dns, 'a' | 'aaaa'>;
  /** The reason against a connection to an address. Undefined: there is none. */
  readonly refuses: (address: string) => string | undefined;
  /** False: a certificate without a valid path is accepted too. */
  readonly verify: () => boolean;
  /** Aborted: the relay stops. */
  readonly signal: AbortSignal;
  /** TLS 1.2 or newer, with the trusted roots. */
  readonly trust: () => SecureContext;
};

/** From the look-up to the status line. */
const DEADLINE = 30 * SECOND;
/** The most addresses of one host. */
const MOST_ADDRESSES = 4;

/** @returns the reason of a failure. Undefined: the host has taken the report. */
export async function postReport(uri: string, body: Buffer, options: HttpsPostOptions): Promise<string | undefined> {
  const { hostname } = new URL(uri);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(DEADLINE)]);
  const addresses = await addressesOf(hostname, options);
  if (typeof addresses === 'string') return addresses;
  let reason = '';
  for (const address of addresses.slice(0, MOST_ADDRESSES)) {
    const answer = await post({ uri: new URL(uri), address, body, signal, options });
    if (typeof answer === 'number') return answer >= 200 && answer < 300 ? undefined : `the host answered with status ${answer}`;
    reason = answer;
    if (signal.aborted) break;
  }
  return reason;
}

/** @returns a sentence if no address is allowed. */
async function addressesOf(hostname: string, { dns, refuses }: HttpsPostOptions): Promise<readonly string[] | string> {
  const answers = await Promise.all([dns.aaaa(hostname), dns.a(hostname)]);
  const found = answers.flatMap((answer) => (answer.kind === 'found' ? answer.values : []));
  const failed = answers.find((answer) => answer.kind === 'temporary');
  if (found.length === 0) return failed === undefined ? `${hostname} has no address` : `${hostname} could not be looked up`;
  const allowed = found.filter((address) => refuses(address) === undefined);
  return allowed.length > 0 ? allowed : `${hostname} has only addresses that nothing is sent to (${refuses(found[0]!)})`;
}

type Post = {
  readonly uri: URL;
  readonly address: string;
  readonly body: Buffer;
  readonly signal: AbortSignal;
  readonly options: HttpsPostOptions;
};

/** @returns the status, or the reason why there is no status. */
function post({ uri, address, body, signal, options: { verify, trust } }: Post): Promise<number | string> {
  return new Promise((resolve) => {
    const options: RequestOptions & { readonly secureContext: SecureContext } = {
      host: address, // a second look-up of the name could give another address
      servername: uri.hostname,
      port: uri.port === '' ? 443 : Number(uri.port),
      path: uri.pathname + uri.search,
      method: 'POST',
      agent: false,
      signal,
      rejectUnauthorized: verify(),
      secureContext: trust(),
      headers: {
        host: uri.host,
        'content-type': 'application/tlsrpt+gzip',
        'content-length': body.length,
        'user-agent': `smarthost/${VERSION}`,
      },
    };
    const posting = request(options);
    posting.once('error', (error: NodeJS.ErrnoException) =>
      resolve(signal.aborted ? `${uri.hostname} did not answer within ${DEADLINE / SECOND} s` : describe(uri, error)),
    );
    // Without a listener Node drops the connection, and nothing else is ever emitted.
    posting.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      resolve(statusCode ?? 0);
    });
    posting.once('response', (response) => {
      response.on('error', () => {}); // the body does not matter
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    posting.end(body);
  });
}

/** Prefers the code of an error, because a library writes its sentences for programmers. */
function describe({ hostname }: URL, { code, message }: NodeJS.ErrnoException): string {
  return `${hostname} could not be handed the report (${code ?? message})`;
}
