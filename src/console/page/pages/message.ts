/** One message: how it came, and for each recipient what was tried, what was answered, and what comes next. */
import type { ApiMessage } from '../../api/message-shapes.ts';
import { api, relayName } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { durationText, numberText, sizeText } from '../format.ts';
import { type Children, html } from '../html.ts';
import { useLoad } from '../load.ts';
import { recipientCount, senderWords, stateMarks } from '../mail/message-words.ts';
import { proofText, wholeReply } from '../mail/proof.ts';
import { queueButtons } from '../mail/queue-actions.ts';
import type { PageProps } from '../pages.ts';
import {
  byCommand,
  copyButton,
  factList,
  failureNote,
  loadingNote,
  mark,
  pageHead,
  stateMark,
  strange,
  when,
} from '../parts/basics.ts';
import { openDialog } from '../parts/dialog.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { orTell } from '../parts/toast.ts';
import { said } from '../phrases.ts';
import { mayAs } from '../session.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

type Recipient = ApiMessage['recipients'][number];
type Attempt = Recipient['attempts'][number];

const OPEN: readonly string[] = ['queued', 'active', 'delayed', 'uncertain', 'held'];
const POLL = 5000;
/** Recipients of one look: a message may have thousands of attempts. */
const MOST_SHOWN = 50;
/** Characters: more than a reply is kept with. */
const WHOLE = 100_000;

export function MessagePage({ params: { id = '' } }: PageProps) {
  const { from } = useFilters(['from']);
  const {
    value: message,
    failure,
    again,
  } = useLoad<ApiMessage>(`/messages/${encodeURIComponent(id)}`, {
    query: { from, limit: MOST_SHOWN },
    every: POLL,
  });
  if (message === undefined)
    return html`${pageHead(t('page.message'))} ${failureNote(failure, again)} ${failure ? html`<p><a href="/messages">${t('page.messages')}</a></p>` : loadingNote()}${byCommand(smarthostCommand('trace', id))}`;
  const states = Object.keys(message.states);
  const isOpen = states.some((state) => OPEN.includes(state));
  return html`
    ${pageHead(message.subject === undefined ? html`<span class="mono">${message.id}</span>` : strange(message.subject, 300), actions(message))}
    ${failureNote(failure, again)}
    <section class="panel">
      ${facts(message)}
    </section>
    ${isOpen && mayAs('operator') && queueButtons({ selection: { ids: [message.id] }, states, done: again })}
    ${partLine(message, Number(from ?? 0))}
    <ol class="timeline" aria-label=${t('message.recipients')}>
      <li>${accepted(message)}</li>
      ${message.recipients.map((recipient) => html`<li key=${recipient.recipient}>${recipientPart(recipient, message)}</li>`)}
    </ol>
    ${message.about !== null && html`<p>${t('message.about')} <a class="mono" href=${pathTo('/messages', message.about)}>${message.about}</a></p>`}
    ${byCommand(smarthostCommand('trace', '--verbose', message.id))}
  `;
}

/** Which recipients these are, and the way to the others. */
function partLine({ recipients, states, next }: ApiMessage, from: number) {
  if (from === 0 && next === null) return null;
  const [first, last] = [from + 1, from + recipients.length];
  const before = from > MOST_SHOWN ? String(from - MOST_SHOWN) : null;
  return html`<nav class="pager" aria-label=${t('message.recipients')}>
    <span>${stateMarks({ states })}</span>
    <span>${t('message.part', { first, last, count: recipientCount({ states }) })}</span>
    ${from > 0 && html`<a class="button" href=${filterHref({ from: before })}>${t('message.earlier')}</a>`}
    ${next !== null && html`<a class="button" href=${filterHref({ from: String(next) })}>${t('message.later')}</a>`}
  </nav>`;
}

function actions(message: ApiMessage) {
  return html`${copyButton(proofText(message, relayName()), t('message.proof'))} ${copyButton(location.origin + pathTo('/messages', message.id), t('message.link'))}
    ${mayAs('operator') && html`<button onClick=${() => showHeaders(message.id)}>${t('message.headers')}</button>`}`;
}

/** Headers are kept as long as a recipient has not ended. */
async function showHeaders(id: string) {
  const text = await orTell(() => api.get<string>(`/messages/${encodeURIComponent(id)}/headers`));
  if (text === undefined) return;
  const body = (close: () => void): Children => html`<pre>${strange(text, 100_000)}</pre>
    <div class="buttons"><button class="main" onClick=${() => close()}>${t('dialog.close')}</button> ${copyButton(text)}</div>`;
  await openDialog({ title: t('message.headers'), wide: true, body });
}

const facts = ({ id, messageId, reversePath, user, size, requireTls, tlsOptional, signatures, recipients }: ApiMessage) =>
  factList([
    [t('message.id'), html`<span class="mono">${id}</span> ${copyButton(id)}`],
    [t('messages.messageId'), html`<span class="mono">${strange(messageId)}</span>`],
    [t('messages.from'), senderWords(reversePath)],
    [
      t('messages.credential'),
      user === null
        ? 'smarthost'
        : mayAs('operator')
          ? html`<a href=${pathTo('/credentials', user)}>${strange(user)}</a>`
          : strange(user),
    ],
    [t('message.size'), t('message.octets', { size: sizeText(size), count: size, octets: numberText(size) })],
    [
      t('message.signed'),
      signatures.length === 0
        ? t('message.unsigned')
        : signatures.map((name) => html`<span class="mono">${strange(name)}</span> `),
    ],
    requireTls === true && ['REQUIRETLS', t('message.requireTls')],
    tlsOptional === true && ['TLS-Required: No', t('message.tlsOptional')],
    [t('message.until'), when(recipients[0]?.expiresAt)],
  ]);

function accepted({ acceptedAt, user, client }: ApiMessage) {
  return html`<div class="line">${when(acceptedAt)} ${mark('good', t('message.accepted'), '●')}
    <span>${client === undefined ? (user === null ? t('message.own') : t('message.notRecorded')) : html`${strange(user)} <span class="dim">${client.ip} · ${client.tls ?? t('message.noTls')} · ${client.mechanism}</span>`}</span></div>`;
}

function recipientPart(
  { recipient, state, heldBy, attempts, nextAttemptAt, expiresAt, lastReply }: Recipient,
  message: ApiMessage,
) {
  const report = message.reports.find((one) => attempts.length > 0 && one.acceptedAt >= (attempts.at(-1)?.at ?? ''));
  const isOpen = OPEN.includes(state);
  return html`<section>
    <div class="line"><h2>${strange(recipient)}</h2> ${stateMark(state)}
      ${heldBy !== undefined && html`<span>${t('message.heldBy')} ${strange(heldBy)}</span>`}
      ${isOpen && nextAttemptAt !== null && state !== 'held' && html`<span class="dim">${t('message.next')} ${when(nextAttemptAt)} (${when(nextAttemptAt, 'until')}), ${t('message.atMost')} ${when(expiresAt)}</span>`}
      ${!isOpen && state !== 'relayed' && report !== undefined && html`<span>${t('message.report')} <a class="mono" href=${pathTo('/messages', report.id)}>${report.id}</a> → ${strange(report.recipient)} ${stateMark(report.state)}</span>`}
    </div>
    ${attempts.length === 0 ? html`<p class="dim">${t('message.noAttempts')}</p>` : html`<ol class="attempts">${attempts.map((attempt, at) => html`<li key=${at}>${attemptLine(attempt, at + 1)}</li>`)}</ol>`}
    ${lastReply !== null && lastReply !== attempts.at(-1)?.reply && html`<p class="reply">${strange(lastReply, WHOLE)}</p>`}
  </section>`;
}

const ASSURANCES = ['clear', 'tls', 'encrypt', 'verify', 'sts-testing', 'sts', 'dane-insecure-mx', 'dane', 'required'] as const;

/** What the session was worth. */
function assuranceWords(assurance: string) {
  const known = ASSURANCES.find((one) => one === assurance);
  return known === undefined ? strange(assurance) : t(`message.assurance.${known}`);
}

function judgedWords({ class: word, action, provider, phase, rules }: NonNullable<Attempt['judged']>) {
  const by = rich('message.judgedBy', { phase: strange(phase), rules: strange(rules) });
  return html`${strange(word)} → ${strange(action)} (${provider !== undefined && html`${strange(provider)}, `}${by})`;
}

function attemptLine(attempt: Attempt, number: number) {
  const { at, mx, ip, tls, outcome, seconds, via, assurance, proof, phrase = null, policyId, judged, conversation } = attempt;
  const tone = outcome === 'relayed' ? 'good' : outcome === 'failed' ? 'bad' : 'wait';
  return html`<div class="line"><span class="dim">${number}</span> ${when(at)} ${mark(tone, t(`outcome.${outcome}`))}
      <span>${strange(mx ?? t('message.noHost'))}${ip !== null && html` <span class="dim">[${ip}]</span>`}</span>
      <span>${tls ?? t('message.noTls')}</span> <span class="dim">${durationText(seconds * 1000)}</span>
      ${via !== undefined && html`<span class="dim">${t('message.via')} ${strange(via)}</span>`}</div>
    <p class="reply">${strange(wholeReply(attempt), WHOLE)}</p>
    ${assurance !== undefined && html`<p class="dim">${t('message.assurance')} ${assuranceWords(assurance)}</p>`}
    ${proof !== undefined && html`<p class="dim">${rich('message.acceptedBy', { proof: strange(said(proof, phrase)) })}</p>`}
    ${policyId !== undefined && html`<p class="dim">${rich('message.policy', { id: strange(policyId) })}</p>`}
    ${judged !== undefined && html`<p class="dim">${t('message.judged')} ${judgedWords(judged)}</p>`}
    ${conversation !== undefined && html`<details><summary>${t('message.said')}</summary><pre>${conversation.map((line) => [strange(line), '\n'])}</pre></details>`}`;
}
