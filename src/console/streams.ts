/** Answers that come in pieces. There are few at a time, because each holds a connection. */
import type { ServerResponse } from 'node:http';
import { SECOND } from '../system/clock.ts';
import { ApiProblem } from './problem.ts';
import type { ApiRoute, Stream } from './route.ts';

/** Of the whole console. */
export const MOST_STREAMS = 32;
/** Of one caller, so that nobody takes them all. A browser has one, and each download is one. */
export const MOST_STREAMS_OF_ONE = 8;
/** Of one account with all its tokens: half of all, so that the others find room. */
export const MOST_STREAMS_OF_ACCOUNT = 16;
/** Seconds after which it may be asked again. */
const RETRY_AFTER = { 'retry-after': '10' };
/** A comment goes to an event stream that has nothing to say for so long, so that nobody takes it for dead. */
const HEARTBEAT = 15 * SECOND;
/** Who takes nothing for so long is dropped: what comes meanwhile would fill the memory. */
const PATIENCE = 30 * SECOND;
/** How often it is asked whether the caller may still have the stream: a logout ends it, and less rights. */
const ASKED_AGAIN = 10 * SECOND;

type Sent = {
  /** Who is counted: `makerOf`, or the address of somebody without a login. */
  readonly owner: string;
  /** The account of the owner, if it has one. */
  readonly account: string | undefined;
  readonly signal: AbortSignal;
  readonly isAllowed: () => Promise<boolean>;
};

export function createStreams() {
  const open = new Set<Pick<Sent, 'owner' | 'account'>>();

  /** @returns gives the place back. @throws ApiProblem 429 or 503 */
  function take(one: Pick<Sent, 'owner' | 'account'>): () => void {
    const mine = [...open].filter(({ owner }) => owner === one.owner);
    const family = one.account === undefined ? [] : [...open].filter(({ account }) => account === one.account);
    const most =
      mine.length >= MOST_STREAMS_OF_ONE
        ? `You have ${MOST_STREAMS_OF_ONE} streams open already.`
        : family.length >= MOST_STREAMS_OF_ACCOUNT
          ? `Your account has ${MOST_STREAMS_OF_ACCOUNT} streams open already, with all its tokens.`
          : undefined;
    if (most !== undefined)
      throw new ApiProblem(429, `${most} Close one of them, or wait for its end.`, { headers: RETRY_AFTER });
    if (open.size >= MOST_STREAMS)
      throw new ApiProblem(503, `There are ${MOST_STREAMS} streams already, of all callers together.`, { headers: RETRY_AFTER });
    open.add(one);
    return () => open.delete(one);
  }

  return {
    /** @throws ApiProblem 429 if the caller has too many, 503 if all together have. */
    async send(
      response: ServerResponse,
      type: NonNullable<ApiRoute['streams']>,
      begin: (signal: AbortSignal) => Promise<Stream>,
      { owner, account, signal, isAllowed }: Sent,
    ): Promise<void> {
      const giveBack = take({ owner, account });
      const refused = new AbortController();
      const asked = setInterval(async () => (await isAllowed()) || refused.abort(), ASKED_AGAIN);
      const end = AbortSignal.any([signal, refused.signal]);
      try {
        const pieces = await begin(end);
        const length = typeof pieces === 'string' ? { 'content-length': Buffer.byteLength(pieces) } : {};
        response.writeHead(200, { 'content-type': type === 'message/rfc822' ? type : `${type}; charset=utf-8`, ...length });
        // HEAD is GET without the body: RFC 9110 §9.3.2. No piece is asked for, so that nothing counts as read.
        if (response.req.method === 'HEAD') return void response.end();
        if (typeof pieces === 'string') return void response.end(pieces);
        response.flushHeaders();
        await pass(response, type, pieces, end);
      } finally {
        clearInterval(asked);
        giveBack();
      }
    },
  };
}

async function pass(response: ServerResponse, type: string, pieces: AsyncIterable<string | Uint8Array>, signal: AbortSignal) {
  const beat = setInterval(() => response.writableNeedDrain || response.write(':\n\n'), HEARTBEAT);
  if (type !== 'text/event-stream') clearInterval(beat);
  try {
    for await (const piece of pieces) {
      if (signal.aborted) break;
      if (!response.write(piece)) await drained(response);
    }
    // A table that was cut off must not look whole.
    if (signal.aborted && type !== 'text/event-stream') response.destroy();
    else response.end();
  } finally {
    clearInterval(beat);
  }
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve(); // `close` has been, and does not come again
  return new Promise((resolve) => {
    const late = setTimeout(() => response.destroy(), PATIENCE);
    const done = () => {
      clearTimeout(late);
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}
