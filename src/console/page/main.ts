/** Begins: language, session, and the frame around all pages, which loads the page of the address and asks for a login where one is needed. */
import { type ComponentType, h, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type ApiFailure, keepSession, reachable } from './api.ts';
import { useCell } from './cell.ts';
import { html } from './html.ts';
import { asFailure } from './load.ts';
import { PAGES, type PageEntry, type PageProps } from './pages.ts';
import { failureNote, loadingNote, pageHead } from './parts/basics.ts';
import { Dialogs } from './parts/dialog.ts';
import { Header, Navigation } from './parts/frame.ts';
import { Toasts } from './parts/toast.ts';
import { place, startKeyboard, startRouter } from './router.ts';
import { loadSession, mayAs, pageSession } from './session.ts';
import { bestLanguage, language, loadTexts, speak, t } from './texts.ts';
import { FIRST_RUN, matchPath } from './url.ts';

/** A link that sets a password. What is behind the sign # reaches no log. */
const SETUP = '#setup=';

type Found = { readonly page: PageEntry; readonly params: PageProps['params'] };

function pageAt(path: string): Found | undefined {
  for (const page of PAGES) {
    const params = matchPath(page.path, path);
    if (params !== undefined) return { page, params };
  }
  return undefined;
}

function App() {
  useCell(language);
  const who = useCell(pageSession);
  const { path, hash } = useCell(place);
  const isReachable = useCell(reachable);
  const found = pageAt(who?.firstRun ? FIRST_RUN : path);
  const isOpen = found?.page.role === null || hash.startsWith(SETUP);
  if (who === undefined && !isOpen) return html`<div class="frame bare"><main>${loadingNote()}</main></div>`;
  return html`<div class="frame ${who && !who.firstRun ? '' : 'bare'}">
    <a class="skip" href="#main" onClick=${skip}>${t('frame.skip')}</a>
    ${who && !who.firstRun && h(Header, { who })} ${who && !who.firstRun && h(Navigation, { path: found?.page.path ?? path })}
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
  const { hash } = place.get();
  if (hash.startsWith(SETUP))
    return h(LazyPage, {
      key: hash,
      load: loadSetPassword,
      title: 'page.setPassword',
      group: undefined,
      params: { code: hash.slice(SETUP.length) },
    });
  if (found === undefined)
    return html`${pageHead(t('page.none'))}<p>${t('page.noneAbout')}</p><p><a href="/">${t('page.overview')}</a></p>`;
  const { page, params } = found;
  if (page.role !== null && !isIn)
    return h(LazyPage, { key: 'login', load: loadLogin, title: 'page.login', group: undefined, params: {} });
  if (pageSession.get()?.secondFactorNeeded && page.path !== '/account')
    return html`${pageHead(t('login.factorNeeded'))}<p>${t('login.factorNeededAbout')}</p><p><a class="button" href="/account">${t('page.account')}</a></p>`;
  if (page.role !== null && !mayAs(page.role))
    return html`${pageHead(t(page.title))}<p>${t('page.notAllowed', { role: t(`role.${page.role}`) })}</p>`;
  return h(LazyPage, {
    key: page.path + JSON.stringify(params),
    load: page.load,
    title: page.title,
    group: page.group,
    texts: page.texts,
    params,
  });
}

const loadSetPassword = () => import('./pages/set-password.ts').then(({ SetPasswordPage }) => SetPasswordPage);
const loadLogin = () => import('./pages/login.ts').then(({ LoginPage }) => LoginPage);

type LazyProps = Pick<PageEntry, 'load' | 'title'> & {
  readonly texts?: PageEntry['texts'] | undefined;
  readonly group: PageEntry['group'] | undefined;
  readonly params: PageProps['params'];
};

/** After a move the reader begins at the title of the page, as after loading one. */
function LazyPage({ load, title, group, texts = [], params }: LazyProps) {
  const [page, show] = useState<ComponentType<PageProps>>();
  const [failure, fail] = useState<ApiFailure>();
  useEffect(() => {
    const get = async () => {
      const [loaded] = await Promise.all([load(), group === undefined ? undefined : loadTexts(group, ...texts)]);
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

const chosen = localStorage.getItem('smarthost-language');
const spoken = bestLanguage([...(chosen === null ? [] : [chosen]), ...navigator.languages]);
document.documentElement.lang = spoken;
keepSession({
  csrf: () => pageSession.get()?.csrf,
  again: () => import('./parts/login-again.ts').then(({ loginAgain }) => loginAgain()),
  confirm: () => import('./parts/login-again.ts').then(({ confirmAgain }) => confirmAgain()),
});
startRouter();
startKeyboard({
  pages: new Map(PAGES.flatMap(({ letter, path }) => (letter === undefined ? [] : [[letter, path] as const]))),
  help: () => import('./parts/help.ts').then(({ showKeys }) => showKeys()),
});
// Without an answer there is nothing to show but the login, which says that the relay does not answer.
await Promise.all([speak(spoken), loadSession().catch(() => pageSession.set(null))]);
render(h(App, {}), document.getElementById('app')!);
