/** Moves between pages without loading the shell again. Links stay plain links: this listens for clicks on them. */
import { cell } from './cell.ts';
import { queryWith } from './url.ts';

type Place = { readonly path: string; readonly query: string; readonly hash: string };

const current = (): Place => ({ path: location.pathname, query: location.search, hash: location.hash });

export const place = cell<Place>(typeof location === 'undefined' ? { path: '/', query: '', hash: '' } : current());

type Going = {
  /** Leaves no entry in the history of the browser: for filters while they are typed. */
  readonly replace?: boolean;
};

export function navigate(url: string, { replace = false }: Going = {}): void {
  if (url === location.pathname + location.search + location.hash) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  place.set(current());
}

/** Changes the filter of the page that is shown. An empty value takes its name out. */
export function filterBy(changes: Readonly<Record<string, string | null | undefined>>, going?: Going): void {
  navigate(place.get().path + queryWith(place.get().query, changes), going);
}

export function startRouter(): void {
  addEventListener('popstate', () => place.set(current()));
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/') || link.pathname.startsWith('/assets/')) return;
    if (link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    navigate(link.pathname + link.search + link.hash);
  });
}
