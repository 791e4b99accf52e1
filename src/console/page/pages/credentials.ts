/** Who may send: all credentials, with their state and what they have used. */
import {
  credentialMark,
  credentialState,
  kindWords,
  type ListedCredential,
  lastLogin,
  nearestLimit,
} from '../credential/words.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

const hrefOf = ({ name }: ListedCredential) => pathTo('/credentials', name);

export function CredentialsPage() {
  const { find, state } = useFilters(['find', 'state']);
  const { value, failure, again } = useLoad<{ readonly items: readonly ListedCredential[] }>('/credentials', { every: 10_000 });
  const rows = value?.items.filter((one) => fits(one, find?.toLowerCase(), state));
  const add = html`<a class="button main" href="/new-credential">${t('credentials.add')}</a>`;
  return html`
    ${pageHead(t('page.credentials'), value && value.items.length > 0 ? add : undefined)}
    <p class="about">${t('credentials.intro')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('credentials.empty'), add)}
    ${value && value.items.length > 0 && filterBar(FILTERS())}
    ${value && value.items.length > 0 && (rows!.length === 0 ? emptyNote(t('credentials.none')) : list(rows!))}
    ${byCommand('smarthost user list')}
  `;
}

const FILTERS = () => [
  { name: 'find', label: t('credentials.search') },
  {
    ...{ name: 'state', label: t('credentials.state'), kind: 'choice' as const },
    choices: [
      ['', t('credentials.state.any')] as const,
      ...(['enabled', 'disabled', 'held'] as const).map((one) => [one, t(`credentials.state.${one}`)] as const),
    ],
  },
];

function fits(one: ListedCredential, find: string | undefined, state: string | undefined): boolean {
  const { name } = credentialState(one);
  const group = name === 'enabled' || name === 'disabled' ? name : name === 'expired' ? 'disabled' : 'held';
  if (state !== undefined && state !== group) return false;
  return find === undefined || [one.name, ...one.senders].some((text) => text.toLowerCase().includes(find));
}

const list = (rows: readonly ListedCredential[]) =>
  dataTable({
    label: t('page.credentials'),
    rows,
    key: ({ name }) => name,
    href: hrefOf,
    columns: [
      { name: 'name', title: t('credentials.name'), cell: (one) => html`<a href=${hrefOf(one)}>${strange(one.name)}</a>` },
      { name: 'state', title: t('credentials.state'), cell: credentialMark },
      { name: 'kind', title: t('credentials.kind'), cell: kindWords },
      {
        name: 'senders',
        title: t('credentials.senders'),
        narrow: 'label',
        cell: ({ senders }) => strange(senders.join(', '), 120),
      },
      { name: 'used', title: t('credentials.use'), narrow: 'label', cell: ({ used }) => nearestLimit(used) },
      { name: 'login', title: t('credentials.login'), narrow: 'label', cell: lastLogin },
    ],
  });
