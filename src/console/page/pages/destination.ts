/** One destination: why it is slow there, and what can be done. */
import { h } from 'preact';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { PolicySection, wayFacts } from '../destination/way.ts';
import { type DestinationRow, destinationMark, sessionWords } from '../destination/words.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { finish, type QueueWork } from '../mail/queue-actions.ts';
import type { PageProps } from '../pages.ts';
import { byCommand, emptyNote, factList, failureNote, loadingNote, mark, pageHead, strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { mayAs } from '../session.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

export function DestinationPage({ params: { key = '' } }: PageProps) {
  const { value: one, failure, again } = useLoad<DestinationRow>(pathTo('/destinations', key), { every: 5000 });
  return html`
    <p class="up"><a href="/destinations">← ${t('page.destinations')}</a></p>
    ${pageHead(strange(key))}
    ${failureNote(failure, again)}
    ${one === undefined && failure === undefined && loadingNote()}
    ${
      one &&
      html`
      <p class="states">${destinationMark(one)}</p>
      ${one.rest !== null && restNotice(one, again)}
      ${factList([
        [t('destinations.hosts'), strange(one.hosts, 400)],
        one.provider !== null && [t('providers.provider'), html`<a href="/destinations#providers">${strange(one.provider)}</a>`],
        ...wayFacts(one),
        [
          t('destinations.sessions'),
          html`${sessionWords(one)}${one.inLine > 0 && html` <span class="dim">${t('destinations.inLine', { count: one.inLine })}</span>`}`,
        ],
        [
          t('destinations.waiting'),
          html`${t('destinations.recipients', { count: one.waiting })} ${one.waiting > 0 && html`<a href="/messages?destination=${encodeURIComponent(one.key)}">${t('destinations.messages')}</a>`}`,
        ],
        one.oldestAcceptedAt !== null && [t('destinations.oldest'), when(one.oldestAcceptedAt, 'ago')],
        one.nextAttemptAt !== null && [t('destinations.next'), when(one.nextAttemptAt, 'until')],
      ])}
      ${
        mayAs('operator') &&
        one.waiting > 0 &&
        html`<div class="buttons">${(['hold', 'release', 'reroute'] as const).map(
          (action) => html`<button onClick=${() => change(action, one, again)}>${t(`destinations.act.${action}`)}</button>`,
        )}</div>`
      }
      ${h(PolicySection, { one })}
      ${h(Heard, { heard: one.heard })}
    `
    }
    ${byCommand(
      smarthostCommand('queue', 'retry', '--destination', key),
      smarthostCommand('queue', 'hold', '--destination', key),
      smarthostCommand('tls', 'check', key),
    )}
  `;
}

function restNotice({ key, rest }: DestinationRow, again: () => Promise<void>) {
  const { until, failures, reason } = rest!;
  const resume = () =>
    askDanger({
      title: t('destinations.resume.ask', { name: key }),
      what: t('destinations.resume.says'),
      button: t('destinations.resume'),
      act: async () => {
        await api.post(`${pathTo('/destinations', key)}/resume`, {});
        tellDone(t('destinations.resumed', { name: key }));
        await again();
      },
    });
  return html`<section class="notice">
    <h2><span class="sign" aria-hidden="true">◷</span> ${t('destinations.rest')}</h2>
    <p>${rich('destinations.rest.says', { time: when(until), count: failures })} (${when(until, 'until')})</p>
    <p><code>${strange(reason)}</code></p>
    ${mayAs('operator') && html`<div class="buttons"><button class="main" onClick=${resume}>${t('destinations.resume')}</button></div>`}
  </section>`;
}

type Preview = {
  readonly recipients: number;
  readonly messages: number;
  readonly oldestAcceptedAt: string | null;
  readonly upTo: string;
};

/** What would change is counted first. Mail that comes after that is not touched. */
async function change(action: 'hold' | 'release' | 'reroute', { key }: DestinationRow, again: () => Promise<void>) {
  const selection = { destination: key, ...(action === 'release' ? { states: ['held'] } : {}) };
  const preview = await orTell(() => api.post<Preview>('/queue/preview', { selection }));
  if (preview === undefined) return;
  await askDanger({
    title: t(`destinations.${action}.ask`, { count: preview.recipients }),
    what: t(`destinations.${action}.says`, { name: key }),
    button: t(`destinations.act.${action}`),
    act: async (tell) => {
      const work = await finish(await api.post<QueueWork>(`/queue/${action}`, { selection, upTo: preview.upTo }), tell);
      tellDone(t('destinations.done', { count: work.result?.changed.count ?? 0 }));
      await again();
    },
  });
}

function Heard({ heard }: Pick<DestinationRow, 'heard'>) {
  if (heard === null)
    return html`<section><h2>${t('destinations.replies')}</h2>${emptyNote(t('destinations.replies.none'))}</section>`;
  const { last, replies, tls } = heard;
  return html`<section>
    <h2>${t('destinations.replies')}</h2>
    ${factList([
      [
        t('destinations.lastReply'),
        html`${when(last.at)} <code>${strange(last.reply)}</code> ${last.mx !== null && html`<span class="dim">${strange(last.mx)}</span>`}`,
      ],
      [
        t('destinations.tls'),
        tls.map(
          ({ version, count }) =>
            html`<span class="pair">${version === null ? mark('wait', t('destinations.tls.none'), '▲') : strange(version)} × ${t('figure', { count })}</span> `,
        ),
      ],
    ])}
    <table class="small">
      <thead><tr><th scope="col">${t('destinations.code')}</th><th scope="col" class="figure">${t('destinations.count')}</th></tr></thead>
      <tbody>${replies.map(({ code, status, count }) => html`<tr><td>${mark(code < 400 ? 'good' : code < 500 ? 'wait' : 'bad', html`<code>${code} ${strange(status)}</code>`)}</td><td class="figure">${t('figure', { count })}</td></tr>`)}</tbody>
    </table>
  </section>`;
}
