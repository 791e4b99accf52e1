/** Where mail goes: each destination with its load, its rest and its last reply, and what providers think of our addresses. */
import { h } from 'preact';
import { ProviderList } from '../destination/providers.ts';
import { type DestinationRow, destinationMark, sessionWords } from '../destination/words.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange, when } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { mayAs } from '../session.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

const hrefOf = ({ key }: DestinationRow) => pathTo('/destinations', key);

export function DestinationsPage() {
  const { find, state } = useFilters(['find', 'state']);
  const { value, failure, again } = useLoad<{ readonly items: readonly DestinationRow[]; readonly total: number }>(
    '/destinations',
    {
      query: { limit: 500 },
      every: 5000,
    },
  );
  const rows = value?.items.filter((one) => fits(one, find?.toLowerCase(), state));
  return html`
    ${pageHead(t('page.destinations'))}
    <p class="about">${t('destinations.intro')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('destinations.empty'))}
    ${
      value &&
      value.items.length > 0 &&
      filterBar([
        { name: 'find', label: t('destinations.search') },
        {
          ...{ name: 'state', label: t('destinations.state'), kind: 'choice' },
          choices: [
            ['', t('destinations.state.any')],
            ['resting', t('destinations.state.resting')],
            ['waiting', t('destinations.state.waiting')],
          ],
        },
      ])
    }
    ${value && value.items.length > 0 && rows!.length === 0 && emptyNote(t('destinations.none'))}
    ${rows && rows.length > 0 && list(rows)}
    ${value && value.total > value.items.length && html`<p class="dim">${t('destinations.more', { count: value.total - value.items.length })}</p>`}
    ${mayAs('operator') && h(ProviderList, {})}
    ${byCommand('smarthost queue summary', 'smarthost provider list')}
  `;
}

function fits(one: DestinationRow, find: string | undefined, state: string | undefined): boolean {
  if (state === 'resting' && one.rest === null) return false;
  if (state === 'waiting' && one.waiting === 0) return false;
  return find === undefined || [one.key, one.hosts, one.provider].some((text) => text?.toLowerCase().includes(find));
}

const list = (rows: readonly DestinationRow[]) =>
  dataTable({
    label: t('page.destinations'),
    rows,
    key: ({ key }) => key,
    href: hrefOf,
    columns: [
      {
        name: 'key',
        title: t('destinations.destination'),
        cell: (one) =>
          html`<a href=${hrefOf(one)}>${strange(one.key, 80)}</a>${one.provider !== null && html` <span class="dim">${one.provider}</span>`}`,
      },
      { name: 'state', title: t('destinations.state'), cell: destinationMark },
      {
        name: 'waiting',
        title: t('destinations.waiting'),
        kind: 'figure',
        narrow: 'label',
        cell: ({ waiting }) => t('figure', { count: waiting }),
      },
      {
        name: 'oldest',
        title: t('destinations.oldest'),
        kind: 'short',
        narrow: 'label',
        cell: ({ oldestAcceptedAt }) => when(oldestAcceptedAt, 'ago'),
      },
      { name: 'sessions', title: t('destinations.sessions'), kind: 'figure', narrow: 'label', cell: sessionWords },
      {
        name: 'last',
        title: t('destinations.lastReply'),
        kind: 'text',
        cell: ({ heard }) => strange(heard?.last.reply ?? null, 160),
      },
    ],
  });
