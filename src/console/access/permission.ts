/** Whether a caller may use a route. */
import { MINUTE } from '../../system/clock.ts';
import { ApiProblem } from '../problem.ts';
import { type ApiRoute, ROLES } from '../route.ts';
import type { KnownCaller, OpenSession } from './authentication.ts';

/** Milliseconds for which a password counts for what needs it again. */
const CONFIRMED_FOR = 10 * MINUTE;

/** @throws ApiProblem 401 or 403 */
export function checkPermission(route: ApiRoute, caller: KnownCaller | undefined, now: number, factorRequired: boolean): void {
  if (route.access === 'public') return;
  if (caller === undefined)
    throw new ApiProblem(401, 'Log in, or give a token.', { headers: { 'www-authenticate': 'Bearer realm="smarthost"' } });
  const { by, session, scopes } = caller;
  if (scopes !== undefined) checkScope(route, scopes);
  if (route.access !== 'account' && ROLES.indexOf(by.role) < ROLES.indexOf(route.access))
    throw new ApiProblem(403, `This needs the role ${route.access}, and ${by.account} is ${by.role}.`, { kind: 'not-yours' });
  if (by.credentials !== null && route.access !== 'account' && route.confined !== true)
    throw new ApiProblem(403, `This is for all mail, and ${by.name} is confined to some credentials.`, { kind: 'not-yours' });
  if (session === undefined) return;
  if (factorRequired && session.account.totpSecret === null && !isOwnAccess(route))
    throw new ApiProblem(403, 'Set up a second factor first: console.secondFactor asks each account for one.', {
      kind: 'factor-needed',
    });
  if (route.confirm === true) checkConfirmed(session, now);
}

/** @throws ApiProblem 403 if the password was given too long ago. */
export function checkConfirmed({ confirmedAt }: Pick<OpenSession, 'confirmedAt'>, now: number): void {
  if (now - confirmedAt <= CONFIRMED_FOR) return;
  throw new ApiProblem(403, 'This needs the password again.', { kind: 'confirm-first' });
}

/** Its login, password and second factor. */
const isOwnAccess = ({ path }: ApiRoute) => path === '/session' || path.startsWith('/session/');

function checkScope({ scope }: ApiRoute, scopes: readonly string[]): void {
  if (scope === null) throw new ApiProblem(403, 'No token may do this: log in.', { kind: 'not-yours' });
  if (scopes.includes(scope)) return;
  throw new ApiProblem(403, `This needs a token with the scope ${scope}.`, {
    kind: 'not-yours',
    headers: { 'www-authenticate': `Bearer realm="smarthost", error="insufficient_scope", scope="${scope}"` },
  });
}
