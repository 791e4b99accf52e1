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
import { language, loadTexts, readersLanguage, speak, t } from './texts.ts';
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

/** What is shown, where it is a module of its own. */
function lazyAt(found: Found | undefined, isIn: boolean): (LazyProps & { readonly key: string }) | undefined {
  const { hash } = place.get();
  if (hash.startsWith(SETUP))
    return {
      ...{ key: hash, load: loadSetPassword, title: 'page.setPassword', group: undefined },
      params: { code: hash.slice(SETUP.length) },
    };
  if (found === undefined) return undefined;
  const { page, params } = found;
  if (page.role !== null && !isIn) return { key: 'login', load: loadLogin, title: 'page.login', group: undefined, params: {} };
  if (pageSession.get()?.secondFactorNeeded && page.path !== '/account') return undefined;
  if (page.role !== null && !mayAs(page.role)) return undefined;
  const { load, title, group, texts } = page;
  return { key: page.path + JSON.stringify(params), load, title, group, texts, params };
}

function content(found: Found | undefined, isIn: boolean) {
  const lazy = lazyAt(found, isIn);
  if (lazy !== undefined) return h(LazyPage, lazy);
  if (found === undefined)
    return html`${pageHead(t('page.none'))}<p>${t('page.noneAbout')}</p><p><a href="/">${t('page.overview')}</a></p>`;
  const { role, title } = found.page;
  if (pageSession.get()?.secondFactorNeeded)
    return html`${pageHead(t('login.factorNeeded'))}<p>${t('login.factorNeededAbout')}</p><p><a class="button" href="/account">${t('page.account')}</a></p>`;
  return html`${pageHead(t(title))}<p>${t('page.notAllowed', { role: t(`role.${role!}`) })}</p>`;
}

const loadSetPassword = () => import('./pages/set-password.ts').then(({ SetPasswordPage }) => SetPasswordPage);
const loadLogin = () => import('./pages/login.ts').then(({ LoginPage }) => LoginPage);

type LazyProps = Pick<PageEntry, 'load' | 'title'> & {
  readonly texts?: PageEntry['texts'] | undefined;
  readonly group: PageEntry['group'] | undefined;
  readonly params: PageProps['params'];
};

/** Those that have come, by what loads them. They are drawn at once. */
const ready = new Map<PageEntry['load'], ComponentType<PageProps>>();

async function prepare({ load, group, texts = [] }: Pick<LazyProps, 'load' | 'group' | 'texts'>): Promise<void> {
  const [loaded] = await Promise.all([load(), group === undefined ? undefined : loadTexts(group, ...texts)]);
  ready.set(load, loaded);
}

/** After a move the reader begins at the title of the page, as after loading one. */
function LazyPage({ load, title, group, texts = [], params }: LazyProps) {
  const [page, show] = useState(() => ready.get(load));
  const [failure, fail] = useState<ApiFailure>();
  useEffect(() => {
    if (page !== undefined) return;
    prepare({ load, group, texts }).then(
      () => show(() => ready.get(load)),
      (error) => fail(asFailure(error)),
    );
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

const spoken = readersLanguage();
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
void begin();

/** The page of the address comes while the relay is asked who looks at it, so that what the document shows is replaced once, by all of it. */
async function begin(): Promise<void> {
  const app = document.getElementById('app')!;
  // Without an answer there is nothing to show but the login, which says that the relay does not answer.
  const known = Promise.all([speak(spoken), loadSession().catch(() => pageSession.set(null))]);
  const likely = app.querySelector('.bare') === null ? pageAt(place.get().path)?.page : undefined;
  const early = likely && prepare(likely).catch(() => {}); // it is tried again where it is shown
  await known;
  await early;
  const who = pageSession.get();
  const lazy = lazyAt(pageAt(who?.firstRun ? FIRST_RUN : place.get().path), who !== null);
  if (lazy !== undefined) await prepare(lazy).catch(() => {});
  app.replaceChildren();
  render(h(App, {}), app);
}
