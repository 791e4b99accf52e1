/** Which keys do what. */
import { h } from 'preact';
import { useCell } from '../cell.ts';
import { html } from '../html.ts';
import { PAGES } from '../pages.ts';
import { keysOn, switchKeys } from '../router.ts';
import { mayAs } from '../session.ts';
import { t } from '../texts.ts';
import { openDialog } from './dialog.ts';

export function showKeys(): void {
  const letters = PAGES.filter(({ letter, role }) => letter !== undefined && role !== null && mayAs(role));
  const rows: readonly (readonly [string, string])[] = [
    ['/', t('keys.search')],
    ['j k', t('keys.rows')],
    ['Enter', t('keys.open')],
    ['x', t('keys.choose')],
    ...letters.map(({ letter, title }) => [`g ${letter}`, t(title)] as const),
    ['?', t('keys.help')],
  ];
  void openDialog({
    title: t('keys.title'),
    body: (close) => html`
      <dl class="keys">${rows.map(([keys, words]) => html`<div><dt>${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${words}</dd></div>`)}</dl>
      ${h(KeySwitch, {})}
      <div class="buttons"><button class="main" onClick=${() => close()}>${t('dialog.close')}</button></div>
    `,
  });
}

function KeySwitch() {
  const on = useCell(keysOn);
  return html`<label class="check"><input type="checkbox" checked=${on} onClick=${() => switchKeys(!on)} /> ${t('keys.on')}</label>`;
}
