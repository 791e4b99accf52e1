/** All messages, the newest first, by state, address, subject, login and time. The filter is the address of the page. */
import { useMemo } from 'preact/hooks';
import type { ListedMessage } from '../../../control/control.ts';
import { api, relayNow } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useList } from '../load.ts';
import { useLiveRows } from '../mail/live-rows.ts';
import { addressColumn, lastReplyOf, stateMarks } from '../mail/message-words.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange, tabs, when } from '../parts/basics.ts';
import { type Column, dataTable, pager } from '../parts/data-table.ts';
import { type Filter, filterBar, filterHref, useFilters } from '../parts/filter-bar.ts';
import { filterBy } from '../router.ts';
import { mayAs } from '../session.ts';
import { rich, t } from '../texts.ts';
import { pathTo, queryWith } from '../url.ts';

const HOUR = 3_600_000;
const SPANS: Readonly<Record<string, number>> = {
  '1h': HOUR,
  '1d': 24 * HOUR,
  '2d': 48 * HOUR,
  '7d': 168 * HOUR,
  '30d': 720 * HOUR,
};
const STATES = ['', 'relayed', 'waiting', 'failed,expired', 'held', 'removed'] as const;
const NAMES = ['state', 'from', 'to', 'subject', 'messageId', 'credential', 'destination', 'time', 'live'] as const;
type Filters = Readonly<Record<Exclude<(typeof NAMES)[number], 'live'>, string | undefined>>;

const filters = (): readonly Filter[] => [
  { name: 'to', label: t('messages.to') },
  { name: 'from', label: t('messages.from') },
  { name: 'subject', label: t('messages.subject') },
  { name: 'credential', label: t('messages.credential') },
  { name: 'destination', label: t('messages.destination') },
  {
    ...{ name: 'time', label: t('messages.time'), kind: 'choice' },
    choices: [['', t('messages.always')], ...Object.keys(SPANS).map((span) => [span, t(`span.${span}` as 'span.1h')] as const)],
  },
];

const columns = (): readonly Column<ListedMessage>[] => [
  {
    name: 'at',
    title: t('messages.at'),
    kind: 'short',
    cell: ({ id, acceptedAt }) => html`<a href=${pathTo('/messages', id)}>${when(acceptedAt)}</a>`,
  },
  { name: 'state', title: t('messages.state'), cell: stateMarks },
  {
    name: 'credential',
    title: t('messages.credential'),
    kind: 'address',
    cell: ({ user }) => (user === null ? html`<span class="dim">smarthost</span>` : strange(user)),
  },
  addressColumn(),
  {
    name: 'subject',
    title: t('messages.subject'),
    kind: 'text',
    narrow: 'whole',
    cell: ({ subject }) => (subject === undefined ? '' : strange(subject, 200)),
  },
  {
    name: 'reply',
    title: t('messages.reply'),
    kind: 'text',
    narrow: 'whole',
    cell: (message) => html`<span class="reply">${strange(lastReplyOf(message) ?? '', 200)}</span>`,
  },
];

export function MessagesPage() {
  const { time, live: wanted, ...rest } = useFilters(NAMES);
  const since = useMemo(
    () => (time === undefined || SPANS[time] === undefined ? undefined : new Date(relayNow() - SPANS[time]).toISOString()),
    [time],
  );
  const query = { ...rest, since };
  const isLive = wanted !== 'no';
  const list = useList<ListedMessage>('/messages', ({ id }) => id, { query });
  const live = useLiveRows(isLive, query, list.again);
  const items = list.items && live.merge(list.items);
  const isFiltered = Object.values(rest).some((value) => value !== undefined) || since !== undefined;
  return html`
    ${pageHead(t('page.messages'))}
    ${tabs('messages.state', [
      ...STATES.map((state) => ({
        href: filterHref({ state }),
        words: t(`messages.only.${state === '' ? 'all' : state.split(',')[0]!}` as 'messages.only.all'),
        current: (rest.state ?? '') === state,
      })),
      ...(mayAs('operator') ? [{ href: '/refused', words: t('page.refused'), current: false }] : []),
    ])}
    ${filterBar(
      filters(),
      html`<button type="button" aria-pressed=${isLive} onClick=${() => filterBy({ live: isLive ? 'no' : null }, { replace: true })}>${t('messages.live')}</button>
        <a class="button" download="messages.csv" href=${api.url('/messages.csv', query)}>${t('messages.csv')}</a>`,
    )}
    ${failureNote(list.failure, list.again)}
    ${live.more !== 0 && html`<p role="status">${live.more === null ? t('messages.someMore') : t('messages.more', { count: live.more })} <button onClick=${list.again}>${t('messages.reload')}</button></p>`}
    ${items === undefined && !list.failure && loadingNote()}
    ${items?.length === 0 && list.more === undefined && (isFiltered ? emptyNote(t('messages.noneFound'), searchLinks(rest)) : emptyNote(t('messages.none'), html`<a class="button" href="/credentials">${t('messages.first')}</a>`))}
    ${
      items !== undefined &&
      items.length > 0 &&
      dataTable({
        label: t('page.messages'),
        columns: columns(),
        rows: items,
        key: ({ id }) => id,
        href: ({ id }) => pathTo('/messages', id),
      })
    }
    ${
      items !== undefined &&
      (items.length > 0 || list.more !== undefined) &&
      pager({
        count: items.length,
        more: list.more,
        ...(list.searchedBackTo === undefined
          ? {}
          : { searchedBackTo: rich('pager.searched', { time: when(list.searchedBackTo) }) }),
      })
    }
    ${byCommand(commandOf({ ...rest, time }))}
  `;
}

/** The same filter for the command line. */
function commandOf({ state, to, from, subject, credential, destination, messageId, time }: Filters): string {
  if (messageId !== undefined) return smarthostCommand('trace', messageId);
  const options = {
    '--to': to,
    '--from': from,
    '--subject': subject,
    '--user': credential,
    '--destination': destination,
    '--since': time,
  };
  const states = (state ?? '')
    .replace('waiting', 'queued,delayed,uncertain')
    .split(',')
    .filter((one) => one !== '');
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  const words = [...given, ...states.flatMap((one) => ['--state', one])];
  return smarthostCommand('trace', ...(words.length === 0 ? ['--since', '2d'] : words));
}

type Sought = Readonly<Partial<Record<'to' | 'from' | 'subject' | 'messageId', string | undefined>>>;

/** Where nothing was found by recipient: the same text as something else. */
function searchLinks({ to, from, subject, messageId }: Sought) {
  const text = to ?? from ?? subject ?? messageId;
  if (text === undefined) return null;
  const others = (['to', 'from', 'subject', 'messageId'] as const).filter(
    (name) => ({ to, from, subject, messageId })[name] !== text,
  );
  return html`<span class="actions">${t('messages.elsewhere')} ${others.map((name) => html`<a href="/messages${queryWith('', { [name]: text })}">${t(`messages.${name}`)}</a>`)}</span>`;
}
