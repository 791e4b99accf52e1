/** The frame around all pages: loads the page of the address with its texts, and asks for a login where one is needed. */
import { type ComponentType, h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type ApiFailure, reachable } from './api.ts';
import { useCell } from './cell.ts';
import { html } from './html.ts';
import { asFailure } from './load.ts';
import { PAGES, type PageEntry, type PageProps } from './pages.ts';
import { failureNote, loadingNote, pageHead } from './parts/basics.ts';
import { Dialogs } from './parts/dialog.ts';
import { Header, Navigation } from './parts/frame.ts';
import { Toasts } from './parts/toast.ts';
import { place } from './router.ts';
import { mayAs, pageSession } from './session.ts';
import { language, loadTexts, t } from './texts.ts';
import { matchPath } from './url.ts';

type Found = { readonly page: PageEntry; readonly params: PageProps['params'] };

function pageAt(path: string): Found | undefined {
  for (const page of PAGES) {
    const params = matchPath(page.path, path);
    if (params !== undefined) return { page, params };
  }
  return undefined;
}

export function App() {
  useCell(language);
  const who = useCell(pageSession);
  const { path } = useCell(place);
  const isReachable = useCell(reachable);
  const found = pageAt(path);
  const isOpen = found?.page.role === null;
  if (who === undefined && !isOpen) return html`<div class="frame bare"><main>${loadingNote()}</main></div>`;
  return html`<div class="frame ${who ? '' : 'bare'}">
    <a class="skip" href="#main" onClick=${skip}>${t('frame.skip')}</a>
    ${who && h(Header, { who })} ${who && h(Navigation, { path: found?.page.path ?? path })}
    <main id="main">
      ${!isReachable && html`<p class="unreachable" role="status"><span class="sign" aria-hidden="true">▲</span> ${t('failure.unreachable')}</p>`}
      ${content(found, who !== null && who !== undefined)}
    </main>
    ${h(Dialogs, {})} ${h(Toasts, {})}
  </div>`;
}

function skip(event: Event) {
  event.preventDefault();
  document.querySelector<HTMLElement>('main h1')?.focus();
}

function content(found: Found | undefined, isIn: boolean) {
  if (found === undefined)
    return html`${pageHead(t('page.none'))}<p>${t('page.noneAbout')}</p><p><a href="/">${t('page.overview')}</a></p>`;
  const { page, params } = found;
  if (page.role !== null && !isIn)
    return h(LazyPage, { key: 'login', load: loadLogin, title: 'page.login', group: undefined, params: {} });
  if (page.role !== null && !mayAs(page.role))
    return html`${pageHead(t(page.title))}<p>${t('page.notAllowed', { role: t(`role.${page.role}`) })}</p>`;
  return h(LazyPage, { key: page.path + JSON.stringify(params), load: page.load, title: page.title, group: page.group, params });
}

const loadLogin = () => import('./pages/login.ts').then(({ LoginPage }) => LoginPage);

type LazyProps = Pick<PageEntry, 'load' | 'title'> & {
  readonly group: PageEntry['group'] | undefined;
  readonly params: PageProps['params'];
};

/** After a move the reader begins at the title of the page, as after loading one. */
function LazyPage({ load, title, group, params }: LazyProps) {
  const [page, show] = useState<ComponentType<PageProps>>();
  const [failure, fail] = useState<ApiFailure>();
  useEffect(() => {
    const get = async () => {
      const [loaded] = await Promise.all([load(), group === undefined ? undefined : loadTexts(group)]);
      show(() => loaded);
    };
    get().catch((error) => fail(asFailure(error)));
  }, []);
  useEffect(() => {
    document.title = `${t(title)} – smarthost`;
    if (page === undefined || document.activeElement !== document.body) return;
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [page, title]);
  if (failure !== undefined) return html`${pageHead(t(title))}${failureNote(failure, () => location.reload())}`;
  return page === undefined ? html`${pageHead(t(title))}${loadingNote()}` : h(page, { params });
}
