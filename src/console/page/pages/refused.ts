/** What the relay has not taken from clients, and why: wrong logins, foreign senders, limits, sizes. */
import type { ApiRefusal } from '../../api/refusals.ts';
import { smarthostCommand } from '../command-line.ts';
import { numberText } from '../format.ts';
import { html } from '../html.ts';
import { useList } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange, when } from '../parts/basics.ts';
import { type Column, dataTable, pager } from '../parts/data-table.ts';
import { filterBar, filterHref, useFilters } from '../parts/filter-bar.ts';
import { t } from '../texts.ts';

const POLL = 5000;

const columns = (): readonly Column<ApiRefusal>[] => [
  { name: 'at', title: t('messages.at'), kind: 'short', cell: ({ until }) => when(until) },
  {
    name: 'count',
    title: t('refused.count'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ count, at }) =>
      count === 1 ? '1' : html`${numberText(count)} <span class="dim">${t('refused.since')} ${when(at)}</span>`,
  },
  { name: 'ip', title: t('refused.client'), kind: 'short', cell: ({ ip }) => html`<a href=${filterHref({ ip })}>${ip}</a>` },
  {
    name: 'credential',
    title: t('messages.credential'),
    cell: ({ user }) =>
      user === null
        ? html`<span class="dim">–</span>`
        : html`<a href=${filterHref({ credential: user })}>${strange(user, 80)}</a>`,
  },
  { name: 'verb', title: t('refused.verb'), kind: 'short', cell: ({ verb }) => strange(verb, 20) },
  {
    name: 'what',
    title: t('refused.what'),
    narrow: 'whole',
    cell: ({ reversePath, recipient }) =>
      html`${reversePath !== null && strange(reversePath, 120)}${recipient !== null && html` → ${strange(recipient, 120)}`}`,
  },
  {
    name: 'reply',
    title: t('messages.reply'),
    kind: 'text',
    narrow: 'whole',
    cell: ({ reply }) => html`<span class="reply">${strange(reply, 400)}</span>`,
  },
];

export function RefusedPage() {
  const query = useFilters(['credential', 'ip']);
  const list = useList<ApiRefusal>('/refusals', keyOf, { query, every: POLL });
  const { items } = list;
  const words = [
    ...(query.credential === undefined ? [] : ['--user', query.credential]),
    ...(query.ip === undefined ? [] : ['--ip', query.ip]),
  ];
  return html`
    ${pageHead(t('page.refused'))}
    <p class="dim">${t('refused.about')}</p>
    ${filterBar([
      { name: 'credential', label: t('messages.credential') },
      { name: 'ip', label: t('refused.client') },
    ])}
    ${failureNote(list.failure, list.again)} ${items === undefined && !list.failure && loadingNote()}
    ${items?.length === 0 && emptyNote(t('refused.none'))}
    ${items !== undefined && items.length > 0 && [dataTable({ label: t('page.refused'), columns: columns(), rows: items, key: keyOf }), pager({ count: items.length, more: list.more })]}
    ${byCommand(smarthostCommand('refused', ...words))}
  `;
}

/** Those of the last seconds have no number yet. */
const keyOf = ({ seq, session, at, verb, reply, recipient }: ApiRefusal) =>
  seq === null ? [session, at, verb, recipient ?? '', reply].join(' ') : String(seq);
