/** Moves between pages without loading the shell again: by links, which stay plain links, and by keys for those who like them. */
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

/** Letters alone can be switched off, because programs that type by voice press them by accident. */
const OFF = 'smarthost-keys-off';

export const keysOn = cell(typeof localStorage === 'undefined' || localStorage.getItem(OFF) === null);

export function switchKeys(on: boolean): void {
  keysOn.set(on);
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, 'yes');
}

type Keys = {
  /** Letter → address, after `g`. */
  readonly pages: ReadonlyMap<string, string>;
  readonly help: () => unknown;
};

/** The second key of two must follow soon. */
const PAUSE = 1500;

export function startKeyboard({ pages, help }: Keys): void {
  let goingUntil = 0;
  document.addEventListener('keydown', (event) => {
    if (!keysOn.get() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector('dialog[open]') !== null || isTyping(event.target)) return;
    const going = event.timeStamp < goingUntil;
    goingUntil = 0;
    const page = going ? pages.get(event.key) : undefined;
    if (page !== undefined) navigate(page);
    else if (event.key === 'g') goingUntil = event.timeStamp + PAUSE;
    else if (event.key === '/') document.querySelector<HTMLInputElement>('#search')?.select();
    else if (event.key === '?') help();
    else if (event.key === 'j') moveRow(1);
    else if (event.key === 'k') moveRow(-1);
    else if (event.key === 'x') row()?.querySelector<HTMLInputElement>('input[type=checkbox]')?.click();
    else if (event.key === 'Enter' && document.activeElement === row() && row()?.dataset['row']) navigate(row()!.dataset['row']!);
    else return;
    event.preventDefault();
  });
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || (target.matches('input, textarea, select') && !target.matches('[type=checkbox]')));

/** The row that has the focus, or has it inside. */
const row = () => document.activeElement?.closest<HTMLElement>('[data-row]') ?? null;

function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  const at = rows.indexOf(row()!);
  const next = rows[at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}
