/** The mail that waits: by destination, by login, or message by message; and what can be done to it. */
import { h } from 'preact';
import type { ListedMessage, QueuedGroup } from '../../../control/control.ts';
import type { ApiQueueGroup } from '../../api/queue-list.ts';
import { smarthostCommand } from '../command-line.ts';
import { numberText } from '../format.ts';
import { html } from '../html.ts';
import { useAction, useList } from '../load.ts';
import { addressColumn, lastReplyOf, stateMarks } from '../mail/message-words.ts';
import { actOnQueue, type MailAction, type MailSelection } from '../mail/queue-actions.ts';
import { byCommand, emptyNote, failureNote, loadingNote, mark, pageHead, strange, tabs, when } from '../parts/basics.ts';
import { type Column, dataTable, pager, useSelection } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { mayAs } from '../session.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

const POLL = 10_000;
const WAYS = ['destination', 'credential', 'message'] as const;
const ACTIONS: readonly MailAction[] = ['retry', 'hold', 'release', 'reroute', 'remove'];
type Way = (typeof WAYS)[number];

export function QueuePage() {
  const { by } = useFilters(['by']);
  const way: Way = by === 'credential' || by === 'message' ? by : 'destination';
  return html`
    ${pageHead(t('page.queue'))}
    ${tabs(
      'queue.by',
      WAYS.map((one) => ({
        href: `/queue${one === 'destination' ? '' : `?by=${one}`}`,
        words: t(`queue.by.${one}`),
        current: one === way,
      })),
    )}
    ${way === 'message' ? h(Messages, { key: way }) : h(Groups, { key: way, way })}
  `;
}

function Groups({ way }: { readonly way: Exclude<Way, 'message'> }) {
  const list = useList<ApiQueueGroup>('/queue', nameOf, { query: { by: way, limit: 500 }, every: POLL });
  const { items } = list;
  const selection = useSelection(items?.map(nameOf));
  const chosen = items?.filter((row) => selection.chosen.has(nameOf(row))) ?? [];
  const sum = (field: 'recipients' | 'messages') => chosen.reduce((total, one) => total + one[field], 0);
  const selections: readonly MailSelection[] = chosen.map(({ name }) =>
    way === 'destination' ? { destination: name ?? '' } : { user: name ?? '' },
  );
  return html`
    ${failureNote(list.failure, list.again)} ${items === undefined && !list.failure && loadingNote()}
    ${items?.length === 0 && emptyNote(t('queue.none'))}
    ${
      items !== undefined &&
      items.length > 0 && [
        dataTable({
          label: t('page.queue'),
          columns: groupColumns(way),
          rows: items,
          key: nameOf,
          rowName: nameOf,
          choosable: ({ name }) => name !== null,
          ...(mayAs('operator') ? { selection } : {}),
        }),
        h(Bar, {
          selections,
          words:
            chosen.length === 0
              ? t('queue.choose')
              : rich('queue.chosen', { count: sum('recipients'), messages: t('queue.messages', { count: sum('messages') }) }),
          done: list.again,
        }),
      ]
    }
    ${byCommand('smarthost queue summary', smarthostCommand('queue', 'retry', way === 'destination' ? '--destination' : '--user', chosen[0]?.name ?? 'NAME'))}
  `;
}

const nameOf = ({ name }: Pick<QueuedGroup, 'name'>) => name ?? 'smarthost';

const groupColumns = (way: Exclude<Way, 'message'>): readonly Column<ApiQueueGroup>[] => [
  {
    ...{ name: 'name', title: t(`queue.by.${way}`), narrow: 'whole' },
    cell: ({ name }) =>
      name === null ? 'smarthost' : html`<a href="/queue?by=message&${way}=${encodeURIComponent(name)}">${strange(name)}</a>`,
  },
  {
    name: 'recipients',
    title: t('queue.waiting'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ recipients }) => numberText(recipients),
  },
  {
    name: 'oldest',
    title: t('queue.oldest'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ oldestAcceptedAt }) => when(oldestAcceptedAt, 'ago'),
  },
  {
    name: 'next',
    title: t('queue.next'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ nextAttemptAt }) => when(nextAttemptAt, 'until'),
  },
  {
    ...{ name: 'state', title: t('messages.state') },
    cell: ({ states, rest }) =>
      rest === null
        ? stateMarks({ states })
        : mark('wait', html`${t('queue.rests', { count: rest.failures })} ${when(rest.until, 'until')}`, '⏸'),
  },
  {
    name: 'reply',
    title: t('messages.reply'),
    kind: 'text',
    narrow: 'whole',
    cell: ({ lastReply }) => html`<span class="reply">${strange(lastReply ?? '', 240)}</span>`,
  },
];

const FILTERS = ['state', 'to', 'from', 'credential', 'destination'] as const;

function Messages() {
  const query = useFilters(FILTERS);
  const list = useList<ListedMessage>('/queue', ({ id }) => id, { query: { by: 'message', ...query }, every: POLL });
  const { items } = list;
  const selection = useSelection(items?.map(({ id }) => id));
  const ids = [...selection.chosen];
  const states = [
    ['', t('messages.only.all')],
    ['held', t('state.held')],
    ['delayed', t('state.delayed')],
    ['queued', t('state.queued')],
    ['uncertain', t('state.uncertain')],
  ] as const;
  return html`
    ${filterBar([
      { name: 'state', label: t('messages.state'), kind: 'choice', choices: states },
      { name: 'to', label: t('messages.to') },
      { name: 'from', label: t('messages.from') },
      { name: 'credential', label: t('messages.credential') },
      { name: 'destination', label: t('messages.destination') },
    ])}
    ${failureNote(list.failure, list.again)} ${items === undefined && !list.failure && loadingNote()}
    ${items?.length === 0 && list.more === undefined && emptyNote(Object.values(query).some((value) => value !== undefined) ? t('messages.noneFound') : t('queue.none'))}
    ${
      items !== undefined &&
      items.length > 0 && [
        dataTable({
          label: t('page.queue'),
          columns: messageColumns(),
          rows: items,
          key: ({ id }) => id,
          href: ({ id }) => pathTo('/messages', id),
          ...(mayAs('operator') ? { selection } : {}),
        }),
        h(Bar, {
          selections: ids.length === 0 ? [] : [{ ids }],
          words: ids.length === 0 ? t('queue.choose') : t('queue.messages', { count: ids.length }),
          done: list.again,
        }),
        pager({
          count: items.length,
          more: list.more,
          ...(list.searchedBackTo === undefined
            ? {}
            : { searchedBackTo: rich('pager.searched', { time: when(list.searchedBackTo) }) }),
        }),
      ]
    }
    ${byCommand(smarthostCommand('queue', 'list', ...(query.state === undefined ? [] : ['--state', query.state])), ids[0] === undefined ? 'smarthost queue show ID' : smarthostCommand('queue', 'show', ids[0]))}
  `;
}

const messageColumns = (): readonly Column<ListedMessage>[] => [
  {
    name: 'at',
    title: t('messages.at'),
    kind: 'short',
    cell: ({ id, acceptedAt }) => html`<a href=${pathTo('/messages', id)}>${when(acceptedAt)}</a>`,
  },
  { name: 'state', title: t('messages.state'), cell: stateMarks },
  addressColumn(),
  {
    name: 'next',
    title: t('queue.next'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ recipients }) =>
      when(
        recipients
          .map(({ nextAttemptAt }) => nextAttemptAt)
          .filter((at) => at !== null)
          .sort()[0],
        'until',
      ),
  },
  {
    name: 'reply',
    title: t('messages.reply'),
    kind: 'text',
    narrow: 'whole',
    cell: (message) => html`<span class="reply">${strange(lastReplyOf(message) ?? '', 200)}</span>`,
  },
];

type BarProps = { readonly selections: readonly MailSelection[]; readonly words: unknown; readonly done: () => unknown };

/** What was chosen, and what to do with it. It stays in sight below a long table. */
function Bar({ selections, words, done }: BarProps) {
  const { busy, run } = useAction();
  if (!mayAs('operator')) return null;
  const isOff = busy || selections.length === 0;
  const act = (action: MailAction) =>
    run(async () => {
      if (selections.length > 0 && (await actOnQueue(action, ...selections))) await done();
    });
  return html`<div class="bar" role="group" aria-label=${t('queue.actions')}>
    <span role="status">${words}</span>
    <span class="buttons">${ACTIONS.map((action) => html`<button class=${action === 'remove' ? 'danger' : ''} aria-disabled=${isOff} onClick=${() => act(action)}>${t(`queue.${action}`)}</button>`)}</span>
  </div>`;
}
