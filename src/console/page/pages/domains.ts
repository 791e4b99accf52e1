/** The domains whose mail is signed. */
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, pageHead, strange, when } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { openForm } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { navigate } from '../router.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

export type DomainKey = {
  readonly selector: string;
  readonly algorithm: string;
  readonly state: string;
  readonly createdAt: string;
};

type Domain = { readonly domain: string; readonly keys: readonly DomainKey[] };

const hrefOf = ({ domain }: Pick<Domain, 'domain'>) => pathTo('/domains', domain);

async function add() {
  const name = await openForm<string>({
    title: t('domains.add'),
    fields: [{ name: 'domain', label: t('domains.add.name'), hint: t('domains.add.hint') }],
    button: t('domains.add.submit'),
    send: async ({ domain = '' }) => {
      const name = domain.trim().replace(/^@/, '').toLowerCase();
      await api.post('/domains', { domain: name });
      return name;
    },
  });
  if (name === undefined) return;
  tellDone(t('domains.added', { name }));
  navigate(hrefOf({ domain: name }));
}

export function DomainsPage() {
  const { find } = useFilters(['find']);
  const { value, failure, again } = useLoad<{ readonly items: readonly Domain[] }>('/domains', { every: 15_000 });
  const rows = value?.items.filter(({ domain }) => find === undefined || domain.includes(find.toLowerCase()));
  const button = html`<button class="main" onClick=${add}>${t('domains.add')}</button>`;
  return html`
    ${pageHead(t('page.domains'), value && value.items.length > 0 && button)}
    <p class="about">${t('domains.intro')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('domains.empty'), button)}
    ${value && value.items.length > 0 && filterBar([{ name: 'find', label: t('domains.search') }])}
    ${value && value.items.length > 0 && rows!.length === 0 && emptyNote(t('domains.none'))}
    ${
      rows &&
      rows.length > 0 &&
      dataTable({
        label: t('page.domains'),
        rows,
        key: ({ domain }) => domain,
        href: hrefOf,
        columns: [
          { name: 'domain', title: t('domains.domain'), cell: (one) => html`<a href=${hrefOf(one)}>${strange(one.domain)}</a>` },
          {
            name: 'keys',
            title: t('domains.keys'),
            kind: 'text',
            narrow: 'label',
            cell: ({ keys }) => html`<ul class="list">${keys.map((key) => html`<li>${keyWords(key)}</li>`)}</ul>`,
          },
        ],
      })
    }
    ${byCommand('smarthost domain list', 'smarthost domain add example.org')}
  `;
}

const keyWords = ({ selector, algorithm, state, createdAt }: DomainKey) =>
  html`<code>${selector}</code> ${algorithm}, ${keyStateWords(state)} <span class="dim">${rich('domains.key.age', { time: when(createdAt, 'ago') })}</span>`;

/** A word that this page does not know is shown as it is. */
export function keyStateWords(state: string): string {
  return state === 'active' || state === 'pending' || state === 'retiring' ? t(`domains.key.${state}`) : state;
}
