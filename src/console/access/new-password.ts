/** What a new password of an account must be. */
import { ApiProblem } from '../problem.ts';

/** NIST SP 800-63B asks for length alone, not for kinds of characters. */
const LEAST = 12;
/** Octets. */
const MOST = 1024;

/** @param known names that anybody could guess: of the account and of the relay. @throws ApiProblem 422 */
export function checkNewPassword(password: string, known: readonly string[]): void {
  const detail = problemOf(password, known);
  if (detail !== undefined) throw new ApiProblem(422, detail, { errors: [{ pointer: '/password', detail }] });
}

function problemOf(password: string, known: readonly string[]): string | undefined {
  if ([...password].length < LEAST) return `A password has at least ${LEAST} characters.`;
  if (Buffer.byteLength(password) > MOST) return `A password has at most ${MOST} octets.`;
  if (/[\x00-\x1f\x7f\ufffd]/.test(password)) return 'A password is UTF-8 without control characters.';
  const isKnown = known.some((name) => name.toLowerCase() === password.toLowerCase());
  return isKnown ? 'A password is not the name of the account or of the relay.' : undefined;
}
