/** What would happen to mail for a domain now, and why. No mail is sent. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import type { DomainCheck } from '../../../control/control.ts';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { factList, mark, strange, type Tone, when } from '../parts/basics.ts';
import { useFilters } from '../parts/filter-bar.ts';
import { Form } from '../parts/form.ts';
import { said } from '../phrases.ts';
import { t } from '../texts.ts';

const TONES: Readonly<Record<DomainCheck['result'], Tone>> = { sent: 'good', delayed: 'wait', returned: 'bad' };

export function PolicyLook() {
  const { domain } = useFilters(['domain']);
  const [found, show] = useState<DomainCheck>();
  return html`<section>
    <h2 class="hidden">${t('tls.view.check')}</h2>
    ${h(Form, {
      about: t('tls.check.about'),
      fields: [
        { name: 'domain', label: t('tls.domain'), first: domain ?? '', placeholder: 'example.org' },
        { name: 'connect', label: t('tls.check.connect'), kind: 'yes', hint: t('tls.check.connectHint') },
      ],
      button: t('tls.check.button'),
      send: async ({ domain: name = '', connect }) =>
        show(await api.post<DomainCheck>('/tls/check', { domain: name.trim(), connect: connect === 'yes' })),
    })}
    <div role="status">${found && result(found)}</div>
  </section>`;
}

function result(found: DomainCheck) {
  const {
    result: fate,
    sentence,
    phrase,
    mx,
    validates,
    mtaSts,
    mtaStsProblem,
    mtaStsPhrase,
    tlsReports,
    exceptions,
    hosts,
  } = found;
  const noPolicy = mtaStsProblem === null ? t('tls.none') : said(mtaStsProblem, mtaStsPhrase);
  return html`<section class="panel">
    <p class="answer">${mark(TONES[fate], t(`tls.check.${fate}`))}</p>
    <p>${strange(said(sentence, phrase))}</p>
    ${factList([
      mx !== null && [
        t('tls.check.mx'),
        html`${strange(mx.hosts.flat().join(', '))} <span class="dim">${proven(mx.proven)}</span>`,
      ],
      [t('tls.check.resolver'), t(validates ? 'tls.check.validates' : 'tls.check.validatesNot')],
      [t('tls.check.policy'), mtaSts === null ? strange(noPolicy) : html`${mtaSts.mode}: ${strange(mtaSts.mx.join(', '))}`],
      [t('tls.check.reports'), tlsReports === null ? t('tls.check.notWanted') : strange(tlsReports.join(', '))],
      ...exceptions.map(
        ({ subject, what, phrase: inOther, until }) =>
          [
            t('tls.check.exception'),
            html`${strange(subject)}: ${said(what, inOther)}${until !== null && html` <span class="dim">${when(until)}</span>`}`,
          ] as const,
      ),
    ])}
    ${hosts.map(hostOf)}
  </section>`;
}

const hostOf = ({
  host,
  port,
  ip,
  proven: isProven,
  sentence,
  phrase,
  tlsa,
  session,
}: DomainCheck['hosts'][number]) => html`<section key=${`${host} ${ip}`}>
  <h3>${strange(host)} <span class="dim">[${ip}] ${port}</span></h3>
  <p>${strange(said(sentence, phrase))} <span class="dim">${proven(isProven)}</span></p>
  ${session !== null && html`<p>${mark(session.ok ? 'good' : 'bad', session.tls ?? t('tls.check.noTls'))} ${'reply' in session && strange(session.reply, 300)}</p>`}
  ${tlsa.length > 0 && html`<ul class="list">${tlsa.map(({ record, fate, phrase: inOther }) => html`<li><code>${strange(record)}</code> ${strange(said(fate, inOther))}</li>`)}</ul>`}
</section>`;

const proven = (isProven: boolean) => t(isProven ? 'tls.check.proven' : 'tls.check.provenNot');
