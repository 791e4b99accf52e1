/** Who may open the console, and as what. */
import { useState } from 'preact/hooks';
import { accountMark, type ConsoleAccountRow, type Invitation, linkBox, rightsFields, rightsOf } from '../account/words.ts';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, mark, pageHead, strange, when } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { openForm } from '../parts/form.ts';
import { pageSession } from '../session.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

const isMe = (name: string) => pageSession.get()?.name === name;
/** Nobody locks themselves out by a click: what one does to oneself is on the own page. */
const hrefOf = ({ name }: ConsoleAccountRow) => (isMe(name) ? '/account' : pathTo('/accounts', name));

export function AccountsPage() {
  const { value, failure, again } = useLoad<{ readonly items: readonly ConsoleAccountRow[] }>('/accounts', { every: 15_000 });
  const [invitation, show] = useState<Invitation>();
  const add = async () => {
    const added = await openForm<Invitation>({
      title: t('accounts.add'),
      fields: [{ name: 'name', label: t('accounts.name'), hint: t('accounts.name.hint') }, ...rightsFields()],
      button: t('accounts.add.submit'),
      send: (values) => api.post<Invitation>('/accounts', { name: values['name']!.trim(), ...rightsOf(values) }),
    });
    if (added === undefined) return;
    show(added);
    await again();
  };
  return html`
    ${pageHead(t('page.accounts'), html`<button class="main" onClick=${add}>${t('accounts.add')}</button>`)}
    <p class="about">${t('accounts.intro')}</p>
    ${invitation && linkBox(invitation)}
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value && list(value.items)}
    ${value?.items.length === 1 && emptyNote(t('accounts.empty'))}
    ${byCommand('smarthost console list', 'smarthost console add NAME --role operator')}
  `;
}

const list = (rows: readonly ConsoleAccountRow[]) =>
  dataTable({
    label: t('page.accounts'),
    rows,
    key: ({ name }) => name,
    href: hrefOf,
    columns: [
      {
        ...{ name: 'name', title: t('accounts.name') },
        cell: (one) =>
          html`<a href=${hrefOf(one)}>${strange(one.name)}</a>${isMe(one.name) && html` <span class="dim">(${t('accounts.you')})</span>`}`,
      },
      { name: 'state', title: t('accounts.state'), cell: accountMark },
      { name: 'role', title: t('accounts.role'), cell: ({ role }) => t(`accounts.role.${role}`) },
      {
        ...{ name: 'mail', title: t('accounts.mail'), kind: 'text', narrow: 'label' },
        cell: ({ credentials }) => (credentials === null ? t('accounts.credentials.all') : strange(credentials.join(', '))),
      },
      {
        ...{ name: 'factor', title: t('accounts.factor'), narrow: 'label' },
        cell: ({ secondFactor }) =>
          secondFactor ? mark('good', t('accounts.factor.on')) : mark('plain', t('accounts.factor.off')),
      },
      { name: 'created', title: t('accounts.created'), narrow: 'label', cell: ({ createdAt }) => when(createdAt) },
    ],
  });
