/** Name, password and, where the account has one, the code of its second factor. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { ApiFailure, api } from '../api.ts';
import { type Children, html } from '../html.ts';
import { beginSession } from '../session.ts';
import { t } from '../texts.ts';
import { Form, type FormField } from './form.ts';

type LoginProps = {
  /** Who was logged in before. */
  readonly name?: string;
  readonly about: Children;
  readonly done?: () => void;
};

export function LoginForm({ name, about, done }: LoginProps) {
  const [needsCode, ask] = useState(false);
  const fields: readonly FormField[] = [
    { name: 'name', label: t('login.name'), autocomplete: 'username', ...(name === undefined ? {} : { first: name }) },
    { name: 'password', label: t('login.password'), kind: 'password', autocomplete: 'current-password' },
    ...(needsCode ? [CODE()] : []),
  ];
  const send = async ({ name = '', password = '', code = '' }: Readonly<Record<string, string>>) => {
    try {
      await beginSession({ name, password, ...(code === '' ? {} : { code: code.replaceAll(/\s/g, '') }) });
      done?.();
    } catch (error) {
      if (!(error instanceof ApiFailure && error.type.endsWith('#code-needed')) || needsCode) throw error;
      ask(true);
      toCode();
    }
  };
  return h(Form, {
    fields,
    about,
    button: t('login.button'),
    send,
    more: () => html`<p class="hint">${t('login.lost')} <code>smarthost console reset NAME</code></p>`,
  });
}

const CODE = (): FormField => ({
  name: 'code',
  label: t('login.code'),
  hint: t('login.codeHint'),
  autocomplete: 'one-time-code',
});

/** When the field is drawn: it is what is asked for next. */
const toCode = () => setTimeout(() => document.querySelector<HTMLElement>('input[name=code]')?.focus());

/** Before what cannot be taken back, if the last time is long ago. */
export function ConfirmForm({ done }: { readonly done: () => void }) {
  const [needsCode, ask] = useState(false);
  const fields: readonly FormField[] = [
    { name: 'password', label: t('login.password'), kind: 'password', autocomplete: 'current-password' },
    ...(needsCode ? [CODE()] : []),
  ];
  const send = async ({ password = '', code = '' }: Readonly<Record<string, string>>) => {
    try {
      await api.post('/session/confirm', { password, ...(code === '' ? {} : { code }) }, { bare: true });
      done();
    } catch (error) {
      if (!(error instanceof ApiFailure && error.type.endsWith('#code-needed')) || needsCode) throw error;
      ask(true);
      toCode();
    }
  };
  return h(Form, { fields, about: t('login.confirmAbout'), button: t('login.confirmButton'), send });
}
