/** What a request says: its path, and its body as JSON that fits a schema. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as v from 'valibot';
import { ApiProblem } from './problem.ts';

/** Octets of a JSON body. */
const MOST_BODY = 64 * 1024;
/** Characters of the place of a fault. */
const MOST_POINTER = 200;

export const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?')[0]!;

/** @param root what stands before the names of fields. @throws ApiProblem 422 with all faulty fields */
export function checked(schema: v.GenericSchema, value: unknown, root: string): unknown {
  const result = v.safeParse(schema, value);
  const errors = result.success
    ? pathsOfNul(value).map((path) => ({ pointer: `${root}${path}`, detail: 'A text has no NUL character.' }))
    : result.issues.map((issue) => ({
        pointer: `${root}${(issue.path ?? []).map(({ key }: any) => escaped(String(key))).join('/')}`,
        detail: issue.message,
      }));
  if (result.success && errors.length === 0) return result.output;
  throw new ApiProblem(422, errors.map(({ detail }) => detail).join(' '), { errors });
}

/** No name, address or reason has a NUL, and a database takes none. Without recursion: a body may be nested more deeply than the stack. */
function pathsOfNul(value: unknown): string[] {
  const found: string[] = [];
  const rest: (readonly [path: string, value: unknown])[] = [['', value]];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [path, one] = next;
    if (typeof one === 'string' && one.includes('\0')) found.unshift(path);
    if (typeof one !== 'object' || one === null) continue;
    const before = path === '' ? '' : `${path}/`;
    for (const [name, inner] of Object.entries(one)) rest.push([`${before}${escaped(name)}`.slice(0, MOST_POINTER), inner]);
  }
  return found;
}

/** RFC 6901 §3. */
const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');

/** @throws ApiProblem 400, 413 or 415 */
export async function readJson(
  request: IncomingMessage,
  response: ServerResponse,
  types: readonly string[] = ['application/json'],
): Promise<unknown> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (!types.includes(type)) throw new ApiProblem(415, `The content type must be ${types.join(' or ')}.`);
  if (Number(request.headers['content-length'] ?? 0) > MOST_BODY) throw tooLarge();
  if (request.headers.expect !== undefined) response.writeContinue();
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MOST_BODY) throw tooLarge();
    pieces.push(piece);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces)));
  } catch {
    throw new ApiProblem(400, 'The body is not JSON in UTF-8.');
  }
}

const tooLarge = () => new ApiProblem(413, `A request has at most ${MOST_BODY} octets.`);
