/** One request: its name, its caller, its route, the checks, the handler, the answer. Nothing of a body is read before all checks are passed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as v from 'valibot';
import { ControlError, type RepeatableRequest } from '../control/control.ts';
import { plainAddress } from '../net/addresses.ts';
import { clientKey } from '../net/client-networks.ts';
import { SetupProblem } from '../setup/setup.ts';
import { cleanLine } from '../smtp/text.ts';
import type { RequestKey } from '../store/store.ts';
import { type Access, createAccess } from './access/access.ts';
import { type Arrival, arrivalOf } from './access/arrival.ts';
import { authenticate, isStillAllowed, type KnownCaller } from './access/authentication.ts';
import { secretIn } from './access/cookie.ts';
import { checkCsrf, checkOrigin } from './access/csrf.ts';
import { checkConfirmed, checkPermission } from './access/permission.ts';
import { createRate } from './access/rate.ts';
import { assetAnswer } from './assets.ts';
import type { ConsoleParts } from './console.ts';
import { checkMatch, entityTag, namesTag } from './entity-tag.ts';
import { consoleHeaders } from './headers.ts';
import { createIdempotency, type KeptAnswer } from './idempotency.ts';
import { ApiProblem, apiProblemBody, apiProblemOf, setupProblemOf } from './problem.ts';
import { checked, pathOf, readJson } from './request.ts';
import { type ApiRoute, makerOf, type Stream } from './route.ts';
import { findRoute, taggedOf } from './router.ts';
import { createStreams } from './streams.ts';

/** Requests of one caller. */
const RATES = {
  session: { perSecond: 20, burst: 60 },
  token: { perSecond: 10, burst: 10 },
  nobody: { perSecond: 20, burst: 60 },
};

const NOTED = { perSecond: 10 / 60, burst: 10 };
const MOST_LOGGED = 255;

type State = {
  readonly access: Access;
  /** Refused requests that the log names. */
  readonly noted: ReturnType<typeof createRate>;
  readonly rates: ReturnType<typeof createRates>;
  readonly streams: ReturnType<typeof createStreams>;
  readonly idempotency: ReturnType<typeof createIdempotency>;
};

type Asked = Parameters<ApiRoute['handle']>[0];

/** Answers each request, also if it or its handler is at fault. */
export function createDispatch(parts: ConsoleParts, stopped: AbortSignal) {
  const state: State = {
    access: createAccess(parts),
    noted: createRate(NOTED, () => performance.now()),
    rates: createRates(),
    streams: createStreams(),
    idempotency: createIdempotency(parts.store.console, parts.now),
  };
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, stopped]);
    for (const [name, value] of Object.entries(consoleHeaders())) response.setHeader(name, value);
    try {
      await run(request, response, parts, state, signal);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const problem = asProblem(error, request, parts);
      noteRefused(problem, request, parts, state);
      tell(request, response, problem);
    }
  };
}

function createRates() {
  const now = () => performance.now();
  const { session, token, nobody } = RATES;
  return { session: createRate(session, now), token: createRate(token, now), nobody: createRate(nobody, now) };
}

async function run(
  request: IncomingMessage,
  response: ServerResponse,
  parts: ConsoleParts,
  state: State,
  signal: AbortSignal,
): Promise<void> {
  const settings = parts.settings();
  const arrival = arrivalOf(request, settings);
  if (!pathOf(request).startsWith('/api/')) return sendPage(request, response, arrival, parts);
  const { route, params, url } = findRoute(request, parts.firstRun !== undefined);
  const caller = await authenticate(request.headers, arrival, parts);
  checkPace(caller, arrival, state);
  checkSource(request, route, caller, arrival);
  checkPermission(route, caller, parts.now(), settings.secondFactor === 'required');
  const { query, given } = await read(request, response, route, url);
  const body = route.body && checked(route.body, given, '/');
  const { by, session } = caller ?? {};
  const headers = new Map<string, string>();
  const { access } = state;
  const common = { params, query, body, by, session, arrival, access, headers, parts, signal };
  const repeated = request.headers['idempotency-key'] as string | undefined;
  const key = state.idempotency.keyOf(repeated, route, by);
  const ask = { ...common, control: parts.control(by && key ? { ...by, request: answeredBy(state, route, key, repeated) } : by) };
  if (session !== undefined && typeof route.confirm === 'function' && (await route.confirm(ask)))
    checkConfirmed(session, parts.now());
  if (route.streams !== undefined)
    return state.streams.send(response, route.streams, (end) => route.handle({ ...ask, signal: end }) as Promise<Stream>, {
      owner: by === undefined ? clientKey(arrival.ip) : makerOf(by),
      account: by?.account,
      signal,
      isAllowed: async () => caller === undefined || isStillAllowed(caller, request.headers, arrival, parts),
    });
  const work = () => act(route, ask, request);
  const goesOn = route.goesOn && (({ body }: KeptAnswer) => route.goesOn?.(JSON.parse(body), parts) === true);
  const answer =
    key === undefined || repeated === undefined
      ? await work()
      : await once(
          state,
          { key, repeated, request: JSON.stringify([request.method, request.url, given]), headers, goesOn },
          work,
        );
  if (route.location !== undefined) headers.set('location', route.location(JSON.parse(answer.body)));
  for (const [name, value] of headers) response.setHeader(name, value);
  send(response, answer.status, answer.body === '' ? undefined : 'application/json', answer.body);
}

/** Reads nothing but what the route takes. */
async function read(request: IncomingMessage, response: ServerResponse, route: ApiRoute, { searchParams }: URL) {
  const asked = Object.fromEntries(searchParams);
  const { 'last-event-id': last } = request.headers;
  if (route.streams === 'text/event-stream' && typeof last === 'string') asked['after'] = last;
  const query = route.query && checked(route.query, asked, '');
  return { query, given: route.body && (await readJson(request, response, route.takes)) };
}

/** The handler. What it changes must be as the caller saw it, if it says so: RFC 9110 §13.1.1. */
async function act(route: ApiRoute, ask: Asked, { headers: fields }: IncomingMessage): Promise<KeptAnswer> {
  const { 'if-match': match, 'if-none-match': noneMatch } = fields;
  const isRead = route.method === 'GET';
  if (!isRead && match !== undefined) {
    const tag = taggedOf(route)?.tag;
    if (tag === undefined) checkMatch(match, undefined);
    else return answerOf(route, await route.handle({ ...ask, match: (seen) => checkMatch(match, entityTag(tag(seen))) }));
  }
  const result = await route.handle(ask);
  if (isRead && route.tag !== undefined) {
    const tag = entityTag(route.tag(result));
    ask.headers.set('etag', tag);
    if (noneMatch !== undefined && namesTag(noneMatch, tag)) return { status: 304, body: '' };
  }
  return answerOf(route, result);
}

/** Only what the schema names leaves. */
function answerOf({ answer, status }: ApiRoute, result: unknown): KeptAnswer {
  if (answer === undefined) return { status: status ?? 204, body: '' };
  return { status: status ?? 200, body: JSON.stringify(v.parse(answer, result)) };
}

/** A change that completes the request has its answer in its own transaction: also if the relay is killed then, a repetition gets the same. */
function answeredBy({ idempotency }: State, route: ApiRoute, key: RequestKey, given = ''): RepeatableRequest {
  return { ...key, answerOf: (made) => idempotency.kept(given, answerOf(route, made)) };
}

type Repeatable = {
  readonly key: RequestKey;
  readonly repeated: string;
  readonly request: string;
  readonly headers: Map<string, string>;
  readonly goesOn: ((kept: KeptAnswer) => boolean) | undefined;
};

/** Does it, or what is left of it, or gives the answer of the time before. A request that was refused has made nothing. */
async function once(
  { idempotency }: State,
  { key, repeated, request, headers, goesOn }: Repeatable,
  work: () => Promise<KeptAnswer>,
): Promise<KeptAnswer> {
  const begun = await idempotency.begin(key, repeated, request, goesOn);
  if (typeof begun === 'object') {
    headers.set('idempotent-replayed', 'true');
    return begun;
  }
  if (begun === 'rest') headers.set('idempotent-continued', 'true');
  try {
    const answer = await work();
    await idempotency.end(key, repeated, answer);
    return answer;
  } catch (error) {
    await idempotency.end(key, repeated, null);
    throw error;
  }
}

/** Pages and their files hold no data, so they need no login. @throws ApiProblem 405 */
async function sendPage(
  request: IncomingMessage,
  response: ServerResponse,
  arrival: Arrival,
  { hostname, firstRun }: ConsoleParts,
): Promise<void> {
  const { method, headers } = request;
  if (method !== 'GET' && method !== 'HEAD')
    throw new ApiProblem(405, `${pathOf(request)} takes GET, HEAD.`, { headers: { allow: 'GET, HEAD' } });
  const hasSession = secretIn(headers.cookie, arrival) !== undefined;
  const sight = !hasSession ? 'login' : firstRun === undefined ? 'page' : 'first-run';
  const answer = await assetAnswer({ path: pathOf(request), headers, hostname: hostname(), sight });
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  if (answer.status !== 304) response.setHeader('content-length', answer.body.length);
  response.writeHead(answer.status).end(method === 'HEAD' ? undefined : answer.body);
}

/** @throws ApiProblem 429 */
function checkPace(caller: KnownCaller | undefined, { ip }: Arrival, { rates }: State): void {
  const { session, by } = caller ?? {};
  const wait =
    session !== undefined
      ? rates.session.take(session.hash)
      : by === undefined
        ? rates.nobody.take(clientKey(ip))
        : rates.token.take(by.id);
  if (wait === 0) return;
  throw new ApiProblem(429, `These are too many requests. Wait ${wait} s.`, { headers: { 'retry-after': String(wait) } });
}

/** @throws ApiProblem 403 if another page may have sent the request. */
function checkSource(
  { method, headers }: IncomingMessage,
  route: ApiRoute,
  caller: KnownCaller | undefined,
  arrival: Arrival,
): void {
  if (method === 'GET' || method === 'HEAD' || caller?.by.way === 'token') return;
  checkOrigin(headers, arrival);
  if (caller?.session !== undefined && route.access !== 'public') checkCsrf(headers, caller.session.secret);
}

function asProblem(error: unknown, request: IncomingMessage, { log }: ConsoleParts): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof ControlError) return apiProblemOf(error);
  if (error instanceof SetupProblem) return setupProblemOf(error);
  log.emit('consoleFailed', { method: request.method ?? '', path: cleanLine(pathOf(request), { max: MOST_LOGGED }), error });
  return new ApiProblem(500, 'Something failed here. The log of the relay says what.');
}

/** What looks like an attack is in the log, a few a minute. */
function noteRefused(
  { status, kind, message }: ApiProblem,
  request: IncomingMessage,
  { log }: ConsoleParts,
  { noted }: State,
): void {
  if (status !== 421 && status !== 429 && kind !== 'foreign-page' && kind !== 'two-callers') return;
  if (noted.take('') > 0) return;
  const ip = plainAddress(request.socket.remoteAddress ?? '');
  const path = cleanLine(pathOf(request), { max: MOST_LOGGED });
  log.emit('consoleRefused', { ip, method: request.method ?? '', path, reason: message });
}

/** A body that was not read ends the connection, so that it is never read. */
function tell(request: IncomingMessage, response: ServerResponse, problem: ApiProblem): void {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers;
  const isUnread = !request.readableEnded && (length !== '0' || coding !== undefined);
  for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
  if (isUnread) response.setHeader('connection', 'close');
  send(response, problem.status, 'application/problem+json', JSON.stringify(apiProblemBody(problem, pathOf(request))));
}

function send(response: ServerResponse, status: number, type: string | undefined, body: string): void {
  if (type !== undefined) response.setHeader('content-type', type).setHeader('content-length', Buffer.byteLength(body));
  response.writeHead(status);
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
