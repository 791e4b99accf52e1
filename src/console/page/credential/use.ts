/** What a credential sends: use of its limits, the last day or month, what is held, and what was refused. */
import { h } from 'preact';
import { api, relayNow } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import type { CredentialProps } from '../pages/credential.ts';
import { byCommand, emptyNote, factList, failureNote, loadingNote, strange, tabs, when } from '../parts/basics.ts';
import { barChart, chartPoints, chartSpan } from '../parts/chart.ts';
import { askDanger } from '../parts/danger.ts';
import { dataTable } from '../parts/data-table.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { tellDone } from '../parts/toast.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { lastLogin, limitBars, stopWords, type WholeCredential } from './words.ts';

export function UseView({ user, changed }: CredentialProps) {
  return html`
    ${user.stops.map((stop) => held(user.name, stop, changed))}
    <section>
      ${factList([
        [t('credentials.senders'), strange(user.senders.join(', '))],
        user.rewrite !== null && [t('credentials.rewrite'), strange(user.rewrite)],
        [t('credentials.use'), limitBars(user.used)],
        [t('credentials.login'), lastLogin(user)],
        user.trustedUntil !== null && [
          t('credentials.behaviour'),
          rich('credentials.behaviour.trusted', { time: when(user.trustedUntil) }),
        ],
      ])}
    </section>
    ${h(History, { name: user.name })}
    ${h(Refusals, { name: user.name })}
    ${byCommand(
      smarthostCommand('user', 'show', user.name),
      smarthostCommand('history', '--name', user.name, '--step', 'hour'),
      smarthostCommand('refused', '--user', user.name),
    )}
  `;
}

type Stop = WholeCredential['stops'][number];

/** What is held because of its behaviour, and the two ways to end it. */
function held(name: string, stop: Stop, changed: CredentialProps['changed']) {
  const { sender, state, since, by, signals, heldRecipients } = stop;
  const whose = sender ?? name;
  const end = (action: 'release' | 'discard') =>
    askDanger({
      title: t(`credentials.${action}.ask`, { name: whose }),
      what: t(`credentials.${action}.says`),
      button: t(action === 'release' ? 'credentials.releasing' : 'credentials.discard'),
      act: async () => {
        const body = { ...(sender === null ? {} : { sender }), ...(action === 'discard' ? { discard: true } : {}) };
        const { discarded } = await api.post<{ readonly discarded: number }>(`${pathTo('/credentials', name)}/release`, body);
        tellDone(
          action === 'discard'
            ? t('credentials.discard.done', { count: discarded })
            : t('credentials.release.done', { name: whose }),
        );
        await changed();
      },
    });
  return html`<section class="notice held" key=${sender ?? ''}>
    <h2><span class="sign" aria-hidden="true">‖</span> ${sender === null ? t('credentials.behaviour.whole') : rich('credentials.behaviour.sender', { sender: strange(sender) })}</h2>
    <p>${rich('credentials.behaviour.since', { state: stopWords(state), time: when(since), count: heldRecipients })}</p>
    <ul>${by === 'operator' ? html`<li>${t('credentials.behaviour.operator')}</li>` : signals.map((signal) => html`<li>${strange(signal)}</li>`)}</ul>
    ${
      state !== 'releasing' &&
      html`<div class="buttons">
      <button class="main" onClick=${() => end('release')}>${t('credentials.releasing')}</button>
      <button class="danger" onClick=${() => end('discard')}>${t('credentials.discard')}</button>
    </div>`
    }
  </section>`;
}

type Row = { readonly from: string } & Readonly<Record<(typeof OUTCOMES)[number], number>>;

const OUTCOMES = ['relayed', 'delayed', 'failed', 'refused'] as const;

function History({ name }: { readonly name: string }) {
  const isMonth = useFilters(['span']).span === '30d';
  const shown = chartSpan(isMonth, relayNow());
  const { value, failure, again } = useLoad<{ readonly items: readonly Row[] }>('/history', {
    query: { by: 'credential', name, step: shown.step, from: shown.begin },
  });
  return html`<section>
    <h2>${t('credentials.history')}</h2>
    ${tabs('credentials.history', [
      { href: filterHref({ span: null }), words: t('credentials.history.day'), current: !isMonth },
      { href: filterHref({ span: '30d' }), words: t('credentials.history.month'), current: isMonth },
    ])}
    ${failureNote(failure, again)}
    ${value?.items.length === 0 && emptyNote(t('credentials.history.none'))}
    ${
      value &&
      value.items.length > 0 &&
      barChart({
        label: t('credentials.history'),
        per: t(isMonth ? 'credentials.history.perDay' : 'credentials.history.perHour'),
        series: OUTCOMES.map((one) => ({ name: one, words: t(`credentials.history.${one}`) })),
        points: chartPoints(value.items, shown, (row) => Object.fromEntries(OUTCOMES.map((one) => [one, row[one]]))),
      })
    }
    <p><a href="/messages?credential=${encodeURIComponent(name)}">${t('credentials.messages')}</a></p>
  </section>`;
}

type Refusal = {
  readonly seq: number | null;
  readonly until: string;
  readonly count: number;
  readonly ip: string;
  readonly verb: string;
  readonly reply: string;
  readonly reversePath: string | null;
  readonly recipient: string | null;
  readonly session: string;
};

function Refusals({ name }: { readonly name: string }) {
  const { value, failure, again } = useLoad<{ readonly items: readonly Refusal[] }>('/refusals', {
    query: { credential: name, limit: 10 },
    every: 10_000,
  });
  return html`<section>
    <h2>${t('credentials.refusals')}</h2>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value?.items.length === 0 && emptyNote(t('credentials.refusals.none'))}
    ${
      value &&
      value.items.length > 0 &&
      html`${dataTable({
        label: t('credentials.refusals'),
        rows: value.items,
        key: ({ seq, session, verb, until }) => `${seq} ${session} ${verb} ${until}`,
        columns: [
          { name: 'time', title: t('credentials.refusals.time'), kind: 'short', cell: ({ until }) => when(until) },
          { name: 'count', title: t('credentials.refusals.count'), kind: 'figure', narrow: 'label', cell: ({ count }) => count },
          { name: 'ip', title: t('credentials.refusals.client'), kind: 'short', cell: ({ ip }) => ip },
          {
            name: 'from',
            title: t('credentials.refusals.from'),
            cell: ({ reversePath, recipient }) => html`${strange(reversePath)} → ${strange(recipient)}`,
          },
          {
            name: 'reply',
            title: t('credentials.refusals.reply'),
            kind: 'text',
            cell: ({ verb, reply }) => html`<code>${verb}</code> ${strange(reply)}`,
          },
        ],
      })}
      <p><a href="/refused?credential=${encodeURIComponent(name)}">${t('credentials.refusals.all')}</a></p>`
    }
  </section>`;
}
