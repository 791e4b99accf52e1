/** One request: its route, the checks, the handler, the answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as v from 'valibot';
import { ControlError } from '../control/control.ts';
import type { ConsoleParts } from './console.ts';
import { ApiProblem, apiProblemBody, apiProblemOf } from './problem.ts';
import type { ApiCaller, ApiRoute, Stream } from './route.ts';
import { ROUTES } from './routes.ts';

const API = '/api/v1';
/** Octets of a JSON body. */
const MOST_BODY = 64 * 1024;

const TABLE = ROUTES.map((route) => ({ route, pattern: new URLPattern({ pathname: `${API}${route.path}` }) }));

/** Answers each request, also if it or its handler is at fault. */
export async function dispatch(request: IncomingMessage, response: ServerResponse, parts: ConsoleParts, stopped: AbortSignal) {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, stopped]);
  try {
    await run(request, response, parts, signal);
  } catch (error) {
    if (response.headersSent) return void response.destroy();
    const problem = asProblem(error);
    send(response, problem.status, 'application/problem+json', json(apiProblemBody(problem, pathOf(request))), problem.headers);
  }
}

async function run(request: IncomingMessage, response: ServerResponse, parts: ConsoleParts, signal: AbortSignal) {
  const url = new URL(request.url ?? '/', 'http://console');
  const { route, params } = find(request.method ?? 'GET', url);
  const by: ApiCaller | undefined = undefined;
  const query = route.query && checked(route.query, Object.fromEntries(url.searchParams), '');
  const body = route.body && checked(route.body, await bodyOf(request), '/');
  const result = await route.handle({ params, query, body, by, control: parts.control(by), parts, signal });
  if (route.answer !== undefined) send(response, route.status ?? 200, 'application/json', json(v.parse(route.answer, result)));
  else if (route.streams !== undefined) await stream(response, route.streams, result as Stream, signal);
  else send(response, route.status ?? 204, undefined, '');
}

function find(method: string, url: URL): { readonly route: ApiRoute; readonly params: Record<string, string> } {
  const there = TABLE.flatMap(({ route, pattern }) => {
    const found = pattern.exec({ pathname: url.pathname });
    return found === null ? [] : [{ route, params: decoded(found.pathname.groups) }];
  });
  if (there.length === 0) throw new ApiProblem(404, `There is no ${url.pathname}.`);
  const found = there.find(({ route }) => route.method === method);
  if (found !== undefined) return found;
  const allow = there.map(({ route }) => route.method).join(', ');
  throw new ApiProblem(405, `${url.pathname} takes ${allow}.`, { headers: { allow } });
}

function decoded(groups: Readonly<Record<string, string | undefined>>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value ?? '')]));
  } catch {
    throw new ApiProblem(400, 'The path has a percent sign that stands for nothing.');
  }
}

function checked(schema: v.GenericSchema, value: unknown, root: string): unknown {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const errors = result.issues.map((issue) => ({
    pointer: `${root}${(issue.path ?? []).map(({ key }: any) => String(key)).join('/')}`,
    detail: issue.message,
  }));
  throw new ApiProblem(422, errors.map(({ detail }) => detail).join(' '), { errors });
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  if (request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== 'application/json')
    throw new ApiProblem(415, 'The content type must be application/json.');
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MOST_BODY) throw new ApiProblem(413, `A request has at most ${MOST_BODY} octets.`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces)));
  } catch {
    throw new ApiProblem(400, 'The body is not JSON in UTF-8.');
  }
}

async function stream(response: ServerResponse, type: string, pieces: Stream, signal: AbortSignal) {
  if (typeof pieces === 'string') return send(response, 200, `${type}; charset=utf-8`, pieces);
  response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
  for await (const piece of pieces) {
    if (signal.aborted) break;
    if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
  }
  response.end();
}

function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof ControlError) return apiProblemOf(error);
  return new ApiProblem(500, 'Something failed here. The log of the relay says what.');
}

function send(
  response: ServerResponse,
  status: number,
  type: string | undefined,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...(type === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

const json = (value: unknown) => JSON.stringify(value);
const pathOf = ({ url = '/' }: IncomingMessage) => url.split('?')[0]!;
