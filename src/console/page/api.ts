/** Asks the API as any other program could. Errors are those of RFC 9457. A session that has ended is begun again, and the request runs once. */
import { cell } from './cell.ts';
import { t } from './texts.ts';

/** One field that the relay does not take. `pointer` as in RFC 6901, such as `/name`. */
type FieldProblem = { readonly pointer: string; readonly detail: string };

/** What went wrong, in a sentence for people. `status` 0: no answer came. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly status: number;
  readonly type: string;
  readonly errors: readonly FieldProblem[];

  constructor(status: number, detail: string, type = 'about:blank', errors: readonly FieldProblem[] = []) {
    super(detail);
    this.status = status;
    this.type = type;
    this.errors = errors;
  }
}

type Query = Readonly<Record<string, string | number | undefined>>;

type Asking = {
  readonly signal?: AbortSignal;
  /** The answer 401 is told as it is: for logging in itself. */
  readonly bare?: boolean;
};

/** What the session gives: the secret that each change needs, and the ways to begin or confirm it again. */
type Keeper = {
  csrf(): string | undefined;
  /** Resolves when somebody is logged in again. Rejects if they give up. */
  again(): Promise<void>;
  /** Asks for the password once more, before something that cannot be taken back. */
  confirm(): Promise<void>;
};

let keeper: Keeper = { csrf: () => undefined, again: () => Promise.resolve(), confirm: () => Promise.resolve() };
/** How far the clock of the relay is ahead of ours, in ms. Ages are counted by its clock. */
let ahead = 0;

/** Whether the relay answers. */
export const reachable = cell(true);

export function keepSession(by: Keeper): void {
  keeper = by;
}

/** The relay's own host name, which is seldom the name that the browser has come by. The document of each page has it. */
export const relayName = () => document.querySelector<HTMLMetaElement>('meta[name=smarthost-relay]')?.content ?? '';

/** ms since 1970, as the relay sees it. */
export const relayNow = () => Date.now() + ahead;

export const api = {
  get: <T>(path: string, query: Query = {}, options?: Asking) => ask<T>('GET', path + queryText(query), undefined, options),
  post: <T>(path: string, body?: unknown, options?: Asking) => ask<T>('POST', path, body ?? {}, options),
  patch: <T>(path: string, body: unknown, options?: Asking) => ask<T>('PATCH', path, body, options),
  remove: <T>(path: string, options?: Asking) => ask<T>('DELETE', path, undefined, options),
  /** For a link or an event stream. */
  url: (path: string, query: Query = {}) => `/api/v1${path}${queryText(query)}`,
};

function queryText(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

async function ask<T>(method: Method, path: string, body: unknown, { signal, bare = false }: Asking = {}): Promise<T> {
  // One key for all tries of one action: an answer that was lost on its way makes nothing twice.
  const key =
    method === 'POST'
      ? [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, '0')).join('')
      : '';
  for (let tries = 1; ; tries++) {
    const response = await send(method, path, body, key, signal);
    if (response.ok) return (await bodyOf(response)) as T;
    const failure = await failureOf(response);
    if (bare || tries > 2) throw failure;
    if (response.status === 401) await keeper.again();
    else if (failure.type.endsWith('#confirm-first')) await keeper.confirm();
    else throw failure;
  }
}

async function send(
  method: Method,
  path: string,
  body: unknown,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (key !== '') headers['idempotency-key'] = key;
  const csrf = keeper.csrf();
  if (method !== 'GET' && csrf !== undefined) headers['x-smarthost-csrf'] = csrf;
  const init = {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  };
  try {
    const response = await fetch(`/api/v1${path}`, init);
    reachable.set(true);
    measure(response.headers.get('date'));
    return response;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    reachable.set(false);
    throw new ApiFailure(0, t('failure.unreachable'));
  }
}

/** Text where it is no JSON, such as the headers of a message. */
function bodyOf(response: Response): Promise<unknown> {
  if (response.status === 204) return Promise.resolve();
  return response.headers.get('content-type')?.includes('json') ? response.json() : response.text();
}

function measure(date: string | null): void {
  const difference = date === null ? Number.NaN : Date.parse(date) - Date.now();
  // The header has whole seconds, and the answer was under way.
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) < 2000 ? 0 : difference;
}

async function failureOf(response: Response): Promise<ApiFailure> {
  const problem = await response.json().catch(() => undefined);
  const detail = typeof problem?.detail === 'string' ? problem.detail : t('failure.status', { status: response.status });
  return new ApiFailure(response.status, detail, problem?.type, problem?.errors);
}
