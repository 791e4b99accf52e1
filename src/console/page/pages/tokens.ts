/** Tokens of programs: what each may do, until when, and when it was used last. */
import { useState } from 'preact/hooks';
import { api, relayNow } from '../api.ts';
import { html } from '../html.ts';
import { lineList } from '../line-list.ts';
import { useLoad } from '../load.ts';
import { byCommand, copyButton, emptyNote, failureNote, loadingNote, pageHead, strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { dataTable } from '../parts/data-table.ts';
import { type FormField, type FormValues, openForm } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

const SCOPES = ['messages:read', 'queue:write', 'credentials:write', 'domains:write', 'metrics:read', 'messages:send'] as const;

type Token = {
  readonly id: string;
  readonly name: string;
  readonly account: string;
  readonly scopes: readonly string[];
  readonly credential: string | null;
  readonly networks: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly lastUsedIp: string | null;
};

type Made = { readonly name: string; readonly token: string };

export function TokensPage() {
  const { value, failure, again } = useLoad<{ readonly items: readonly Token[] }>('/tokens', { every: 15_000 });
  const [made, show] = useState<Made>();
  const add = async () => {
    const added = await openForm<Made>({
      title: t('tokens.add'),
      fields: fields(),
      button: t('tokens.add.submit'),
      send: async (values) => ({
        name: values['name']!.trim(),
        token: (await api.post<{ readonly token: string }>('/tokens', bodyOf(values))).token,
      }),
    });
    if (added === undefined) return;
    show(added);
    await again();
  };
  const button = html`<button class="main" onClick=${add}>${t('tokens.add')}</button>`;
  return html`
    ${pageHead(t('page.tokens'), value && value.items.length > 0 && button)}
    <p class="about">${t('tokens.intro')}</p>
    ${made && once(made)}
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('tokens.empty'), button)}
    ${value && value.items.length > 0 && list(value.items, again)}
    ${byCommand('smarthost token list', 'smarthost token add NAME --scope metrics:read')}
  `;
}

const once = ({ name, token }: Made) => html`<section class="once" role="status">
  <h2>${t('tokens.once.title')}</h2>
  <p>${t('tokens.once.says')}</p>
  <p>${strange(name)}: <code class="secret">${token}</code> ${copyButton(token)}</p>
  <p>${t('tokens.once.try')}: <code>curl -H "Authorization: Bearer $TOKEN" ${location.origin}/api/v1/status</code></p>
</section>`;

const DAYS: Readonly<Record<string, number>> = { '30': 30, '90': 90, '365': 365 };

function fields(): readonly FormField[] {
  return [
    { name: 'name', label: t('tokens.name'), hint: t('tokens.name.hint') },
    ...SCOPES.map((scope, at) => ({
      ...{ name: scope, label: scope, kind: 'yes' as const, hint: t(`tokens.scope.${scope}`) },
      first: at === 0 ? '' : '',
    })),
    {
      ...{ name: 'expiresAt', label: t('tokens.expires'), kind: 'choice', first: '90' },
      choices: [
        ['30', t('tokens.expires.30')],
        ['90', t('tokens.expires.90')],
        ['365', t('tokens.expires.365')],
        ['never', t('tokens.expires.never')],
      ],
    },
    { name: 'credential', label: t('tokens.credential'), hint: t('tokens.credential.hint'), optional: true },
    { name: 'networks', label: t('tokens.networks'), kind: 'lines', hint: t('tokens.networks.hint'), optional: true },
  ];
}

function bodyOf(values: FormValues) {
  const { name = '', expiresAt = '', credential = '', networks = '' } = values;
  const days = DAYS[expiresAt];
  return {
    name: name.trim(),
    scopes: SCOPES.filter((scope) => values[scope] === 'yes'),
    expiresAt: days === undefined ? null : new Date(relayNow() + days * 86_400_000).toISOString(),
    ...(credential.trim() === '' ? {} : { credential: credential.trim() }),
    ...(networks.trim() === '' ? {} : { networks: lineList(networks) }),
  };
}

const list = (rows: readonly Token[], again: () => Promise<void>) =>
  dataTable({
    label: t('page.tokens'),
    rows,
    key: ({ id }) => id,
    columns: [
      {
        name: 'name',
        title: t('tokens.name'),
        cell: ({ name, account }) =>
          html`<b>${strange(name)}</b> <span class="dim">${t('tokens.account')} ${strange(account)}</span>`,
      },
      {
        name: 'scopes',
        title: t('tokens.scopes'),
        kind: 'text',
        cell: ({ scopes }) => html`<span class="words">${scopes.map((scope) => html`<code>${scope}</code> `)}</span>`,
      },
      {
        name: 'only',
        title: t('tokens.networks'),
        narrow: 'label',
        cell: ({ credential, networks }) =>
          html`${credential !== null && html`${strange(credential)}, `}${networks.length === 0 ? t('tokens.networks.all') : networks.join(', ')}`,
      },
      { name: 'expires', title: t('tokens.expires'), narrow: 'label', cell: ends },
      { name: 'used', title: t('tokens.used'), narrow: 'label', cell: used },
      {
        name: 'remove',
        title: html`<span class="hidden">${t('tokens.remove')}</span>`,
        cell: (one) =>
          html`<button class="quiet danger" aria-label=${t('tokens.remove.ask', { name: one.name })} onClick=${() => remove(one, again)}>${t('tokens.remove')}</button>`,
      },
    ],
  });

function ends({ expiresAt }: Token) {
  if (expiresAt === null) return t('tokens.expires.never');
  return Date.parse(expiresAt) <= relayNow()
    ? html`<span class="warn">${rich('tokens.ended', { time: when(expiresAt) })}</span>`
    : when(expiresAt);
}

const used = ({ lastUsedAt, lastUsedIp }: Token) =>
  lastUsedAt === null
    ? html`<span class="dim">${t('tokens.used.never')}</span>`
    : rich('tokens.used.from', { time: when(lastUsedAt, 'ago'), address: strange(lastUsedIp) });

const remove = ({ id, name }: Token, again: () => Promise<void>) =>
  askDanger({
    title: t('tokens.remove.ask', { name }),
    what: t('tokens.remove.says'),
    button: t('tokens.remove'),
    act: async () => {
      await api.remove(pathTo('/tokens', id));
      tellDone(t('tokens.removed', { name }));
      await again();
    },
  });
