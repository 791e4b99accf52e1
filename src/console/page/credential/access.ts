/** How to stop a credential, give it a new password, and let go what is held of it. Each button says what it does before it does it. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import type { CredentialProps } from '../pages/credential.ts';
import { byCommand, factList, strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { navigate } from '../router.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { PasswordOnce } from './password-once.ts';
import { lastLogin } from './words.ts';

export function AccessView({ user, changed }: CredentialProps) {
  const { name, disabled } = user;
  const path = pathTo('/credentials', name);
  const [password, show] = useState<string>();
  const ask = (action: 'password' | 'disable' | 'hold', act: () => Promise<void>) =>
    askDanger({
      title: t(`credentials.${action}.ask`, { name }),
      what: t(`credentials.${action}.says`, { name }),
      button: t(`credentials.${action}`),
      act,
    });
  const renew = () =>
    ask('password', async () => {
      const made = await api.post<{ readonly password: string }>(`${path}/password`, {});
      show(made.password);
    });
  const disable = () =>
    ask('disable', async () => {
      await api.patch(path, { disabled: true });
      tellDone(t('credentials.disable.done', { name }));
      await changed();
    });
  const enable = () =>
    orTell(async () => {
      await api.patch(path, { disabled: false });
      tellDone(t('credentials.enable.done', { name }));
      await changed();
    });
  const hold = () =>
    ask('hold', async () => {
      await api.post(`${path}/hold`, {});
      tellDone(t('credentials.hold.done', { name }));
      await changed();
    });
  const remove = () =>
    askDanger({
      title: t('credentials.remove.ask', { name }),
      what: t('credentials.remove.says'),
      button: t('credentials.remove'),
      typed: name,
      act: async () => {
        await api.remove(path);
        tellDone(t('credentials.remove.done', { name }));
        navigate('/credentials');
      },
    });
  return html`
    ${password !== undefined && h(PasswordOnce, { name, password })}
    <section>
      <h2>${t('credentials.danger')}</h2>
      ${factList([
        [t('credentials.login'), lastLogin(user)],
        [t('credentials.created'), when(user.createdAt)],
        [t('credentials.expires'), user.expiresAt === null ? t('credentials.expires.never') : when(user.expiresAt)],
        [t('credentials.contact'), strange(user.contact)],
      ])}
      <div class="buttons">
        <button onClick=${renew}>${t('credentials.password')}</button>
        <button onClick=${hold}>${t('credentials.hold')}</button>
        ${disabled ? html`<button class="main" onClick=${enable}>${t('credentials.enable')}</button>` : html`<button class="danger" onClick=${disable}>${t('credentials.disable')}</button>`}
        <button class="danger" onClick=${remove}>${t('credentials.remove')}</button>
      </div>
    </section>
    ${byCommand(smarthostCommand('user', disabled ? 'enable' : 'disable', name), smarthostCommand('user', 'passwd', name), smarthostCommand('user', 'remove', name))}
  `;
}
