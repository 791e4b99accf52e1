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
import { navigate } from '../router.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { clientFacts, clientRecipes, type ShownClient } from './client-facts.ts';
import { ClientLook } from './client-look.ts';
import { PasswordOnce } from './password-once.ts';

export function ClientView({ user }: CredentialProps) {
  const { value, failure, again } = useLoad<ShownClient>(`${pathTo('/credentials', user.name)}/client`);
  return html`
    <section>
      <h2>${t('credentials.client')}</h2>
      ${failureNote(failure, again)}
      ${value === undefined && failure === undefined && loadingNote()}
      ${value && clientFacts(value, user)}
    </section>
    ${h(NextLogin, { user })}
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
      ${h(TestMail, { sender: testSender(user.senders) })}
    </section>
    ${byCommand(smarthostCommand('client', user.name), ...(user.mailServer ? [smarthostCommand('exchange', user.name)] : []))}
  `;
}

/** A client that has never logged in is being set up now, so its first login is awaited without a click. */
function NextLogin({ user: { name, lastLogin } }: Pick<CredentialProps, 'user'>) {
  const [isAwaited, wait] = useState(lastLogin === null);
  const [password, show] = useState<string | null>(null);
  return html`
    ${password !== null && h(PasswordOnce, { name, password })}
    ${
      isAwaited
        ? html`<p class="about">${t('client.about')}</p>
          ${h(ClientLook, { name, isKnown: lastLogin !== null, changed: show, accepted: (id) => navigate(pathTo('/messages', id)) })}`
        : html`<section><h2>${t('client.title')}</h2><div class="buttons"><button onClick=${() => wait(true)}>${t('client.watch')}</button></div></section>`
    }
  `;
}

/** An address that the login may send as: one of its own, or any of its domain. */
const testSender = (rules: readonly string[]) =>
  rules.find((rule) => rule.indexOf('@') > 0) ?? rules.find((rule) => /^@[^.]/.test(rule))?.replace(/^/, 'test') ?? '';

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
