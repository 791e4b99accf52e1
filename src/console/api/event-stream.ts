/** Frames of an event stream, made at most each 250 ms, so that a flood costs each browser no more than a list. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds. */
const EVERY = 250;
/** After the end of a connection a browser waits so long, in milliseconds. */
const RETRY = 2000;

/** One frame. `id`: what a browser says when it comes again. undefined: there is nothing to say now. */
type Frame = { readonly id: string; readonly event: string; readonly data: unknown };

/** `next` is asked for the next frame, until the stream ends. `end` is called once then. */
type Frames = { next(): Promise<Frame | undefined> | Frame | undefined; end(): void };

/** @param begin is called when the first piece is asked for, so that nothing is held for a stream that nobody reads. */
export async function* eventStream(begin: () => Frames, signal: AbortSignal): AsyncGenerator<string> {
  const { next, end } = begin();
  try {
    yield `retry: ${RETRY}\n\n`;
    while (!signal.aborted) {
      const frame = await next();
      if (frame !== undefined) yield `id: ${frame.id}\nevent: ${frame.event}\ndata: ${JSON.stringify(frame.data)}\n\n`;
      await sleep(EVERY, undefined, { signal, ref: false }).catch(() => {});
    }
  } finally {
    end();
  }
}
