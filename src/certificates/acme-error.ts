/** Errors of the conversation with a certificate authority, one sentence each: RFC 8555 §6.7, RFC 7807. */

type AcmeErrorFacts = {
  /** The last part of `urn:ietf:params:acme:error:…`; empty if the authority gave no type. */
  readonly type?: string;
  /** HTTP status; 0: no answer at all. */
  readonly status?: number;
  /** Retry-After as milliseconds since the epoch. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
};

/** Thrown with a sentence for the operator. */
export class AcmeError extends Error {
  override readonly name = 'AcmeError';
  readonly type: string;
  readonly status: number;
  readonly retryAfter: number | undefined;
  constructor(message: string, { type = '', status = 0, retryAfter, cause }: AcmeErrorFacts = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.type = type;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** True if another try may succeed soon: no answer, an error of the server, or a refused nonce (RFC 8555 §6.5). */
export function isPassing(error: unknown): error is AcmeError {
  if (!(error instanceof AcmeError)) return false;
  return error.type === 'badNonce' || error.status === 0 || error.status === 429 || error.status >= 500;
}

/** @param body a problem document, or whatever the authority sent instead. */
export function problemOf(status: number, body: string, url: string, retryAfter: number | undefined): AcmeError {
  const { type, detail } = readProblem(body);
  const kind = /^urn:ietf:params:acme:error:([A-Za-z]{1,64})$/.exec(type)?.[1] ?? '';
  const text = [`the authority answered ${status}`, ...(kind === '' ? [] : [` ${kind}`]), ` at ${new URL(url).pathname}`];
  return new AcmeError(`${text.join('')}${detail === '' ? '' : `: ${tidy(detail)}`}`, { type: kind, status, retryAfter });
}

/** One line without control characters, cut to a limited length. */
export function tidy(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, 500);
}

function readProblem(body: string): { type: string; detail: string } {
  try {
    const { type, detail } = JSON.parse(body) as Record<string, unknown>;
    return { type: typeof type === 'string' ? type : '', detail: typeof detail === 'string' ? detail : '' };
  } catch {
    return { type: '', detail: '' }; // an HTML page of a proxy says nothing to an operator
  }
}
