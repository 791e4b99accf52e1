/** Who has changed what, the newest first, with the state before and after. */

import { relayNow } from '../api.ts';
import { type ChangedLine, changedLines } from '../changed-lines.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useList } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange, when } from '../parts/basics.ts';
import { dataTable, pager } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { t } from '../texts.ts';

/** `GET /changes` */
type Change = {
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly way: 'session' | 'token' | 'command' | 'relay';
  readonly address: string | null;
  readonly action: string;
  readonly target: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly recipients: number | null;
};

const DAY = 86_400_000;
const SPANS: Readonly<Record<string, number>> = { day: DAY, week: 7 * DAY, month: 30 * DAY };

const DURATIONS: Readonly<Record<string, string>> = { day: '1d', week: '7d', month: '30d' };

const optionsOf = (given: Readonly<Record<string, string | undefined>>) =>
  Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));

export function ChangesPage() {
  const { actor, action, since } = useFilters(['actor', 'action', 'since']);
  const span = SPANS[since ?? ''];
  // A whole minute, so that a look at the same list is the same request.
  const from = span === undefined ? undefined : new Date(Math.floor((relayNow() - span) / 60_000) * 60_000).toISOString();
  const { items, failure, again, more } = useList<Change>('/changes', ({ seq }) => String(seq), {
    query: { actor, action, since: from },
    every: 10_000,
  });
  const isFiltered = actor !== undefined || action !== undefined || since !== undefined;
  return html`
    ${pageHead(t('page.changes'))}
    <p class="about">${t('changes.intro')}</p>
    ${filterBar([
      { name: 'actor', label: t('changes.actor') },
      { name: 'action', label: t('changes.action'), placeholder: t('changes.action.hint') },
      {
        ...{ name: 'since', label: t('changes.since'), kind: 'choice' },
        choices: [
          ['', t('changes.since.all')],
          ['day', t('changes.since.day')],
          ['week', t('changes.since.week')],
          ['month', t('changes.since.month')],
        ],
      },
    ])}
    ${failureNote(failure, again)}
    ${items === undefined && failure === undefined && loadingNote()}
    ${items?.length === 0 && emptyNote(t(isFiltered ? 'changes.none' : 'changes.empty'))}
    ${items && items.length > 0 && html`${list(items)} ${pager({ more, count: items.length })}`}
    ${byCommand(smarthostCommand('changes', ...optionsOf({ actor, action }), ...(since === undefined ? [] : ['--since', DURATIONS[since] ?? '365d'])))}
  `;
}

const list = (rows: readonly Change[]) =>
  dataTable({
    label: t('page.changes'),
    rows,
    key: ({ seq }) => String(seq),
    columns: [
      { name: 'time', title: t('changes.time'), kind: 'short', cell: ({ at }) => when(at) },
      {
        name: 'actor',
        title: t('changes.actor'),
        cell: ({ actor, way, address }) =>
          html`<b>${strange(actor)}</b> <span class="dim">${t(`changes.way.${way}`)}${address !== null && html`, ${strange(address)}`}</span>`,
      },
      { name: 'action', title: t('changes.action'), cell: ({ action }) => html`<code>${action}</code>` },
      {
        name: 'target',
        title: t('changes.target'),
        narrow: 'label',
        cell: ({ target, recipients }) =>
          html`${strange(target, 200)} ${recipients !== null && html`<span class="dim">${t('changes.recipients', { count: recipients })}</span>`}`,
      },
      { name: 'details', title: t('changes.details'), kind: 'text', cell: difference },
    ],
  });

function difference({ before, after }: Change) {
  const lines = changedLines(before, after);
  if (lines.length === 0) return html`<span class="dim">–</span>`;
  const changed = lines.filter(({ sign }) => sign !== ' ');
  const shown = changed.length === 0 ? lines : changed;
  if (lines.length <= 4) return diff(lines);
  return html`<details class="diff-more"><summary>${diff(shown.slice(0, 2))}</summary>${diff(lines)}</details>`;
}

/** The sign is said in words too. */
const diff = (lines: readonly ChangedLine[]) =>
  html`<span class="diff">${lines.map(
    ({ sign, text }) =>
      html`<span class=${sign === '+' ? 'added' : sign === '-' ? 'taken' : 'same'}><span aria-hidden="true">${sign} </span>${sign !== ' ' && html`<span class="hidden">${t(sign === '-' ? 'changes.sign.before' : 'changes.sign.after')} </span>`}${strange(text)}</span>`,
  )}</span>`;
