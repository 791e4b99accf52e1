/** The account of somebody else: rights, sessions, and how to stop it. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { Sessions } from '../account/sessions.ts';
import { accountMark, type ConsoleAccountRow, type Invitation, linkBox, rightsFields, rightsOf } from '../account/words.ts';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import type { PageProps } from '../pages.ts';
import { byCommand, factList, failureNote, loadingNote, mark, pageHead, strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { Form } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { navigate } from '../router.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

export function OtherAccountPage({ params: { name = '' } }: PageProps) {
  const path = pathTo('/accounts', name);
  const { value: one, failure, again } = useLoad<ConsoleAccountRow>(path, { every: 15_000 });
  const [invitation, show] = useState<Invitation>();
  const set = async (change: object) => {
    await api.patch(path, change);
    tellDone(t('accounts.saved', { name }));
    await again();
  };
  const reset = async () => {
    show(await api.post<Invitation>(`${path}/reset`, {}));
    await again();
  };
  return html`
    <p class="up"><a href="/accounts">← ${t('page.accounts')}</a></p>
    ${pageHead(strange(name))}
    ${failureNote(failure, again)}
    ${one === undefined && failure === undefined && loadingNote()}
    ${invitation && linkBox(invitation)}
    ${
      one &&
      html`
      ${factList([
        [t('accounts.state'), accountMark(one)],
        [
          t('accounts.factor'),
          one.secondFactor ? mark('good', t('accounts.factor.on')) : mark('plain', t('accounts.factor.off')),
        ],
        [t('accounts.created'), when(one.createdAt)],
      ])}
      <section>
        <h2>${t('accounts.rights')}</h2>
        ${h(Form, { fields: rightsFields(one), button: t('accounts.save'), send: (values) => set(rightsOf(values)) })}
      </section>
      ${h(Sessions, { name, isMine: false })}
      <section>
        <h2>${t('accounts.actions')}</h2>
        ${actions(one, { set, reset })}
      </section>
    `
    }
    ${byCommand(smarthostCommand('console', 'role', name, one?.role ?? 'operator'), smarthostCommand('console', 'reset', name), smarthostCommand('console', 'remove', name))}
  `;
}

type Act = { readonly set: (change: object) => Promise<void>; readonly reset: () => Promise<void> };

function actions({ name, disabled }: ConsoleAccountRow, { set, reset }: Act) {
  const ask = (action: 'reset' | 'disable' | 'remove', act: () => Promise<void>, typed?: string) => () =>
    askDanger({
      title: t(`accounts.${action}.ask`, { name }),
      what: t(`accounts.${action}.says`, { name }),
      button: t(`accounts.${action}`),
      ...(typed === undefined ? {} : { typed }),
      act,
    });
  const remove = async () => {
    await api.remove(pathTo('/accounts', name));
    tellDone(t('accounts.removed', { name }));
    navigate('/accounts');
  };
  return html`<div class="buttons">
    <button onClick=${ask('reset', reset)}>${t('accounts.reset')}</button>
    ${disabled ? html`<button class="main" onClick=${() => set({ disabled: false })}>${t('accounts.enable')}</button>` : html`<button class="danger" onClick=${ask('disable', () => set({ disabled: true }))}>${t('accounts.disable')}</button>`}
    <button class="danger" onClick=${ask('remove', remove, name)}>${t('accounts.remove')}</button>
  </div>`;
}
