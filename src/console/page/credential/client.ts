/** What the client of a credential must be told, lines to copy for the usual programs, and a test mail. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import type { CredentialProps } from '../pages/credential.ts';
import { byCommand, failureNote, loadingNote } from '../parts/basics.ts';
import { Form } from '../parts/form.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { clientFacts, clientRecipes, type ShownClient } from './client-facts.ts';

export function ClientView({ user }: CredentialProps) {
  const { value, failure, again } = useLoad<ShownClient>(`${pathTo('/credentials', user.name)}/client`);
  return html`
    <section>
      <h2>${t('credentials.client')}</h2>
      ${failureNote(failure, again)}
      ${value === undefined && failure === undefined && loadingNote()}
      ${value && clientFacts(value, user)}
    </section>
    ${
      value &&
      html`<section>
      <h2>${t('credentials.client.recipes')}</h2>
      <p class="about">${t('credentials.client.recipes.says')}</p>
      ${clientRecipes(value, user.mailServer)}
    </section>`
    }
    <section>
      <h2>${t('credentials.test')}</h2>
      ${h(TestMail, { sender: user.senders.find((rule) => rule.indexOf('@') > 0) ?? '' })}
    </section>
    ${byCommand(smarthostCommand('client', user.name), ...(user.mailServer ? [smarthostCommand('exchange', user.name)] : []))}
  `;
}

function TestMail({ sender }: { readonly sender: string }) {
  const [sent, show] = useState<string>();
  return html`${h(Form, {
    fields: [
      { name: 'from', label: t('credentials.test.from'), first: sender },
      { name: 'to', label: t('credentials.test.to'), hint: t('credentials.test.to.hint') },
    ],
    about: t('credentials.test.says'),
    button: t('credentials.test.submit'),
    send: async ({ from = '', to = '' }) => {
      const sender = from.trim();
      const { id } = await api.post<{ readonly id: string }>('/test-messages', {
        to: to.trim(),
        ...(sender === '' ? {} : { from: sender }),
      });
      show(id);
    },
  })}
  <p role="status">${sent !== undefined && html`${t('credentials.test.sent')} <a href=${pathTo('/messages', sent)}>${t('credentials.test.follow')}</a>`}</p>`;
}
