/** HTTP to a certificate authority. Each request ends within a deadline, with one answer or one error. No redirects, no retries. RFC 8555 §6.1. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { SECOND } from '../system/clock.ts';
import { trustWith } from '../system/trust.ts';
import { VERSION } from '../system/version.ts';
import { AcmeError } from './acme-error.ts';

/** Time for one request, from the name look-up to the last byte. */
const TIMEOUT = 30 * SECOND;
/** A chain is some 10 KiB. */
const MAX_BODY = 1024 * 1024;

export type Transport = {
  /** @throws AcmeError if no complete answer comes. */
  send(request: TransportRequest): Promise<TransportAnswer>;
  close(): void;
};
type TransportRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
};
export type TransportAnswer = {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Retry-After as milliseconds since the epoch: RFC 9110 §10.2.3. */
  readonly retryAfter: number | undefined;
};

type TransportOptions = {
  /** PEM of one more authority that is trusted for HTTPS. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
  readonly now: () => number;
};

export function createTransport({ ca, signal, now }: TransportOptions): Transport {
  const agent = new Agent({ keepAlive: true });
  return {
    send: (request) => send({ request, agent, ca, now, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]) }),
    close: () => agent.destroy(),
  };
}

type Sending = Pick<TransportOptions, 'ca' | 'now' | 'signal'> & { readonly request: TransportRequest; readonly agent: Agent };

function send({ request: { method, url, headers, body }, agent, ca, signal, now }: Sending): Promise<TransportAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => reject(unreachable(url, cause, signal));
    const options = { method: method.toUpperCase(), signal, headers: { ...headers, 'user-agent': `smarthost/${VERSION}` } };
    const secure = new URL(url).protocol === 'https:';
    const request = secure ? httpsRequest(url, overTls(options, agent, ca)) : httpRequest(url, options);
    request.once('error', fail);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BODY) response.destroy(new Error(`more than ${MAX_BODY} bytes`));
      });
      response.once('error', fail);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const retryAfter = parseRetryAfter(response.headers['retry-after'], now());
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, retryAfter });
      });
    });
    request.end(body);
  });
}

/** With the roots that all other hosts are verified with. */
function overTls(
  options: RequestOptions,
  agent: Agent,
  ca: string | undefined,
): RequestOptions & Pick<TlsOptions, 'secureContext'> {
  return { ...options, agent, secureContext: trustWith(ca) };
}

/** Seconds or a date: RFC 9110 §10.2.3. @returns milliseconds since the epoch */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return now + Number(value) * SECOND;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : at;
}

function unreachable(url: string, cause: Error, signal: AbortSignal): AcmeError {
  const { code } = cause as NodeJS.ErrnoException;
  const where = new URL(url).origin;
  if (signal.aborted) {
    const late = (signal.reason as Error)?.name === 'TimeoutError';
    return new AcmeError(late ? `${where} does not answer within ${TIMEOUT / SECOND} s` : 'stopped', { cause });
  }
  const hint = /CERT|SIGNATURE|ISSUER/.test(code ?? '') ? '; a test authority is trusted by tls.acme.ca' : '';
  return new AcmeError(`${where} cannot be reached (${code ?? cause.message})${hint}`, { cause });
}
