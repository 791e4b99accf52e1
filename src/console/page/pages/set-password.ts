/** Whom a link lets set a password: a new account, one that was reset, or the first administrator. A link counts once. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiFailure, api, relayName } from '../api.ts';
import { html } from '../html.ts';
import { asFailure } from '../load.ts';
import type { PageProps } from '../pages.ts';
import { failureNote, loadingNote, pageHead } from '../parts/basics.ts';
import { Form, type FormValues } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { navigate } from '../router.ts';
import { beginSession } from '../session.ts';
import { rich, t } from '../texts.ts';

type Look = { readonly account: string | null };

export function SetPasswordPage({ params: { code } }: PageProps) {
  const [look, show] = useState<Look>();
  const [failure, fail] = useState<ApiFailure>();
  useEffect(() => {
    api.post<Look>('/setup/look', { code }, { bare: true }).then(show, (error) => fail(asFailure(error)));
  }, [code]);
  const send = async ({ name = '', password = '', again }: FormValues) => {
    if (password !== again)
      throw new ApiFailure(0, t('setup.differ'), undefined, [{ pointer: '/again', detail: t('setup.differ') }]);
    const own = look?.account === null ? { name } : {};
    const made = await api.post<{ name: string }>('/setup', { code, ...own, password }, { bare: true });
    await beginSession({ name: made.name, password });
    navigate('/', { replace: true });
    tellDone(t('setup.done'));
  };
  return html`<div class="narrow login">
    <p class="brand"><b>smarthost</b> <span>${relayName()}</span></p>
    ${pageHead(t('page.setPassword'))} ${failureNote(failure)} ${failure && html`<p>${t('setup.ended')} <code>smarthost console reset NAME</code></p>`}
    ${!look && !failure && loadingNote()}
    ${
      look &&
      h(Form, {
        about: look.account === null ? t('setup.first') : rich('setup.of', { name: html`<b>${look.account}</b>` }),
        fields: [
          ...(look.account === null ? [{ name: 'name', label: t('login.name'), autocomplete: 'username' }] : []),
          {
            name: 'password',
            label: t('setup.password'),
            kind: 'password' as const,
            hint: t('setup.rule'),
            autocomplete: 'new-password',
          },
          { name: 'again', label: t('setup.again'), kind: 'password' as const, autocomplete: 'new-password' },
        ],
        button: t('setup.button'),
        send,
      })
    }
  </div>`;
}
