/** Adds a credential. What sends is asked first, because it decides about all the rest. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { PasswordOnce } from '../credential/password-once.ts';
import { html } from '../html.ts';
import { lineList } from '../line-list.ts';
import { byCommand, pageHead } from '../parts/basics.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { Form, type FormField, type FormValues } from '../parts/form.ts';
import { t } from '../texts.ts';

const KINDS = ['exchange', 'mailServer', 'application', 'device'] as const;
type Kind = (typeof KINDS)[number];
type Made = { readonly name: string; readonly password: string };

export function NewCredentialPage() {
  const { kind: asked } = useFilters(['kind']);
  const kind = KINDS.find((one) => one === asked);
  const [made, show] = useState<Made>();
  if (made !== undefined) return html`${pageHead(t('credentials.new.done', { name: made.name }))} ${h(PasswordOnce, made)}`;
  return html`
    ${pageHead(t('page.newCredential'))}
    <p><a href="/credentials">← ${t('page.credentials')}</a></p>
    <h2 id="kind">${t('credentials.new.kind')}</h2>
    <ul class="choices" aria-labelledby="kind">${KINDS.map((one) => choice(one, one === kind))}</ul>
    ${kind && h(NewForm, { key: kind, kind, done: show })}
    ${byCommand(smarthostCommand('user', 'add', ...EXAMPLES[kind ?? 'exchange']))}
  `;
}

const choice = (kind: Kind, isChosen: boolean) => html`<li>
  <a href=${filterHref({ kind })} aria-current=${isChosen ? 'true' : undefined}>
    <b>${t(`credentials.new.${kind}`)}</b> <span>${t(`credentials.new.${kind}.says`)}</span>
  </a>
</li>`;

const EXAMPLES: Readonly<Record<Kind, readonly string[]>> = {
  exchange: ['exchange', '--mail-server', '--sender', '@example.org'],
  mailServer: ['mail', '--mail-server', '--sender', '@example.org'],
  application: ['shop', '--sender', 'shop@example.org'],
  device: ['printer', '--sender', 'printer@example.org', '--rewrite', 'printer@example.org', '--limit', '100/day'],
};

function NewForm({ kind, done }: { readonly kind: Kind; readonly done: (made: Made) => void }) {
  const fields: readonly FormField[] = [
    { name: 'name', label: t('credentials.name'), hint: t('credentials.new.name.hint'), placeholder: EXAMPLES[kind][0]! },
    { name: 'senders', label: t('credentials.rules'), kind: 'lines', hint: t('credentials.rules.hint'), optional: true },
    ...(kind === 'device'
      ? [{ name: 'rewrite', label: t('credentials.rewrite'), hint: t('credentials.rewrite.hint'), optional: true }]
      : []),
    { name: 'expiresAt', label: t('credentials.expires'), kind: 'date', hint: t('credentials.expires.hint'), optional: true },
  ];
  const send = async (values: FormValues) => done(await api.post<Made>('/credentials', { kind, ...given(values) }));
  return html`<h2>${t(`credentials.new.${kind}`)}</h2>
    ${h(Form, { fields, button: t('credentials.new.submit'), send })}`;
}

/** What is empty is left to the relay. */
function given({ name = '', senders = '', rewrite = '', expiresAt = '' }: FormValues) {
  const rules = lineList(senders);
  return {
    name: name.trim(),
    ...(rules.length === 0 ? {} : { senders: rules }),
    ...(rewrite.trim() === '' ? {} : { rewrite: rewrite.trim() }),
    ...(expiresAt === '' ? {} : { expiresAt }),
  };
}
