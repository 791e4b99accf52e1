/** What a list says of one message: states of its recipients, to whom, and what was said last. */
import type { ListedMessage } from '../../../control/control.ts';
import { numberText } from '../format.ts';
import { html } from '../html.ts';
import { stateMark, strange } from '../parts/basics.ts';
import type { Column } from '../parts/data-table.ts';
import { t } from '../texts.ts';

/** What an operator looks for comes first. */
const ORDER = ['failed', 'expired', 'held', 'uncertain', 'delayed', 'queued', 'active', 'removed', 'relayed'];

type Counted = { readonly states: Readonly<Record<string, number | undefined>> };

export const recipientCount = ({ states }: Counted): number => statesOf({ states }).reduce((sum, [, count]) => sum + count, 0);

/** Recipients by state, the worst first. */
function statesOf({ states }: Counted): readonly (readonly [state: string, count: number])[] {
  return Object.entries(states)
    .flatMap(([state, count = 0]) => (count > 0 ? [[state, count] as const] : []))
    .sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
}

/** One state of one recipient is the word alone. */
export function stateMarks(message: Counted) {
  const states = statesOf(message);
  const isOne = states.length === 1 && states[0]![1] === 1;
  return html`<span class="states">${states.map(([state, count]) => html`<span>${stateMark(state)}${!isOne && html` ${numberText(count)}`}</span>`)}</span>`;
}

/** The first recipient, and how many more. */
function recipientWords({ recipients, states }: Pick<ListedMessage, 'recipients' | 'states'>) {
  const count = recipientCount({ states });
  const first = recipients[0]?.recipient;
  return html`${first === undefined ? '–' : strange(first)}${count > 1 && html` <span class="dim">${t('messages.others', { count: count - 1 })}</span>`}`;
}

/** From whom, and below it to whom: two lines take less room than two columns. */
export const addressColumn = (): Column<ListedMessage> => ({
  name: 'addresses',
  title: t('messages.addresses'),
  kind: 'address',
  narrow: 'whole',
  cell: (message) =>
    html`<div>${senderWords(message.reversePath)}</div><div><span class="dim" aria-hidden="true">→\u00a0</span>${recipientWords(message)}</div>`,
});

/** The empty reverse-path of reports has a word, because a blank says nothing. */
export const senderWords = (reversePath: string) =>
  reversePath === '' ? html`<span class="dim">${t('messages.nullSender')}</span>` : strange(reversePath);

/** Of the recipient that an operator looks for. */
export function lastReplyOf({ recipients }: Pick<ListedMessage, 'recipients'>): string | null {
  const worst = recipients
    .toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    .find(({ lastReply }) => lastReply !== null);
  return worst?.lastReply ?? null;
}
