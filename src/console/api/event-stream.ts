/** Frames of an event stream, made at most each half second, so that a flood costs each browser no more than a list. */

/** Milliseconds. */
const EVERY = 500;
/** After the end of a connection a browser waits so long, in milliseconds. */
const RETRY = 2000;

/** One frame. `id`: what a browser says when it comes again. `data`: JSON. undefined: there is nothing to say now. */
type Frame = { readonly id: string; readonly event: string; readonly data: string };

/** `next` is asked for the next frame, until the stream ends. `end` is called once then. */
type Frames = { next(): Promise<Frame | undefined> | Frame | undefined; end(): void };

/** @param begin is called when the first piece is asked for, so that nothing is held for a stream that nobody reads. */
export async function* eventStream(begin: () => Frames, signal: AbortSignal): AsyncGenerator<string> {
  const { next, end } = begin();
  try {
    yield `retry: ${RETRY}\n\n`;
    while (!signal.aborted) {
      const frame = await next();
      if (frame !== undefined) yield `id: ${frame.id}\nevent: ${frame.event}\ndata: ${frame.data}\n\n`;
      await turn(signal);
    }
  } finally {
    end();
  }
}

const waiting = new Set<() => void>();
/** A turn may come for which nobody waits any more. */
let isComing = false;

/** All streams have their turn at the same moment, so that those that ask the same can share the answer. */
function turn(signal: AbortSignal): Promise<void> {
  if (!isComing) setTimeout(wakeAll, EVERY).unref();
  isComing = true;
  return new Promise((resolve) => {
    const wake = () => {
      waiting.delete(wake);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    waiting.add(wake);
    signal.addEventListener('abort', wake);
  });
}

function wakeAll(): void {
  isComing = false;
  for (const wake of [...waiting]) wake();
}
