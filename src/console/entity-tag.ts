/** Whether a thing is still as the caller saw it: RFC 9110 §8.8.3 and §13.1.1. */
import { createHash } from 'node:crypto';
import { ApiProblem } from './problem.ts';

/** @param part what changes with the thing, and with nothing else. */
export function entityTag(part: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(part)).digest('hex').slice(0, 32)}"`;
}

/** @param field If-Match or If-None-Match. */
export function namesTag(field: string, tag: string): boolean {
  return field
    .split(',')
    .map((one) => one.trim().replace(/^W\//, ''))
    .some((one) => one === '*' || one === tag);
}

/** @param tag of the thing now. @throws ApiProblem 412 */
export function checkMatch(field: string, tag: string | undefined): void {
  if (tag !== undefined && namesTag(field, tag)) return;
  throw new ApiProblem(412, 'Somebody else has changed it meanwhile. Look at it again.', { kind: 'changed-meanwhile' });
}
