/** Whether mail flows, what needs somebody, and what has just happened: in words first, then in figures. */
import { h } from 'preact';
import type { ApiHistory } from '../../api/history.ts';
import type { ApiStatus } from '../../api/status.ts';
import { relayNow } from '../api.ts';
import { durationText, numberText, percentText, sizeText } from '../format.ts';
import { type Children, html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, factList, failureNote, loadingNote, mark, pageHead, strange, tabs, when } from '../parts/basics.ts';
import { barChart, chartPoints, chartSpan } from '../parts/chart.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { rich, type TextKey, t } from '../texts.ts';
import { pathTo } from '../url.ts';

const POLL = 5000;
const HOUR = 3_600_000;

export function OverviewPage() {
  const { value: status, failure, again } = useLoad<ApiStatus>('/status', { every: POLL });
  return html`
    ${pageHead(t('page.overview'), status && html`<span class="dim">${rich('overview.looked', { time: when(status.at) })}</span>`)}
    ${failureNote(failure, again)} ${!status && !failure && loadingNote()}
    ${status && [h(Verdict, { status, key: 'verdict' }), h(History, { key: 'history' }), figures(status), lastFailures(status)]}
    ${byCommand('smarthost doctor', 'smarthost queue summary', 'smarthost trace --state failed')}
  `;
}

/** The three answers. They come before all else, so that a phone shows them without a touch. */
function Verdict({ status }: { readonly status: ApiStatus }) {
  const { verdict, lastHour } = status;
  const { accepted, relayed, delayed, failed, expired, refused } = lastHour;
  const worst = verdict.needs.some(({ level }) => level === 'error') ? 'bad' : 'wait';
  return html`<section class="panel verdict ${verdict.flowing ? 'good' : 'bad'}" aria-live="polite">
    <p class="answer">${mark(verdict.flowing ? 'good' : 'bad', flowWords(verdict))}</p>
    <p>${t('overview.hour', { accepted, relayed })} ${delayed > 0 && t('overview.hourDelayed', { count: delayed })} ${failed + expired > 0 && t('overview.hourFailed', { count: failed + expired })} ${refused > 0 && html`<a href="/refused">${t('overview.hourRefused', { count: refused })}</a>`}</p>
    <p class="answer">${verdict.needs.length === 0 ? mark('good', t('overview.noNeeds')) : mark(worst, t('overview.needs', { count: verdict.needs.length + verdict.more }), '▲')}</p>
    <ul class="needs">${verdict.needs.map((need) => html`<li>${needLine(need)}</li>`)}</ul>
    ${verdict.more > 0 && html`<p><a href="/doctor">${t('overview.more', { count: verdict.more })}</a></p>`}
  </section>`;
}

function needLine(need: Need) {
  const href = needHref(need);
  return html`<span>${mark(need.level === 'error' ? 'bad' : 'wait', t(`level.${need.level}`), need.level === 'error' ? '✗' : '▲')} <span>${needWords(need)}${need.reply !== null && html` <span class="dim">${strange(need.reply, 160)}</span>`}</span></span>
    ${href !== null && html`<a class="button" href=${href} aria-label="${t('overview.look')}: ${need.text}">${t('overview.look')}</a>`}`;
}

/** 24 hours, or 30 days. The address says which. */
function History() {
  const { span } = useFilters(['span']);
  const isMonth = span === '30d';
  const shown = chartSpan(isMonth, relayNow());
  const { value } = useLoad<ApiHistory>('/history', { query: { step: shown.step, from: shown.begin }, every: 60_000 });
  const series = (['relayed', 'delayed', 'failed', 'refused'] as const).map((name) => ({ name, words: t(`outcome.${name}`) }));
  const points = chartPoints(value?.items ?? [], shown, ({ relayed, delayed, failed, expired, refused }) => {
    return { relayed, delayed, failed: failed + expired, refused };
  });
  return html`<section class="panel">
    ${tabs('overview.span', [
      { href: filterHref({ span: null }), words: t('overview.day'), current: !isMonth },
      { href: filterHref({ span: '30d' }), words: t('overview.month'), current: isMonth },
    ])}
    ${value?.items.length === 0 ? html`<p class="dim">${t('overview.quiet')}</p>` : barChart({ label: t('overview.chart'), series, points, per: t(isMonth ? 'overview.perDay' : 'overview.perHour') })}
  </section>`;
}

function figures(status: ApiStatus) {
  const { queue, destinations, latency, credentials, disk, certificates, port25, clockSkew } = status;
  const soonest = certificates.toSorted((a, b) => a.days - b.days)[0];
  const time = (seconds: number | null) => (seconds === null ? '–' : durationText(seconds * 1000));
  return html`<div class="columns" key="figures">
    <section class="panel">
      <h2>${t('overview.now')}</h2>
      ${factList([
        [
          t('overview.waiting'),
          html`<a href="/queue">${numberText(queue.waiting)}</a>${queue.oldestAcceptedAt !== null && html` <span class="dim">${rich('overview.oldest', { age: when(queue.oldestAcceptedAt, 'ago') })}</span>`}`,
        ],
        [
          t('messages.only.held'),
          queue.held === 0 ? '0' : html`<a href="/queue?by=message&state=held">${numberText(queue.held)}</a>`,
        ],
        [
          t('overview.resting'),
          html`${numberText(destinations.resting)} <span class="dim">${t('overview.ofKnown', { count: destinations.known })}</span>`,
        ],
        [
          t('overview.latency'),
          latency.count === 0
            ? '–'
            : html`${time(latency.half)} <span class="dim">${t('overview.latencyMost', { time: time(latency.most) })}</span>`,
        ],
      ])}
    </section>
    <section class="panel">
      <h2>${t('overview.senders')}</h2>
      ${credentials.length === 0 ? html`<p class="dim">${t('overview.noSenders')}</p>` : html`<ul class="senders">${credentials.map(senderLine)}</ul>`}
    </section>
    <section class="panel">
      <h2>${t('overview.machine')}</h2>
      ${factList([
        [t('overview.relay'), status.hostname],
        [
          t('overview.version'),
          html`${status.version} <span class="dim">${rich('overview.up', { age: when(status.startedAt, 'ago') })}</span>`,
        ],
        disk !== null && [t('overview.disk'), t('overview.free', { size: sizeText(disk.free) })],
        soonest !== undefined && [
          t('overview.certificate'),
          html`<a href="/certificates">${durationText(Math.max(0, soonest.days) * 24 * HOUR)}</a>`,
        ],
        [t('overview.port25'), t(`port.${port25}`)],
        clockSkew !== null && [t('overview.clock'), durationText(Math.abs(clockSkew) * 1000)],
        [t('overview.sessions'), numberText(status.sessions)],
      ])}
    </section>
  </div>`;
}

function senderLine({ name, accepted24Hours, disabled, limit }: ApiStatus['credentials'][number]) {
  const words =
    limit === null
      ? undefined
      : t('overview.limit', {
          ...{ share: percentText(limit.percent / 100), count: limit.count, per: t(`per.${limit.per}` as TextKey) },
        });
  return html`<li>
    <a href=${pathTo('/credentials', name)}>${strange(name)}</a>
    <span class="figure">${numberText(accepted24Hours)}</span>
    ${disabled && mark('plain', t('overview.disabled'), '⊘')}
    ${words !== undefined && html`<span class="limit"><meter min="0" max="100" low="79" high="80" optimum="0" value=${Math.min(100, limit!.percent)} aria-label=${words}></meter> <span class="dim">${words}</span></span>`}
  </li>`;
}

function lastFailures({ failures }: ApiStatus) {
  return html`<section class="panel" key="failures">
    <h2>${t('overview.failures')}</h2>
    ${
      failures.length === 0
        ? html`<p class="dim">${t('overview.noFailures')}</p>`
        : html`<ul class="events">${failures.map(
            ({ at, id, recipient, user, reply }) =>
              html`<li>${when(at)} <a href=${pathTo('/messages', id)}>${strange(recipient)}</a> <span>${reply === null ? t('state.expired') : strange(reply, 300)}</span> ${user !== null && html`<span class="dim">${strange(user)}</span>`}</li>`,
          )}</ul>`
    }
  </section>`;
}

type Need = ApiStatus['verdict']['needs'][number];

/** Where each kind is mended. null: nowhere in the console. */
function needHref({ kind, subject }: Need): string | null {
  switch (kind) {
    case 'destination':
      return subject === null ? '/destinations' : pathTo('/destinations', subject);
    case 'login':
    case 'limit':
      return subject === null ? '/credentials' : pathTo('/credentials', subject);
    case 'certificate':
      return '/certificates';
    case 'held':
      return '/queue?by=message&state=held';
    case 'oldest':
    case 'standstill':
      return '/queue';
    case 'provider':
      return '/destinations';
    default:
      return '/doctor';
  }
}

/** A kind that these texts do not know is told in the words of the relay. */
function needWords(need: Need): Children {
  const { kind, subject, count, until, since, text } = need;
  const name = h('b', {}, strange(subject ?? ''));
  const values = {
    ...{ name, count: count ?? 0, until: when(until), since: when(since), time: when(until, 'until'), age: when(since, 'ago') },
    size: sizeText(count ?? 0),
  };
  if (kind === 'certificate' && until === null) return text;
  if (kind === 'clock') return rich('need.clock', { count: Math.round(Math.abs(count ?? 0)) });
  return kind in KNOWN ? rich(KNOWN[kind], values) : text;
}

const KNOWN: Readonly<Record<Exclude<Need['kind'], 'clock'>, TextKey>> = {
  store: 'need.store',
  disk: 'need.disk',
  port25: 'need.port25',
  standstill: 'need.standstill',
  certificate: 'need.certificate',
  provider: 'need.provider',
  login: 'need.login',
  destination: 'need.destination',
  held: 'need.held',
  limit: 'need.limit',
  oldest: 'need.oldest',
};

/** The first sentence of the overview. */
function flowWords({ flowing, reason }: ApiStatus['verdict']): string {
  if (flowing) return t('overview.flowing');
  return reason === 'disk' || reason === 'store' ? t('overview.taken') : t('overview.stopped');
}
