/** The policies that domains publish about their mail servers: MTA-STS. */
import type { KnownPolicy } from '../../../control/control.ts';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { emptyNote, failureNote, loadingNote, mark, strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { dataTable } from '../parts/data-table.ts';
import { openForm } from '../parts/form.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

export function PolicyList() {
  const { value, failure, again } = useLoad<{ readonly items: readonly KnownPolicy[] }>('/tls/policies', { every: 30_000 });
  const fetchOne = async (domain: string) => {
    await api.post(`${pathTo('/tls/policies', domain)}/refresh`, {});
    tellDone(t('tls.policies.fetched', { name: domain }));
    await again();
  };
  const ask = () =>
    openForm({
      title: t('tls.policies.new'),
      about: t('tls.policies.newAbout'),
      fields: [{ name: 'domain', label: t('tls.domain'), placeholder: 'example.org' }],
      button: t('tls.policies.refresh'),
      send: ({ domain = '' }) => fetchOne(domain.trim()),
    });
  const forget = (domain: string) =>
    askDanger({
      title: t('tls.policies.forget.ask', { name: domain }),
      what: t('tls.policies.forget.says'),
      button: t('tls.policies.forget'),
      act: async () => {
        await api.remove(pathTo('/tls/policies', domain));
        tellDone(t('tls.policies.forgotten', { name: domain }));
        await again();
      },
    });
  return html`<section>
    <h2 class="hidden">${t('tls.view.policies')}</h2>
    <p class="about">${t('tls.policies.about')}</p>
    <div class="buttons"><button onClick=${ask}>${t('tls.policies.new')}</button></div>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('tls.policies.none'))}
    ${
      value &&
      value.items.length > 0 &&
      dataTable({
        label: t('tls.view.policies'),
        rows: value.items,
        key: ({ domain }) => domain,
        columns: [
          { name: 'domain', title: t('tls.domain'), cell: ({ domain }) => html`<b>${strange(domain)}</b>` },
          { name: 'mode', title: t('tls.policies.mode'), narrow: 'label', cell: stateOf },
          { name: 'mx', title: t('tls.check.mx'), kind: 'text', narrow: 'label', cell: ({ mx }) => strange(mx.join(', '), 300) },
          { name: 'until', title: t('tls.policies.until'), narrow: 'label', cell: ({ expiresAt }) => when(expiresAt) },
          {
            name: 'actions',
            title: html`<span class="hidden">${t('providers.actions')}</span>`,
            cell: ({ domain }) => html`<span class="buttons">
              <button class="quiet" aria-label="${t('tls.policies.refresh')}: ${domain}" onClick=${() => orTell(() => fetchOne(domain))}>${t('tls.policies.refresh')}</button>
              <button class="quiet" aria-label="${t('tls.policies.forget')}: ${domain}" onClick=${() => forget(domain)}>${t('tls.policies.forget')}</button>
            </span>`,
          },
        ],
      })
    }
  </section>`;
}

const stateOf = ({ state, mode, failures, failedAt, lastError }: KnownPolicy) => html`
  ${mark(state === 'holds' ? 'good' : 'plain', state === 'holds' ? mode : t('tls.policies.expired'))}
  ${failures > 0 && html`<div class="warn">${rich('tls.policies.failing', { count: failures, time: when(failedAt) })} ${strange(lastError, 300)}</div>`}`;
