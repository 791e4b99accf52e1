/** Finds the route of a request. */
import type { IncomingMessage } from 'node:http';
import { ApiProblem } from './problem.ts';
import type { ApiRoute } from './route.ts';
import { ROUTES } from './routes.ts';

const API = '/api/v1';
const TABLE = ROUTES.map((route) => ({ route, pattern: new URLPattern({ pathname: `${route.below ?? API}${route.path}` }) }));
/** Node has no name for a longer path in its table of files either. */
const MOST_PATH = 4096;

type Found = { readonly route: ApiRoute; readonly params: Readonly<Record<string, string>>; readonly url: URL };

/** A first run has few routes, and a relay has none of the first run. */
function exists({ when }: ApiRoute, isFirstRun: boolean): boolean {
  return when === 'always' || (when === 'firstRun') === isFirstRun;
}

/** HEAD is GET without the body: RFC 9110 §9.3.2. @throws ApiProblem 400, 404 or 405 */
export function findRoute({ method = 'GET', url: target = '/' }: IncomingMessage, isFirstRun: boolean): Found {
  const url = urlOf(target);
  const there = TABLE.flatMap(({ route, pattern }) => {
    const found = exists(route, isFirstRun) ? pattern.exec({ pathname: url.pathname }) : null;
    return found === null ? [] : [{ route, params: decoded(found.pathname.groups), url }];
  });
  if (there.length === 0) throw new ApiProblem(404, `There is no ${url.pathname}.`);
  // A path without parameters is before one whose parameter has the same text.
  const of = there.filter(({ route }) => route.method === (method === 'HEAD' ? 'GET' : method));
  const found = of.find(({ params }) => Object.keys(params).length === 0) ?? of[0];
  if (found !== undefined) return found;
  const methods = there.flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]));
  const allow = [...new Set(methods)].join(', ');
  throw new ApiProblem(405, `${url.pathname} takes ${allow}.`, { headers: { allow } });
}

/** The route that shows what this one changes. */
export function taggedOf({ path }: ApiRoute): ApiRoute | undefined {
  return ROUTES.find((route) => route.path === path && route.tag !== undefined);
}

/** A path is taken as it was sent: one that a URL would shorten or that has a double slash is refused. */
function urlOf(target: string): URL {
  const [path = ''] = target.split(/[?#]/);
  const isOdd = !path.startsWith('/') || path.length > MOST_PATH || /\/\/|\\|\/(?:\.|%2e){1,2}(?:\/|$)|%00/i.test(path);
  const url = isOdd ? undefined : URL.parse(target, 'http://console');
  if (url == null) throw new ApiProblem(400, 'The path has parts that no path of this console has.');
  return url;
}

function decoded(groups: Readonly<Record<string, string | undefined>>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value ?? '')]));
  } catch {
    throw new ApiProblem(400, 'The path has a percent sign that stands for nothing.');
  }
}
