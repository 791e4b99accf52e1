/** What the client of a credential must be told, lines to copy for the usual programs, and a test mail. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import type { CredentialProps } from '../pages/credential.ts';
import { byCommand, copyButton, factList, failureNote, loadingNote } from '../parts/basics.ts';
import { Form } from '../parts/form.ts';
import { type TextKey, t } from '../texts.ts';
import { pathTo } from '../url.ts';

/** `GET /credentials/:name/client` */
type ClientSettings = {
  readonly host: string;
  readonly ports: readonly { readonly port: number; readonly encryption: 'TLS' | 'STARTTLS' }[];
  readonly recipes: Readonly<Record<string, string>>;
  readonly powershell: string;
  readonly advice: readonly string[];
  readonly exchangeAdvice: readonly string[];
};

export function ClientView({ user }: CredentialProps) {
  const { value, failure, again } = useLoad<ClientSettings>(`${pathTo('/credentials', user.name)}/client`);
  return html`
    <section>
      <h2>${t('credentials.client')}</h2>
      ${failureNote(failure, again)}
      ${value === undefined && failure === undefined && loadingNote()}
      ${value && settings(value, user.name)}
    </section>
    ${
      value &&
      html`<section>
      <h2>${t('credentials.client.recipes')}</h2>
      <p class="about">${t('credentials.client.recipes.says')}</p>
      ${recipesOf(value, user.mailServer).map(([name, text, advice]) => recipe(name, text, advice))}
    </section>`
    }
    <section>
      <h2>${t('credentials.test')}</h2>
      ${h(TestMail, { sender: user.senders.find((rule) => rule.indexOf('@') > 0) ?? '' })}
    </section>
    ${byCommand(smarthostCommand('client', user.name), ...(user.mailServer ? [smarthostCommand('exchange', user.name)] : []))}
  `;
}

const settings = ({ host, ports }: ClientSettings, name: string) =>
  factList([
    [t('credentials.client.server'), html`<code>${host}</code> ${copyButton(host)}`],
    ...ports.map(({ port, encryption }) => {
      const words = t(encryption === 'TLS' ? 'credentials.client.port.tls' : 'credentials.client.port.starttls', {
        port: String(port),
      });
      return [t('credentials.client.port'), words] as const;
    }),
    [t('credentials.client.auth'), t('credentials.client.auth.text')],
    [t('credentials.once.user'), html`<code>${name}</code> ${copyButton(name)}`],
  ]);

type Recipe = readonly [name: string, text: string, advice: readonly string[]];

/** Exchange comes first for mail servers, and last for the others. */
function recipesOf({ recipes, powershell, advice, exchangeAdvice }: ClientSettings, mailServer: boolean): readonly Recipe[] {
  const exchange: Recipe = ['powershell', powershell, exchangeAdvice];
  const others = Object.entries(recipes).map(([name, text], at) => [name, text, at === 0 ? advice : []] as const);
  return mailServer ? [exchange, ...others] : [...others, exchange];
}

const TITLES: Readonly<Record<string, TextKey>> = {
  postfix: 'credentials.recipe.postfix',
  msmtp: 'credentials.recipe.msmtp',
  url: 'credentials.recipe.url',
  laravel: 'credentials.recipe.laravel',
  django: 'credentials.recipe.django',
  try: 'credentials.recipe.try',
  powershell: 'credentials.recipe.powershell',
};

const recipe = (name: string, text: string, advice: readonly string[]) => {
  const key = TITLES[name];
  const title = key === undefined ? name : t(key);
  return html`<details class="recipe">
    <summary>${title}</summary>
    <pre tabindex="0" aria-label=${title}>${text}</pre>
    ${copyButton(text)}
    ${advice.length > 0 && html`<ul>${advice.map((sentence) => html`<li>${sentence}</li>`)}</ul>`}
  </details>`;
};

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
