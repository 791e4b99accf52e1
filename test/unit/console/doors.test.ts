/** Who may use which route: every route of the table by every role, without a login, with a session, a token, and both. */
import { expect, test } from 'vitest';
import { csrfOf } from '../../../src/console/access/csrf.ts';
import { type ApiRoute, ROLES } from '../../../src/console/route.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { TOKEN_SCOPES } from '../../../src/control/control.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';

type TestConsole = Awaited<ReturnType<typeof startTestConsole>>;

/** What a permitted request may get here: its body is wrong and its names do not exist. */
const PERMITTED = [200, 202, 204, 404, 409, 422, 503];
const routes = ROUTES.filter(({ when }) => when !== 'firstRun');
let asked = 0;

/** Each request has an address, a session or a token of its own, so that no limit of requests decides. */
function askAs(console: TestConsole, route: ApiRoute, headers: Record<string, string>) {
  const path = `${route.below ?? '/api/v1'}${route.path.replaceAll(/:\w+/g, 'nobody')}`;
  const method = route.streams !== undefined && route.method === 'GET' ? 'HEAD' : route.method;
  const body = route.body === undefined ? undefined : JSON.stringify({ 'not a field': 1 });
  const type = route.takes?.[0] ?? 'application/json';
  asked++;
  const address = { 'x-forwarded-for': `198.51.${asked >> 8}.${asked & 255}`, 'sec-fetch-site': 'same-origin' };
  const json = body === undefined ? {} : { 'content-type': type };
  return askOnce(`${console.origin}${path}`, method, { ...address, ...json, ...headers }, body);
}

async function startDoors() {
  const console = await startTestConsole({}, { proxyTrust: ['127.0.0.0/8'], content: true });
  const port = new URL(console.origin).port;
  const session = async (role: string) => {
    const secret = `${role} ${asked}`.replace(' ', '-');
    await console.people.session(role, secret);
    return { cookie: `smarthost-${port}=${secret}`, 'x-smarthost-csrf': csrfOf(secret) };
  };
  const token = async (account: string, scopes: readonly string[]) => {
    const value = `token-${account}-${asked}-${scopes.length}`;
    await console.people.token(value, { account, scopes });
    return { authorization: `Bearer ${value}` };
  };
  return { console, session, token };
}

test('each route answers each kind of caller as the table says', async () => {
  const { console, session, token } = await startDoors();
  await using _ = console;
  for (const route of routes) {
    const name = `${route.method} ${route.below ?? ''}${route.path}`;
    const isPublic = route.access === 'public';
    const mayDo = (role: (typeof ROLES)[number]) =>
      route.access === 'public' || route.access === 'account' || ROLES.indexOf(role) >= ROLES.indexOf(route.access);
    const check = async (who: string, headers: Record<string, string>, refused: number | undefined) => {
      const { status } = await askAs(console, route, headers);
      if (refused === undefined) expect(PERMITTED, `${name}, ${who}: ${status}`).toContain(status);
      else expect(status, `${name}, ${who}`).toBe(refused);
    };
    await check('nobody', {}, isPublic ? undefined : 401);
    await check('both', { ...(await session('admin')), ...(await token('admin', TOKEN_SCOPES)) }, 400);
    for (const role of ROLES) {
      await check(`session of ${role}`, await session(role), mayDo(role) ? undefined : 403);
      const isOpen = isPublic || (route.scope !== null && mayDo(role));
      await check(`token of ${role}`, await token(role, TOKEN_SCOPES), isOpen ? undefined : 403);
    }
    const others = TOKEN_SCOPES.filter((scope) => scope !== route.scope);
    await check('token without the scope', await token('admin', others), isPublic ? undefined : 403);
    await check('token that is unknown', { authorization: 'Bearer unknown' }, 401);
    if (route.method === 'GET' || isPublic) continue;
    const { 'x-smarthost-csrf': _csrf, ...cookie } = await session('admin');
    await check('session without the value for changes', cookie, 403);
    await check('session from another page', { ...(await session('admin')), 'sec-fetch-site': 'cross-site' }, 403);
    await check('session from a page of the same site', { ...(await session('admin')), 'sec-fetch-site': 'same-site' }, 403);
  }
});

test('an account without its second factor, where one is required, may use nothing but what sets it up', async () => {
  await using console = await startTestConsole({}, { secondFactor: 'required', proxyTrust: ['127.0.0.0/8'] });
  const port = new URL(console.origin).port;
  for (const route of routes.filter(({ access, path }) => access !== 'public' && path !== '/session')) {
    const secret = `s${asked}`;
    await console.people.session('admin', secret);
    const headers = { cookie: `smarthost-${port}=${secret}`, 'x-smarthost-csrf': csrfOf(secret) };
    const isOwn = route.path.startsWith('/session/');
    const { status } = await askAs(console, route, headers);
    expect(status === 403, `${route.method} ${route.path}: ${status}`).toBe(!isOwn);
  }
});
