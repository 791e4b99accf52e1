/** Providers: what each may get, and whether it refuses an address of ours. */
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { failureNote, mark, strange, type Tone, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { dataTable } from '../parts/data-table.ts';
import { tellDone } from '../parts/toast.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

/** `GET /providers` */
type Provider = {
  readonly provider: string;
  readonly limits: { readonly sessions: number; readonly perMinute: number; readonly removal: string | null } | null;
  readonly addresses: readonly Address[];
  readonly held: number;
  readonly fallback: { readonly hosts: readonly string[]; readonly used: number; readonly dailyCap: number } | null;
  readonly oldestHeldAt: string | null;
};

type Address = {
  readonly address: string | null;
  readonly state: string;
  readonly since: string;
  readonly until: string | null;
  readonly reply: string | null;
  /** The address is new there, and may send so many messages today. null: it is not. */
  readonly warmUp: { readonly sent: number; readonly cap: number } | null;
  /** Why. `operator`: somebody has held its mail here. */
  readonly class: string | null;
};

type Action = 'probe' | 'open' | 'hold';

const DONE = { probe: 'providers.probed', open: 'providers.opened', hold: 'providers.holding' } as const;
/** The worst first. */
const STATES = ['blocked', 'held', 'probing', 'releasing', 'slow', 'learning', 'open'] as const;
const TONES: Readonly<Record<(typeof STATES)[number], Tone>> = {
  ...{ blocked: 'bad', held: 'held', probing: 'wait', releasing: 'wait', slow: 'wait', learning: 'plain', open: 'good' },
};

export function ProviderList() {
  const { value, failure, again } = useLoad<{ readonly items: readonly Provider[] }>('/providers', { every: 10_000 });
  const rows = value && [...value.items].sort((a, b) => rank(a) - rank(b) || b.held - a.held);
  const known = rows?.filter((one) => !isUsual(one));
  const usual = rows?.filter(isUsual);
  return html`<section id="providers">
    <h2>${t('providers.title')}</h2>
    <p class="about">${t('providers.intro')}</p>
    ${failureNote(failure, again)}
    ${known !== undefined && known.length > 0 && table(t('providers.title'), known, again)}
    ${
      usual !== undefined &&
      usual.length > 0 &&
      html`<details class="recipe"><summary>${t('providers.usual', { count: usual.length })}</summary>${table(t('providers.others'), usual, again)}</details>`
    }
  </section>`;
}

/** Nothing has happened with it. There are many of them. */
const isUsual = ({ addresses, held }: Provider) => addresses.length === 0 && held === 0;

const table = (label: string, rows: readonly Provider[], again: () => Promise<void>) =>
  dataTable({
    label,
    rows,
    key: ({ provider }) => provider,
    columns: [
      { name: 'provider', title: t('providers.provider'), cell: ({ provider }) => strange(provider) },
      { name: 'state', title: t('destinations.state'), kind: 'text', cell: stateCell },
      {
        name: 'held',
        title: t('providers.held'),
        narrow: 'label',
        kind: 'figure',
        cell: ({ held, oldestHeldAt }) =>
          html`${t('figure', { count: held })} ${oldestHeldAt !== null && html`<span class="dim">${when(oldestHeldAt, 'ago')}</span>`}`,
      },
      {
        name: 'limits',
        title: t('providers.limits'),
        narrow: 'label',
        cell: ({ limits }) =>
          limits === null
            ? t('providers.limits.none')
            : t('providers.limits.text', { sessions: limits.sessions, perMinute: limits.perMinute }),
      },
      {
        name: 'actions',
        title: html`<span class="hidden">${t('providers.actions')}</span>`,
        cell: (one) => actions(one, again),
      },
    ],
  });

const rank = ({ addresses, held }: Provider) =>
  Math.min(
    held > 0 ? 1 : STATES.length,
    ...addresses.map((one) => (STATES as readonly string[]).indexOf(stateOf(one))).filter((at) => at !== -1),
  );

/** What an operator holds looks like a block, but no probe ends it. */
const stateOf = ({ state, class: why }: Pick<Address, 'state' | 'class'>) =>
  why === 'operator' && state === 'blocked' ? 'held' : state;

function stateCell({ addresses, limits, fallback }: Provider) {
  const upstream =
    fallback !== null &&
    html`<div class="dim">${rich('providers.fallback', { hosts: strange(fallback.hosts.join(', ')), used: fallback.used, cap: fallback.dailyCap })}</div>`;
  if (addresses.length === 0) return html`<span class="dim">${t('providers.state.usual')}</span>${upstream}`;
  return html`<ul class="list">${addresses.map((one) => {
    const { address, since, until, reply, warmUp } = one;
    const state = stateOf(one);
    const known = STATES.find((name) => name === state);
    return html`<li>
      ${mark(known === undefined ? 'plain' : TONES[known], known === undefined ? state : t(`providers.state.${known}`))}
      <span class="dim">${address ?? t('providers.address.any')}, ${rich('doctor.sinceText', { time: when(since) })}${until !== null && html`, ${rich('providers.nextProbe', { time: when(until, 'until') })}`}</span>
      ${warmUp !== null && html`<div class="dim">${t('providers.warmUp', { used: warmUp.sent, cap: warmUp.cap })}</div>`}
      ${reply !== null && html`<div><code>${strange(reply, 300)}</code></div>`}
      ${known === 'blocked' && limits?.removal && html`<div>${t('providers.removal')}: ${strange(limits.removal)}</div>`}
    </li>`;
  })}</ul>${upstream}`;
}

/** Only what can change something. */
function actions({ provider, addresses, held }: Provider, again: () => Promise<void>) {
  const states = addresses.map(stateOf);
  const isBlocked = states.some((state) => state === 'blocked' || state === 'probing');
  const shown: readonly Action[] = states.includes('held') ? ['open'] : isBlocked || held > 0 ? ['probe', 'open'] : ['hold'];
  const run = (action: Action) =>
    askDanger({
      title: t(`providers.${action}.ask`, { name: provider }),
      what: t(`providers.${action}.says`, { name: provider }),
      button: t(`providers.act.${action}`),
      act: async () => {
        await api.post(`${pathTo('/providers', provider)}/${action}`, {});
        tellDone(t(DONE[action], { name: provider }));
        await again();
      },
    });
  return html`<span class="buttons">${shown.map((action) => html`<button class="quiet" aria-label="${t(`providers.act.${action}`)}: ${provider}" onClick=${() => run(action)}>${t(`providers.act.${action}`)}</button>`)}</span>`;
}
