/**
 * A request that makes something can be repeated with the same Idempotency-Key: it is done once, and answered as before for a day. The change
 * marks the key in its own transaction, and keeps the answer there if nothing more follows. What is done in steps goes on with what is left. The key is stored as a hash, and the answer is encrypted with it, because the answer may have the
 * password or token that is shown once.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { ConsoleStore, RequestAnswer, RequestKey } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import { secretHash } from './access/cookie.ts';
import { ApiProblem } from './problem.ts';
import { type ApiCaller, type ApiRoute, makerOf } from './route.ts';

export type KeptAnswer = { readonly status: number; readonly body: string };

/** `rest`: an earlier one was done in part. */
type Begun = KeptAnswer | 'new' | 'rest';

const MOST_KEY = 256;
const CIPHER = 'aes-256-gcm';
const IV_LENGTH = 12;
const TAG_LENGTH = 16;

/** Whether the route makes something. A new session or password is made again instead. */
export function makesSomething({ method, path, access, streams }: ApiRoute): boolean {
  return method === 'POST' && access !== 'public' && streams === undefined && !/^\/session(\/|$)/.test(path);
}

export function createIdempotency(store: ConsoleStore, now: Clock) {
  return {
    /** @param given the field of the request. @returns undefined if it has none, or if the route makes nothing. @throws ApiProblem 400 */
    keyOf(given: string | undefined, route: ApiRoute, by: ApiCaller | undefined): RequestKey | undefined {
      if (given === undefined || by === undefined || !makesSomething(route)) return undefined;
      if (given === '' || given.length > MOST_KEY)
        throw new ApiProblem(400, `An Idempotency-Key has 1 to ${MOST_KEY} characters.`);
      return { owner: makerOf(by), key: secretHash(given) };
    },
    /**
     * @param request all of it that counts. @param hasEnded whether the work of a kept answer ended with its process; absent: no work can go
     * on. @returns the earlier answer, or whether this request is to be done, or what is left of it. @throws ApiProblem 409 or 422
     */
    async begin(key: RequestKey, given: string, request: string, hasEnded?: (kept: KeptAnswer) => boolean): Promise<Begun> {
      const hash = createHash('sha256').update(request).digest('hex');
      const found = await store.beginRequest(key, hash, now());
      if (found.state === 'new') return 'new';
      const before = found.state === 'done' ? { status: found.status, body: opened(found.body, given) } : undefined;
      const isLeft = hasEnded !== undefined && (before === undefined ? found.state === 'lost' : hasEnded(before));
      if (before !== undefined && !isLeft) return before;
      const { state } = isLeft ? await store.beginRequest(key, hash, now(), { again: true }) : found;
      if (state === 'new') return 'rest';
      throw REFUSALS[state === 'done' ? 'running' : state]();
    },
    /** @param answer null: nothing was made. */
    end: (key: RequestKey, given: string, answer: KeptAnswer | null) => store.endRequest(key, answer && kept(given, answer)),
    kept,
  };
}

const REFUSALS = {
  different: () => new ApiProblem(422, 'This Idempotency-Key was used for another request.', { kind: 'key-reused' }),
  running: () =>
    new ApiProblem(409, 'The request with this Idempotency-Key is not done yet.', {
      kind: 'still-running',
      headers: { 'retry-after': '1' },
    }),
  lost: () =>
    new ApiProblem(409, 'The request with this Idempotency-Key was done, and its answer is lost, because the relay stopped.', {
      kind: 'answer-lost',
    }),
};

/** As it is stored. */
const kept = (given: string, { status, body }: KeptAnswer): RequestAnswer => ({ status, body: sealed(body, given) });

const keyFrom = (given: string) => Buffer.from(hkdfSync('sha256', given, '', 'smarthost answer', 32));

function sealed(text: string, given: string): string {
  const iv = randomBytes(IV_LENGTH);
  const cipher = createCipheriv(CIPHER, keyFrom(given), iv);
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64');
}

function opened(text: string, given: string): string {
  const bytes = Buffer.from(text, 'base64');
  const decipher = createDecipheriv(CIPHER, keyFrom(given), bytes.subarray(0, IV_LENGTH));
  decipher.setAuthTag(bytes.subarray(IV_LENGTH, IV_LENGTH + TAG_LENGTH));
  return decipher.update(bytes.subarray(IV_LENGTH + TAG_LENGTH), undefined, 'utf8') + decipher.final('utf8');
}
