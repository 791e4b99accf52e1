/** The first step: the account is there, and may have a second factor. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { SecondFactor } from '../account/second-factor.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { failureNote, loadingNote } from '../parts/basics.ts';
import { loadTexts, t } from '../texts.ts';
import { stepButtons } from './first-run-parts.ts';
import type { StepProps } from './first-run-state.ts';

type Me = { readonly name: string; readonly secondFactor: boolean; readonly recoveryCodes: number };

export function AccountStep({ done }: StepProps) {
  const { value, failure, again } = useLoad<Me>('/session');
  const [spoken, speak] = useState(false);
  useEffect(() => void loadTexts('people').then(() => speak(true)), []);
  if (value === undefined || !spoken) return failureNote(failure, again) ?? loadingNote();
  return html`<div class="step">
    <p>${t('firstRun.accountAbout', { name: value.name })}</p>
    ${h(SecondFactor, { name: value.name, isOn: value.secondFactor, left: value.recoveryCodes, changed: again })}
    ${stepButtons(done)}
  </div>`;
}
