/**
 * Events as they happen. A browser opens six connections to a host, so it has one stream for all its windows: the window that holds a lock reads
 * it and passes it on. A window that is not seen reads none. Where another window follows something else, this one asks from time to time.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from './api.ts';
import { useEvery } from './load.ts';

/** `live`: events come. `asking`: another window has the stream for something else. */
export type StreamState = 'off' | 'opening' | 'live' | 'asking';

type StreamEvent = { readonly type: string; readonly data: string };
type Follow = {
  /** The names of events. */
  readonly types: readonly string[];
  readonly hear: (type: string, data: unknown) => void;
  /** Called while events do not come, and after each gap. */
  readonly ask: () => unknown;
};

const LOCK = 'smarthost-stream';
const ASKING = 5000;

/** @param path below the API, with its query. null: nothing is followed. */
export function useStream(path: string | null, query: Readonly<Record<string, string | undefined>>, follow: Follow): StreamState {
  const url = path === null ? null : api.url(path, query);
  const [state, show] = useState<StreamState>('off');
  const latest = useRef(follow);
  latest.current = follow;
  const seen = useSeen();

  useEffect(() => {
    if (url === null || !seen) return show('off');
    show('opening');
    const hear = ({ type, data }: StreamEvent) => latest.current.hear(type, JSON.parse(data));
    return followStream(url, latest.current.types, hear, (is) => {
      show(is);
      if (is === 'live') latest.current.ask();
    });
  }, [url, seen]);
  useEvery(state === 'asking' ? ASKING : undefined, () => latest.current.ask());
  return state;
}

function useSeen(): boolean {
  const [seen, show] = useState(document.visibilityState === 'visible');
  useEffect(() => {
    const look = () => show(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return seen;
}

/** Reads the stream if this window gets the lock, else hears the window that has it. Returns what ends it. */
function followStream(
  url: string,
  types: readonly string[],
  hear: (event: StreamEvent) => void,
  tell: (state: StreamState) => void,
) {
  const ended = new AbortController();
  const channel = new BroadcastChannel(LOCK);
  channel.onmessage = ({ data }: MessageEvent<{ url: string; event?: StreamEvent; asked?: true }>) => {
    if (data.url !== url) return;
    tell('live');
    if (data.event !== undefined) hear(data.event);
  };
  const read = () =>
    new Promise<void>((resolve) => {
      const source = new EventSource(url);
      source.onopen = () => {
        tell('live');
        channel.postMessage({ url });
      };
      source.onerror = () => tell('asking');
      for (const type of types)
        source.addEventListener(type, ({ data }) => {
          hear({ type, data });
          channel.postMessage({ url, event: { type, data } });
        });
      ended.signal.addEventListener('abort', () => {
        source.close();
        resolve();
      });
    });
  if (navigator.locks === undefined) void read();
  else {
    tell('asking');
    navigator.locks.request(LOCK, { signal: ended.signal }, read).catch(() => {});
  }
  return () => {
    ended.abort();
    channel.close();
  };
}
