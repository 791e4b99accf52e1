/** As whom a credential may send, and how much. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { lineList } from '../line-list.ts';
import type { CredentialProps } from '../pages/credential.ts';
import { byCommand, mark, strange } from '../parts/basics.ts';
import { Form, type FormValues } from '../parts/form.ts';
import { tellDone } from '../parts/toast.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { LimitsForm } from './limits-form.ts';
import type { WholeCredential } from './words.ts';

type SenderTrial = { readonly allowed: boolean; readonly reply: string | null; readonly sentAs: string | null };

export function RulesView({ user, changed }: CredentialProps) {
  const path = pathTo('/credentials', user.name);
  const save = async (change: object) => {
    await api.patch<WholeCredential>(path, change);
    tellDone(t('credentials.saved'));
    await changed();
  };
  return html`
    <section>
      <h2>${t('credentials.rules')}</h2>
      ${h(Form, {
        fields: [
          {
            name: 'senders',
            label: t('credentials.senders'),
            kind: 'lines',
            hint: t('credentials.rules.hint'),
            first: user.senders.join('\n'),
          },
          {
            name: 'rewrite',
            label: t('credentials.rewrite'),
            hint: t('credentials.rewrite.hint'),
            first: user.rewrite ?? '',
            optional: true,
          },
        ],
        button: t('credentials.rules.save'),
        send: ({ senders = '', rewrite = '' }) =>
          save({ senders: lineList(senders), rewrite: rewrite.trim() === '' ? null : rewrite.trim() }),
      })}
    </section>
    <section>
      <h2>${t('credentials.try')}</h2>
      ${h(TrySender, { path })}
    </section>
    <section>
      <h2>${t('credentials.limits')}</h2>
      ${user.mailServer && html`<p class="about">${t('credentials.limits.server')}</p>`}
      ${h(LimitsForm, { limits: user.defaultLimits ? null : user.limits, save: (limits) => save({ limits }) })}
    </section>
    <section>
      <h2>${t('credentials.more')}</h2>
      ${h(Form, {
        fields: [
          {
            name: 'expiresAt',
            label: t('credentials.expires'),
            kind: 'date',
            hint: t('credentials.expires.hint'),
            first: user.expiresAt?.slice(0, 10) ?? '',
            optional: true,
          },
          {
            name: 'contact',
            label: t('credentials.contact'),
            hint: t('credentials.contact.hint'),
            first: user.contact ?? '',
            optional: true,
          },
          {
            name: 'mailServer',
            label: t('credentials.mailServer'),
            kind: 'yes',
            hint: t('credentials.mailServer.hint'),
            first: user.mailServer ? 'yes' : '',
          },
          {
            name: 'bulk',
            label: t('credentials.bulk'),
            kind: 'yes',
            hint: t('credentials.bulk.hint'),
            first: user.bulk ? 'yes' : '',
          },
        ],
        button: t('credentials.more.save'),
        send: (values) => save(moreOf(values, user.expiresAt)),
      })}
    </section>
    ${byCommand(smarthostCommand('user', 'set', user.name, ...user.senders.flatMap((rule) => ['--sender', rule])))}
  `;
}

/** A time of day that was set by command stays, if the day was not changed here. */
function moreOf({ expiresAt = '', contact = '', mailServer, bulk }: FormValues, before: string | null) {
  return {
    ...(expiresAt === (before?.slice(0, 10) ?? '') ? {} : { expiresAt: expiresAt === '' ? null : expiresAt }),
    contact: contact.trim() === '' ? null : contact.trim(),
    ...{ mailServer: mailServer === 'yes', bulk: bulk === 'yes' },
  };
}

/** Asks the code that judges mail. */
function TrySender({ path }: { readonly path: string }) {
  const [trial, show] = useState<SenderTrial>();
  return html`${h(Form, {
    fields: [
      { name: 'reversePath', label: t('credentials.try.address') },
      { name: 'from', label: t('credentials.try.from'), optional: true },
    ],
    about: t('credentials.try.says'),
    button: t('credentials.try.submit'),
    send: async ({ reversePath = '', from = '' }) => {
      show(undefined);
      const tried = { reversePath: reversePath.trim(), ...(from.trim() === '' ? {} : { from: from.trim() }) };
      show(await api.post<SenderTrial>(`${path}/check-sender`, tried));
    },
  })}
  <p role="status" class="verdict">${trial && verdict(trial)}</p>`;
}

function verdict({ allowed, reply, sentAs }: SenderTrial) {
  if (!allowed) return mark('bad', rich('credentials.try.refused', { reply: strange(reply) }));
  return mark(
    'good',
    sentAs === null ? t('credentials.try.allowed') : rich('credentials.try.rewritten', { address: strange(sentAs) }),
  );
}
