/** Which way mail of a destination takes, what is demanded of the TLS of its hosts there, by whom, and what a session was worth. */
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { factList, failureNote, loadingNote, mark, strange, type Tone, when } from '../parts/basics.ts';
import { type Sentence, said } from '../phrases.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';
import type { DestinationRow } from './words.ts';

/** `GET /destinations/:key/policy` */
type Policy = {
  readonly validates: boolean;
  readonly hosts: readonly DemandedHost[];
  readonly mtaSts: { readonly mode: string; readonly id: string; readonly fetchedAt: string; readonly expiresAt: string } | null;
  readonly mtaStsProblem: string | null;
  readonly mtaStsPhrase: Sentence | null;
  readonly sentence: string;
  readonly exceptions: readonly {
    readonly subject: string;
    readonly what: string;
    readonly phrase: Sentence;
    readonly until: string | null;
  }[];
};

type DemandedHost = {
  readonly host: string;
  readonly ip: string;
  readonly tlsa: readonly { readonly record: string; readonly fate: string; readonly phrase: Sentence }[];
  readonly demand: string;
  readonly sentence: string;
  readonly phrase: Sentence;
};

/** What a session can be worth. Any other word is why a host gets no mail. */
const DEMANDS = ['clear', 'tls', 'encrypt', 'verify', 'sts-testing', 'sts', 'dane-insecure-mx', 'dane', 'required'] as const;
const WEAK: Readonly<Record<string, readonly [Tone, string?]>> = { clear: ['wait', '▲'], tls: ['plain'] };

function worth(word: string) {
  const known = DEMANDS.find((one) => one === word);
  if (known === undefined) return mark('bad', html`${t('destinations.demand.none')} <code>${strange(word)}</code>`);
  const [tone, sign] = WEAK[known] ?? ['good'];
  return mark(tone, t(`destinations.demand.${known}`), sign);
}

type Fact = readonly [label: string, value: ReturnType<typeof html>];

/** Rows of a list of facts. */
export function wayFacts({ key, routes, fallback }: DestinationRow): readonly (Fact | false)[] {
  const isTaken = routes.some(({ senderDomain, user, mx }) => senderDomain === null && user === null && mx === null);
  return [
    [
      t('destinations.route'),
      html`<ul class="list">${routes.map(
        ({ hosts, tls, login, ...asks }) =>
          html`<li>${upstream(hosts, tls)}${login && html` <span class="dim">${t('destinations.route.login')}</span>`} ${condition(asks)}</li>`,
      )}${!isTaken && !key.startsWith('route:') && html`<li>${t(routes.length === 0 ? 'destinations.route.mx' : 'destinations.route.others')}</li>`}</ul>`,
    ],
    fallback !== null && [
      t('destinations.fallback'),
      html`${upstream(fallback.hosts, fallback.tls)} <span class="dim">${t('destinations.fallback.says')}</span>`,
    ],
  ];
}

const upstream = (hosts: readonly string[], tls: string) =>
  html`<code>${strange(hosts.join(', '))}</code> <span class="dim">tls: ${strange(tls)}</span>`;

function condition({ senderDomain, user, mx }: Pick<DestinationRow['routes'][number], 'senderDomain' | 'user' | 'mx'>) {
  const parts = [
    user !== null && rich('destinations.route.user', { name: strange(user) }),
    senderDomain !== null && rich('destinations.route.sender', { domain: strange(senderDomain) }),
    mx !== null && rich('destinations.route.onMx', { name: strange(mx) }),
  ].filter((part) => part !== false);
  return parts.map((part, at) => html`${at > 0 && ', '}${part}`);
}

/** It asks the DNS, so once for each opened page, and at each click. */
export function PolicySection({ one }: { readonly one: DestinationRow }) {
  const path = one.key.startsWith('route:') ? null : `${pathTo('/destinations', one.key)}/policy`;
  const { value, failure, at, busy, again } = useLoad<Policy>(path);
  const session = one.heard?.session ?? null;
  return html`<section aria-label=${t('destinations.policy')}>
    <h2>${t('destinations.policy')}</h2>
    ${path === null && html`<p class="about">${t('destinations.policy.ofRoute')}</p>`}
    ${failureNote(failure, again)}
    ${path !== null && value === undefined && failure === undefined && loadingNote()}
    ${factList([
      ...(value === undefined ? [] : hostsOf(value)),
      value !== undefined && [t('destinations.sts'), stsWords(value)],
      value !== undefined &&
        value.exceptions.length > 0 && [
          t('destinations.exceptions'),
          html`<ul class="list">${value.exceptions.map(({ subject, what, phrase, until }) => html`<li>${strange(subject)}: ${strange(said(what, phrase))}${until !== null && html` <span class="dim">${when(until, 'until')}</span>`}</li>`)}</ul>`,
        ],
      session !== null && [t('destinations.session'), sessionWorth(session)],
    ])}
    ${value && html`<p class="dim" role="status">${rich('destinations.policy.looked', { time: when(at) })} <button class="quiet" aria-disabled=${busy} onClick=${() => again()}>${t('destinations.policy.again')}</button></p>`}
  </section>`;
}

/** A host says the same at all its addresses, unless one of them has been proven and another not. */
function hostsOf({ hosts, sentence }: Policy) {
  if (hosts.length === 0) return [[t('destinations.hosts'), strange(sentence)]] as const;
  const same = Map.groupBy(hosts, (one) => `${one.host} ${one.sentence}`);
  return [...same.values()].map(([first, ...more]) => {
    const { host, ip, tlsa, demand, sentence: why, phrase } = first!;
    const all = [ip, ...more.map((one) => one.ip)].join(', ');
    return [
      html`${strange(host)} <span class="dim">${all}</span>`,
      html`${worth(demand)} <div class="dim">${strange(said(why, phrase))}</div>
      ${tlsa.length > 0 && html`<ul class="list">${tlsa.map(({ record, fate, phrase }) => html`<li><code>TLSA ${record}</code> <span class="dim">${strange(said(fate, phrase))}</span></li>`)}</ul>`}`,
    ] as const;
  });
}

function stsWords({ mtaSts, mtaStsProblem, mtaStsPhrase }: Policy) {
  const problem = mtaStsProblem !== null && html`<div class="fault">${strange(said(mtaStsProblem, mtaStsPhrase))}</div>`;
  if (mtaSts === null) return html`<span class="dim">${t('destinations.sts.none')}</span>${problem}`;
  const { mode, id, fetchedAt, expiresAt } = mtaSts;
  const values = { id: strange(id), age: when(fetchedAt, 'ago'), end: when(expiresAt, 'until') };
  return html`<code>${strange(mode)}</code> ${rich('destinations.sts.says', values)}${problem}`;
}

type Session = NonNullable<NonNullable<DestinationRow['heard']>['session']>;

const sessionWorth = ({ at, mx, tls, assurance, proof, phrase, policyId, fallback }: Session) => html`${worth(assurance)}
  <div>${when(at)} ${strange(mx)} ${tls === null ? t('destinations.tls.none') : strange(tls)}${fallback && html` <span class="dim">${t('destinations.fallback')}</span>`}</div>
  ${proof !== null && html`<div class="dim">${rich('destinations.session.proof', { proof: strange(said(proof, phrase)) })}</div>`}
  ${policyId !== null && html`<div class="dim">${rich('destinations.session.policy', { id: strange(policyId) })}</div>`}`;
