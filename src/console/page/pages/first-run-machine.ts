/** The second step: the name and the addresses of the machine, and what the DNS says to them. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { Form } from '../parts/form.ts';
import { t } from '../texts.ts';
import { seenList, stepButtons } from './first-run-parts.ts';
import { type SeenAnswer, type StepProps, wordsOf } from './first-run-state.ts';

export function MachineStep({ state: { answers, proposed }, done }: StepProps) {
  const [seen, show] = useState<readonly SeenAnswer[]>();
  return html`<div class="step">
    ${h(Form, {
      about: html`<p>${t('firstRun.machineAbout')}</p>`,
      fields: [
        {
          ...{ name: 'hostname', label: t('firstRun.hostname'), placeholder: 'relay.example.net' },
          ...{ hint: t('firstRun.hostnameHint'), first: answers.hostname ?? proposed.hostname ?? '' },
        },
        {
          ...{ name: 'addresses', label: t('firstRun.addresses'), optional: true, placeholder: '192.0.2.1 2001:db8::1' },
          ...{ hint: t('firstRun.addressesHint'), first: (answers.addresses ?? proposed.addresses).join(' ') },
        },
      ],
      button: t(seen === undefined ? 'firstRun.look' : 'firstRun.lookAgain'),
      send: async ({ hostname = '', addresses }) => {
        show(
          (await api.post<{ items: readonly SeenAnswer[] }>('/first-run/machine', { hostname, addresses: wordsOf(addresses) }))
            .items,
        );
      },
    })}
    ${seenList(seen)} ${seen?.some(({ result }) => result !== 'ok') && html`<p class="hint">${t('firstRun.later')}</p>`}
    ${stepButtons(seen && done)}
  </div>`;
}
