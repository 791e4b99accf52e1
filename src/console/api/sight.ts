/** What a caller may see. An account or a token can be confined to the mail of some credentials. */
import { ApiProblem } from '../problem.ts';
import type { ApiCaller } from '../route.ts';

/** The only credentials whose mail the caller may see. null: all. */
export function sightOf(by: Pick<ApiCaller, 'credentials'> | undefined): readonly string[] | null {
  return by?.credentials ?? null;
}

/** Whether mail of this login is shown. Mail of smarthost itself has none. */
export function sees(by: Pick<ApiCaller, 'credentials'> | undefined, user: string | null): boolean {
  const only = sightOf(by);
  return only === null || (user !== null && only.some((name) => name.toLowerCase() === user.toLowerCase()));
}

/** @throws ApiProblem if the answer would tell of mail that the caller may not see. */
export function checkSeesAll(by: ApiCaller | undefined): void {
  if (sightOf(by) === null) return;
  throw new ApiProblem(403, 'This is for accounts that may see all mail. Yours is confined to some credentials.');
}
