/** The sixth step: a login for what sends, its settings to copy, and what its client does, live. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api.ts';
import { clientFacts, clientRecipes, type ShownClient } from '../credential/client-facts.ts';
import { ClientLook } from '../credential/client-look.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { failureNote } from '../parts/basics.ts';
import { Form } from '../parts/form.ts';
import { loadTexts, type TextKey, t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { wordsOf } from './first-run-state.ts';

const KINDS = ['exchange', 'mailServer', 'application', 'device'] as const;
type Kind = (typeof KINDS)[number];
type Login = { readonly name: string; readonly password: string | null; readonly kind: Kind };

type ClientProps = {
  /** Mail of the client was accepted. */
  readonly sent: (id: string) => void;
  readonly skip: () => void;
};

export function ClientStep({ sent, skip }: ClientProps) {
  const [kind, choose] = useState<Kind>();
  const [login, made] = useState<Login>();
  if (login !== undefined)
    return html`<div class="step">
      ${h(ClientSettings, { login })}
      ${h(ClientLook, { name: login.name, changed: (password) => made({ ...login, password }), accepted: sent })}
      <div class="buttons"><button type="button" onClick=${skip}>${t('firstRun.testInstead')}</button> <button type="button" class="quiet" onClick=${() => made(undefined)}>${t('firstRun.another')}</button></div>
    </div>`;
  return html`<div class="step">
    <fieldset class="choice"><legend>${t('firstRun.whatSends')}</legend>
      ${KINDS.map((one) => html`<label><input type="radio" name="kind" value=${one} checked=${kind === one} onChange=${() => choose(one)} /> ${t(`firstRun.kind.${one}` as TextKey)}</label>`)}
    </fieldset>
    ${kind && h(LoginFields, { key: kind, kind, made })}
    <div class="buttons"><button type="button" class="quiet" onClick=${skip}>${t('firstRun.skipClient')}</button></div>
  </div>`;
}

const NAMES: Readonly<Record<Kind, string>> = { exchange: 'exchange', mailServer: 'mail', application: 'app', device: 'printer' };

function LoginFields({ kind, made }: { readonly kind: Kind; readonly made: (login: Login) => void }) {
  const { value } = useLoad<{ items: readonly { domain: string }[] }>('/domains');
  const { value: status } = useLoad<{ hostname: string }>('/status');
  if (value === undefined || status === undefined) return null;
  const own = value.items.map(({ domain }) => domain).filter((domain) => domain !== status.hostname);
  const senders = (own.length === 0 ? [status.hostname] : own).map((domain) => `@${domain}`);
  return h(Form, {
    about: html`<p>${t(`firstRun.about.${kind}` as TextKey)}</p>`,
    fields: [
      { name: 'name', label: t('firstRun.loginName'), first: NAMES[kind], hint: t('firstRun.loginNameHint') },
      { name: 'senders', label: t('firstRun.senders'), first: senders.join(' '), hint: t('firstRun.sendersHint') },
    ],
    button: t('firstRun.makeLogin'),
    send: async ({ name, senders }) => {
      made({ ...(await api.post<Omit<Login, 'kind'>>('/credentials', { name, kind, senders: wordsOf(senders) })), kind });
    },
  });
}

function ClientSettings({ login: { name, password, kind } }: { readonly login: Login }) {
  const { value, failure, again } = useLoad<ShownClient>(`${pathTo('/credentials', name)}/client`);
  const [spoken, speak] = useState(false);
  useEffect(() => void loadTexts('senders').then(() => speak(true)), []);
  if (value === undefined || !spoken) return failureNote(failure, again);
  return html`<section aria-label=${t('firstRun.settings')}>
    <h2>${t('firstRun.settings')}</h2>
    ${clientFacts(value, { name, password })}
    <details class="unfold"><summary>${t('firstRun.recipes')}</summary>
      ${clientRecipes(value, kind === 'exchange')}
    </details>
  </section>`;
}
