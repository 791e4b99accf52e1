/** The seventh step: one message, followed to its end. */
import { h } from 'preact';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { failureNote, stateMark, strange, when } from '../parts/basics.ts';
import { Form } from '../parts/form.ts';
import { t } from '../texts.ts';

type Message = {
  readonly id: string;
  readonly reversePath: string;
  readonly recipients: readonly {
    readonly recipient: string;
    readonly state: string;
    readonly nextAttemptAt: string | null;
    readonly attempts: readonly {
      readonly mx: string | null;
      readonly ip: string | null;
      readonly tls: string | null;
      readonly reply: string;
    }[];
  }[];
};

type MailProps = {
  /** undefined: a test message can be sent. */
  readonly id: string | undefined;
  readonly sent: (id: string) => void;
};

export function MailStep({ id, sent }: MailProps) {
  if (id !== undefined) return h(Followed, { key: id, id });
  return html`<div class="step">${h(Form, {
    about: html`<p>${t('firstRun.mailAbout')}</p>`,
    fields: [
      {
        name: 'to',
        label: t('firstRun.mailTo'),
        autocomplete: 'email',
        placeholder: 'you@example.com',
        hint: t('firstRun.mailHint'),
      },
    ],
    button: t('firstRun.mailSend'),
    send: async ({ to }) => sent((await api.post<{ id: string }>('/test-messages', { to })).id),
  })}</div>`;
}

function Followed({ id }: { readonly id: string }) {
  const { value, failure, again } = useLoad<Message>(`/messages/${encodeURIComponent(id)}`, { every: 1000 });
  if (value === undefined) return failureNote(failure, again) ?? null;
  const allRelayed = value.recipients.every(({ state }) => state === 'relayed');
  return html`<div class="step">
    <p class="mono">${value.id} <span class="dim">${strange(value.reversePath)}</span></p>
    <div role="log" aria-live="polite">${value.recipients.map(recipientPart)}</div>
    ${
      allRelayed &&
      html`<p role="status" class="verdict"><b>${t('firstRun.arrived')}</b></p>
      <p>${t('firstRun.arrivedAbout')}</p>
      <p><a class="button main" href="/">${t('firstRun.toOverview')}</a></p>`
    }
  </div>`;
}

function recipientPart({ recipient, state, nextAttemptAt, attempts }: Message['recipients'][number]) {
  return html`<section class="panel">
    <p>${strange(recipient)} ${stateMark(state)} ${nextAttemptAt !== null && html`<span class="dim">${t('firstRun.nextAttempt')} ${when(nextAttemptAt, 'until')}</span>`}</p>
    <ol>${attempts.map(({ mx, ip, tls, reply }) => html`<li>${strange(mx)} ${ip !== null && html`<span class="mono">[${ip}]</span>`} ${tls ?? t('firstRun.noTls')} · ${strange(reply, 300)}</li>`)}</ol>
  </section>`;
}
