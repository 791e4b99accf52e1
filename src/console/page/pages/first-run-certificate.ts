/** The fourth step: who signs the certificate, how the name is proven, and who is told when something needs a person. */
import { h } from 'preact';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { Form } from '../parts/form.ts';
import { t } from '../texts.ts';
import { stepButtons } from './first-run-parts.ts';
import type { StepProps } from './first-run-state.ts';

const TERMS = 'https://letsencrypt.org/repository/';

export function CertificateStep({ state: { answers }, done, back }: StepProps) {
  return html`<div class="step">
    ${h(Form, {
      about: html`<p>${t('firstRun.certificateAbout')}</p>
        <p><a href=${TERMS} target="_blank" rel="noreferrer">${t('firstRun.terms')}</a></p>`,
      fields: [
        {
          ...{
            name: 'email',
            label: t('firstRun.email'),
            optional: true,
            autocomplete: 'email',
            placeholder: 'admin@example.org',
          },
          ...{ hint: t('firstRun.emailHint'), first: answers.email ?? '' },
        },
        {
          ...{ name: 'challenge', label: t('firstRun.challenge'), kind: 'choice', hint: t('firstRun.challengeHint') },
          choices: [
            ['http-01', t('firstRun.http')],
            ['tls-alpn-01', t('firstRun.alpn')],
          ],
          first: answers.challenge ?? 'http-01',
        },
        {
          ...{ name: 'acceptTerms', label: t('firstRun.accept'), kind: 'yes', hint: t('firstRun.acceptHint') },
          first: answers.acceptTerms ? 'yes' : '',
        },
      ],
      button: t('firstRun.next'),
      send: async ({ email = '', challenge, acceptTerms }) => {
        await api.post('/first-run/certificate', { email, challenge, acceptTerms: acceptTerms === 'yes' });
        await done();
      },
    })}
    ${stepButtons(undefined, back)}
  </div>`;
}
