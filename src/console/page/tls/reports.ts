/** Reports about TLS to the owners of domains, and the failures that they tell of: RFC 8460. */
import type { TlsFailure, TlsReportCopy } from '../../../control/control.ts';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { emptyNote, failureNote, loadingNote, mark, strange, type Tone } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { type Column, dataTable } from '../parts/data-table.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

const STATES = ['queued', 'due', 'sent', 'failed', 'suppressed', 'skipped'] as const;
const TONES: Readonly<Record<(typeof STATES)[number], Tone>> = {
  ...{ queued: 'wait', due: 'wait', sent: 'good', failed: 'bad', suppressed: 'held', skipped: 'plain' },
};

export function ReportList() {
  const { value, failure, again } = useLoad<{ readonly items: readonly TlsReportCopy[] }>('/tls/reports', { every: 30_000 });
  return html`<section>
    <h2 class="hidden">${t('tls.view.reports')}</h2>
    <p class="about">${t('tls.reports.about')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('tls.reports.none'))}
    ${value && value.items.length > 0 && dataTable({ label: t('tls.view.reports'), rows: value.items, key: keyOf, columns: reportColumns(again) })}
  </section>`;
}

const keyOf = ({ day, domain, rua }: TlsReportCopy) => `${day} ${domain} ${rua}`;

const reportColumns = (again: () => Promise<void>): readonly Column<TlsReportCopy>[] => [
  { name: 'day', title: t('tls.day'), kind: 'short', cell: ({ day }) => day },
  { name: 'domain', title: t('tls.domain'), cell: ({ domain }) => strange(domain) },
  { name: 'to', title: t('tls.reports.to'), kind: 'text', narrow: 'label', cell: ({ rua }) => strange(rua, 200) },
  { name: 'state', title: t('tls.reports.state'), cell: stateOf },
  { name: 'actions', title: html`<span class="hidden">${t('providers.actions')}</span>`, cell: (copy) => actions(copy, again) },
];

function stateOf({ state, lastError }: TlsReportCopy) {
  const known = STATES.find((one) => one === state);
  return html`${mark(known === undefined ? 'plain' : TONES[known], known === undefined ? state : t(`tls.reports.${known}`))}
    ${lastError !== null && html`<div class="dim">${strange(lastError, 300)}</div>`}`;
}

/** Only what can change something: a copy that is sent or on its way is not sent again. */
function actions({ day, domain, rua, state }: TlsReportCopy, again: () => Promise<void>) {
  const send = () =>
    orTell(async () => {
      await api.post(`${pathTo('/tls/reports', day, domain)}/send`, {});
      tellDone(t('tls.reports.asked', { name: domain }));
      await again();
    });
  const setSuppressed = async (suppressed: boolean) => {
    await api.post('/tls/reports/suppress', { rua, suppressed });
    tellDone(t(suppressed ? 'tls.reports.stopped' : 'tls.reports.resumed', { name: rua ?? '' }));
    await again();
  };
  const stop = () =>
    askDanger({
      title: t('tls.reports.stop.ask', { name: rua ?? '' }),
      what: t('tls.reports.stop.says'),
      button: t('tls.reports.stop'),
      act: () => setSuppressed(true),
    });
  const isOpen = state === 'failed' || state === 'suppressed' || state === 'skipped';
  const button = (words: string, act: () => unknown) =>
    html`<button class="quiet" aria-label="${words}: ${domain}, ${day}" onClick=${act}>${words}</button>`;
  return html`<span class="buttons">
    ${isOpen && button(t('tls.reports.send'), send)}
    ${rua !== null && (state === 'suppressed' ? button(t('tls.reports.resume'), () => orTell(() => setSuppressed(false))) : button(t('tls.reports.stop'), stop))}
  </span>`;
}

export function FailureList() {
  const { value, failure, again } = useLoad<{ readonly items: readonly TlsFailure[] }>('/tls/failures', { every: 30_000 });
  return html`<section>
    <h2 class="hidden">${t('tls.view.failures')}</h2>
    <p class="about">${t('tls.failures.about')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('tls.failures.none'))}
    ${value && value.items.length > 0 && dataTable({ label: t('tls.view.failures'), rows: value.items, key: (row) => JSON.stringify(row), columns: failureColumns() })}
  </section>`;
}

const failureColumns = (): readonly Column<TlsFailure>[] => [
  { name: 'day', title: t('tls.day'), kind: 'short', cell: ({ day }) => day },
  {
    name: 'domain',
    title: t('tls.domain'),
    cell: ({ domain }) => html`<a href="/tls?domain=${encodeURIComponent(domain)}">${strange(domain)}</a>`,
  },
  {
    name: 'host',
    title: t('tls.failures.host'),
    narrow: 'label',
    cell: ({ mx, receivingIp }) => html`${strange(mx)} <span class="dim">${receivingIp}</span>`,
  },
  {
    name: 'type',
    title: t('tls.failures.type'),
    kind: 'text',
    narrow: 'whole',
    cell: ({ type, reason }) => html`<code>${type}</code> ${reason !== null && strange(reason, 300)}`,
  },
  { name: 'policy', title: t('tls.check.policy'), narrow: 'label', cell: ({ policy }) => policy },
  {
    name: 'sessions',
    title: t('tls.failures.sessions'),
    kind: 'figure',
    narrow: 'label',
    cell: ({ sessions }) => t('figure', { count: sessions }),
  },
];
