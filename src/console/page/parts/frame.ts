/** What is around each page: the name of the relay, the search, who is logged in, and the way to the other pages. */
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { relayName } from '../api.ts';
import { useCell } from '../cell.ts';
import { html } from '../html.ts';
import { PAGE_GROUPS, PAGES } from '../pages.ts';
import { navigate, place } from '../router.ts';
import { closeSession, mayAs, type PageSession } from '../session.ts';
import { chooseLanguage, language, speak, t } from '../texts.ts';
import { searchHref } from '../url.ts';
import { orTell } from './toast.ts';

export function Header({ who }: { readonly who: PageSession }) {
  const search = useRef<HTMLInputElement>(null);
  const find = (event: Event) => {
    event.preventDefault();
    const text = search.current!.value.trim();
    if (text !== '') navigate(searchHref(text));
    search.current!.blur();
  };
  return html`<header class="top">
    <a class="name" href="/"><b>smarthost</b> <span>${relayName()}</span></a>
    <form role="search" onSubmit=${find}>
      <input ref=${search} id="search" type="search" aria-label=${t('frame.search')} placeholder=${t('frame.searchHint')} aria-keyshortcuts="/" autocomplete="off" spellcheck=${false} />
    </form>
    ${h(AccountMenu, { who })}
  </header>`;
}

/** Closes when something in it was chosen, or the focus goes elsewhere. */
function AccountMenu({ who }: { readonly who: PageSession }) {
  const box = useRef<HTMLDetailsElement>(null);
  const spoken = useCell(language);
  const shut = () => box.current?.removeAttribute('open');
  const leave = (event: FocusEvent) =>
    !box.current?.contains(event.relatedTarget as Node | null) && event.relatedTarget !== null && shut();
  const shutByKey = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    shut();
    box.current?.querySelector('summary')?.focus();
  };
  const other = spoken === 'en' ? 'fr' : 'en';
  const switchLanguage = () => {
    chooseLanguage(other);
    document.documentElement.lang = other;
    void orTell(() => speak(other));
    shut();
  };
  const showHelp = () => {
    shut();
    void orTell(openHelp);
  };
  return html`<details ref=${box} class="menu" onFocusOut=${leave} onKeyDown=${shutByKey}>
    <summary>${who.name}</summary>
    <div onClick=${(event: Event) => (event.target as Element).closest('a') && shut()}>
      <p class="dim">${t(`role.${who.role}`)}</p>
      ${PAGES.some(({ path }) => path === '/account') && html`<a href="/account">${t('page.account')}</a>`}
      <button lang=${other} onClick=${switchLanguage}>${other === 'fr' ? 'Français' : 'English'}</button>
      <button onClick=${showHelp}>${t('keys.title')}</button>
      <button onClick=${() => void orTell(closeSession)}>${t('login.out')}</button>
    </div>
  </details>`;
}

/** @param path of the table of pages. */
export function Navigation({ path }: { readonly path: string }) {
  const [isOpen, open] = useState(false);
  useCell(place);
  useEffect(() => open(false), [path]);
  const shown = PAGES.filter((page) => page.shown && page.role !== null && mayAs(page.role));
  const here = (page: string) => page === path || (page !== '/' && path.startsWith(`${page}/`));
  return html`<nav class="side" aria-label=${t('frame.pages')}>
    <button class="quiet unfold" aria-expanded=${isOpen} onClick=${() => open(!isOpen)}>☰ ${t('frame.pages')}</button>
    <div class=${isOpen ? 'open' : ''}>
      ${PAGE_GROUPS.map((group) => {
        const pages = shown.filter((page) => page.group === group);
        return (
          pages.length > 0 &&
          html`<ul>${pages.map((page) => html`<li><a href=${page.path} aria-current=${here(page.path) ? 'page' : undefined}>${t(page.title)}</a></li>`)}</ul>`
        );
      })}
    </div>
  </nav>`;
}

const openHelp = () => import('./help.ts').then(({ showKeys }) => showKeys());
