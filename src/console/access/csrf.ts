/**
 * A request that changes something must come from our own pages: another page in the same browser could send it with our cookie. Browsers
 * say from where a page asks. What they send with a request of a script is not asked of a token, because no browser adds it by itself.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ApiProblem } from '../problem.ts';
import type { Arrival } from './arrival.ts';

const FIELD = 'x-smarthost-csrf';

/** The value that pages send with each change. Only who can read an answer of the session knows it. @param secret the value of the cookie. */
export function csrfOf(secret: string): string {
  return createHash('sha256').update(`csrf ${secret}`).digest('base64url');
}

/** @throws ApiProblem 403 */
export function checkOrigin(headers: IncomingHttpHeaders, { origins }: Arrival): void {
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const isOwn = site === undefined ? origin !== undefined && origins.includes(origin) : site === 'same-origin';
  const isForeign = origin !== undefined && !origins.includes(origin);
  if (isOwn && !isForeign) return;
  const from = origin ?? site;
  throw new ApiProblem(
    403,
    `Changes are taken from the pages of this console only, and this came from ${from ?? 'an unknown page'}.`,
    {
      kind: 'foreign-page',
    },
  );
}

/** @param secret the value of the cookie. @throws ApiProblem 403 */
export function checkCsrf(headers: IncomingHttpHeaders, secret: string): void {
  const given = Buffer.from(String(headers[FIELD] ?? ''));
  const wanted = Buffer.from(csrfOf(secret));
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw new ApiProblem(403, `The field ${FIELD} must have the value that GET /api/v1/session gives.`, { kind: 'foreign-page' });
}
