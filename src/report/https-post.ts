/** Hands a report over by HTTPS: RFC 8460 §5.4. One POST within a deadline, to public addresses only, no redirect. Never rejects. */
import { type RequestOptions, request } from 'node:https';
import type { SecureContext } from 'node:tls';
import type { Dns } from '../dns/dns.ts';
import { SECOND } from '../system/clock.ts';
import { VERSION } from '../system/version.ts';

export type HttpsPostOptions = {
  readonly dns: Pick<Dns, 'a' | 'aaaa'>;
  /** Why no connection goes to an address; undefined: it may. */
  readonly refuses: (address: string) => string | undefined;
  /** False: a certificate that cannot be verified is taken too. */
  readonly verify: () => boolean;
  /** Aborted: the relay stops. */
  readonly signal: AbortSignal;
  /** TLS 1.2 or newer, and the roots that are trusted. */
  readonly trust: () => SecureContext;
};

/** From the look-up to the status line. */
const DEADLINE = 30 * SECOND;
/** Addresses of one host that are tried. */
const MOST_ADDRESSES = 4;

/** @returns why it was not taken; undefined: it was. */
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

/** @returns a sentence where there is none to connect to. */
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

/** @returns the status, or why there is none. */
function post({ uri, address, body, signal, options: { verify, trust } }: Post): Promise<number | string> {
  return new Promise((resolve) => {
    const options: RequestOptions & { readonly secureContext: SecureContext } = {
      host: address, // the name is not looked up again: it could lead elsewhere then
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
      response.on('error', () => {}); // what follows the status tells nothing
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    posting.end(body);
  });
}

/** A code where there is one: the sentences of a library are written for its programmers. */
function describe({ hostname }: URL, { code, message }: NodeJS.ErrnoException): string {
  return `${hostname} could not be handed the report (${code ?? message})`;
}
