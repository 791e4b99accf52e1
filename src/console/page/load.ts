/** What a page shows of the API: loaded, kept while it is loaded again, and looked at again only while somebody sees it. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure, api, relayNow } from './api.ts';

type LoadedAnswer<T> = {
  /** The last answer, also while a later one fails. */
  readonly value: T | undefined;
  readonly failure: ApiFailure | undefined;
  /** When `value` came. */
  readonly at: number | undefined;
  readonly busy: boolean;
  /** Loads again at once. */
  again(): Promise<void>;
};

type Query = Readonly<Record<string, string | number | undefined>>;

type LoadOptions = {
  readonly query?: Query;
  /** ms between looks. Absent: once. */
  readonly every?: number;
};

/** @param path null: nothing is asked. */
export function useLoad<T>(path: string | null, { query = {}, every }: LoadOptions = {}): LoadedAnswer<T> {
  const key = path === null ? null : api.url(path, query);
  const [state, show] = useState<{ key: string | null } & Omit<LoadedAnswer<T>, 'again'>>(NOTHING);
  const running = useRef<AbortController>(undefined);

  const again = useCallback(async () => {
    if (path === null) return;
    running.current?.abort();
    const own = (running.current = new AbortController());
    show((before) => ({ ...(before.key === key ? before : NOTHING), key, busy: true }));
    try {
      const value = await api.get<T>(path, query, { signal: own.signal });
      if (!own.signal.aborted) show({ key, value, failure: undefined, at: relayNow(), busy: false });
    } catch (error) {
      if (own.signal.aborted) return;
      const failure = asFailure(error);
      show((before) => ({ ...(before.key === key ? before : NOTHING), key, failure, busy: false }));
    }
  }, [key]);

  useEffect(() => {
    void again();
    return () => running.current?.abort();
  }, [again]);
  useEvery(every, again);
  const shown = state.key === key ? state : NOTHING;
  return { value: shown.value, failure: shown.failure, at: shown.at, busy: shown.busy, again };
}

const NOTHING = { key: null, value: undefined, failure: undefined, at: undefined, busy: false };

/** Calls while the page is seen, and at once when it is seen again. @param ms undefined: never. */
export function useEvery(ms: number | undefined, act: () => unknown): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    if (ms === undefined) return;
    const seen = () => document.visibilityState === 'visible';
    const timer = setInterval(() => seen() && latest.current(), ms);
    const back = () => seen() && latest.current();
    document.addEventListener('visibilitychange', back);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', back);
    };
  }, [ms]);
}

export type ListPage<T> = { readonly items: readonly T[]; readonly next: string | null; readonly searchedBackTo?: string | null };

type LoadedList<T> = Omit<LoadedAnswer<ListPage<T>>, 'value'> & {
  /** undefined: nothing has come yet. */
  readonly items: readonly T[] | undefined;
  readonly searchedBackTo: string | undefined;
  /** undefined: there is no more. */
  readonly more: (() => Promise<void>) | undefined;
};

/** A list of which the newest page is looked at again, and of which older pages are added by hand. @param key names a row. */
export function useList<T>(path: string, key: (row: T) => string, options: LoadOptions = {}): LoadedList<T> {
  const first = useLoad<ListPage<T>>(path, options);
  const url = api.url(path, options.query);
  const [older, show] = useState<{ url: string; pages: readonly ListPage<T>[]; failure?: ApiFailure }>({ url, pages: [] });
  const mine = older.url === url ? older : { url, pages: [] };
  const last = mine.pages.at(-1) ?? first.value;
  const next = last?.next ?? null;
  const more = async () => {
    try {
      const page = await api.get<ListPage<T>>(path, { ...options.query, before: next ?? undefined });
      show({ url, pages: [...mine.pages, page] });
    } catch (error) {
      show({ ...mine, failure: asFailure(error) });
    }
  };
  const items = first.value && unique([...first.value.items, ...mine.pages.flatMap((page) => page.items)], key);
  return {
    ...{ items, at: first.at, busy: first.busy, again: first.again },
    failure: ('failure' in mine ? mine.failure : undefined) ?? first.failure,
    searchedBackTo: last?.searchedBackTo ?? undefined,
    more: next === null ? undefined : more,
  };
}

/** A row that moved from one page to the next between two looks is shown once, as it was seen last. */
function unique<T>(rows: readonly T[], key: (row: T) => string): readonly T[] {
  const seen = new Map<string, T>();
  for (const row of rows) if (!seen.has(key(row))) seen.set(key(row), row);
  return [...seen.values()];
}

/** One action at a time: a button that was pressed twice acts once. */
export function useAction(): { readonly busy: boolean; run(action: () => Promise<void>): Promise<void> } {
  const [busy, show] = useState(false);
  const under = useRef(false);
  const run = async (action: () => Promise<void>) => {
    if (under.current) return;
    under.current = true;
    show(true);
    try {
      await action();
    } finally {
      under.current = false;
      show(false);
    }
  };
  return { busy, run };
}

/** A fault of the page itself is told too, and heard by the console of the browser. */
export function asFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  reportError(error);
  return new ApiFailure(0, error instanceof Error ? error.message : String(error));
}
