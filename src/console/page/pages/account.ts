/** The account of the reader: password, second factor, and where it is logged in. */
import { h } from 'preact';
import { SecondFactor } from '../account/second-factor.ts';
import { Sessions } from '../account/sessions.ts';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, failureNote, loadingNote, pageHead } from '../parts/basics.ts';
import { Form } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { loadSession, type PageRole } from '../session.ts';
import { t } from '../texts.ts';

/** `GET /session` */
type Me = { readonly name: string; readonly role: PageRole; readonly secondFactor: boolean; readonly recoveryCodes: number };

export function AccountPage() {
  const { value: me, failure, again } = useLoad<Me>('/session');
  return html`
    ${pageHead(t('page.account'))}
    ${failureNote(failure, again)}
    ${me === undefined && failure === undefined && loadingNote()}
    ${
      me &&
      html`
      <p class="about">${t('me.intro', { name: me.name, role: t(`role.${me.role}`) })}</p>
      <section class="narrow">
        <h2>${t('me.password')}</h2>
        ${h(PasswordForm, {})}
      </section>
      ${h(SecondFactor, { name: me.name, isOn: me.secondFactor, left: me.recoveryCodes, changed: again })}
      ${h(Sessions, { name: me.name, isMine: true })}
      ${byCommand(smarthostCommand('console', 'reset', me.name))}
    `
    }
  `;
}

function PasswordForm() {
  return h(Form, {
    about: t('me.password.says'),
    fields: [
      {
        name: 'password',
        label: t('me.password.new'),
        kind: 'password',
        hint: t('me.password.hint'),
        autocomplete: 'new-password',
      },
    ],
    button: t('me.password.submit'),
    send: async ({ password = '' }) => {
      await api.post('/session/password', { password });
      tellDone(t('me.password.changed'));
      await loadSession();
    },
  });
}
