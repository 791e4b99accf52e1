/** The fifth step: whether mail can leave by port 25, else the provider that takes it. Then the configuration is written. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useAction, useLoad } from '../load.ts';
import { failureNote, loadingNote, mark, type Tone } from '../parts/basics.ts';
import { Form, type FormValues } from '../parts/form.ts';
import { type Sentence, said } from '../phrases.ts';
import { t } from '../texts.ts';
import { Handover } from './first-run-handover.ts';
import { seenList, stepButtons } from './first-run-parts.ts';
import type { SeenAnswer, StepProps } from './first-run-state.ts';

type Looked = {
  readonly items: readonly {
    readonly subject: string;
    readonly result: string;
    readonly found: string;
    readonly advice: string;
    readonly phrases: { readonly found: Sentence; readonly advice: Sentence };
  }[];
};

const TONES: Readonly<Record<string, Tone>> = { ok: 'good', error: 'bad', warning: 'wait' };

export function WayOutStep({ state: { answers, file, start }, back }: StepProps) {
  const [way, choose] = useState<'direct' | 'provider'>(answers.upstream ? 'provider' : 'direct');
  const [written, finish] = useState(false);
  if (written) return h(Handover, { start });
  const write = async (upstream: FormValues | null) => {
    await api.post('/first-run/way-out', { upstream });
    await api.post('/first-run/finish', {});
    finish(true);
  };
  return html`<div class="step">
    <p>${t('firstRun.wayOutAbout')}</p>
    ${h(PortLook, {})}
    <fieldset class="choice"><legend>${t('firstRun.way')}</legend>
      ${(['direct', 'provider'] as const).map(
        (one) =>
          html`<label><input type="radio" name="way" value=${one} checked=${way === one} onChange=${() => choose(one)} /> ${t(one === 'direct' ? 'firstRun.direct' : 'firstRun.provider')}</label>`,
      )}
    </fieldset>
    ${
      way === 'direct'
        ? h(Form, {
            key: 'direct',
            about: html`<p>${t('firstRun.writes')} <code>${file}</code></p>`,
            fields: [],
            button: t('firstRun.finish'),
            send: () => write(null),
          })
        : h(ProviderForm, { key: 'provider', first: answers.upstream ?? undefined, file, write })
    }
    ${stepButtons(undefined, back)}
  </div>`;
}

function PortLook() {
  const { value, failure, again, busy } = useLoad<Looked>('/first-run/way-out');
  return html`<div role="status">
    ${value === undefined && (failure ? failureNote(failure, again) : loadingNote())}
    ${
      value &&
      html`<ul class="seen">${value.items.map(
        ({ subject, result, found, advice, phrases }) =>
          html`<li>${mark(TONES[result] ?? 'plain', html`<b>${subject}</b> ${said(found, phrases.found)}`)} ${advice && html`<div class="hint">${said(advice, phrases.advice)}</div>`}</li>`,
      )}</ul>
      <button type="button" aria-disabled=${busy} onClick=${() => again()}>${t('firstRun.lookAgain')}</button>`
    }
  </div>`;
}

type Tried = { readonly ok: boolean; readonly sentence: string; readonly phrase: Sentence | null };

type ProviderProps = {
  readonly first: { readonly host: string; readonly user: string } | undefined;
  readonly file: string;
  readonly write: (upstream: FormValues) => Promise<void>;
};

function ProviderForm({ first, file, write }: ProviderProps) {
  const [tried, show] = useState<SeenAnswer>();
  const { busy, run } = useAction();
  const attempt = (values: FormValues) =>
    run(async () => {
      const failed = (error: Error) => ({ ok: false, sentence: error.message, phrase: null });
      const { ok, ...words } = await api.post<Tried>('/first-run/provider', values).catch(failed);
      show({ result: ok ? 'ok' : 'warning', ...words });
    });
  return h(Form, {
    about: html`<p>${t('firstRun.providerAbout')}</p>`,
    fields: [
      { name: 'host', label: t('firstRun.providerHost'), placeholder: 'smtp.example.com:587', first: first?.host ?? '' },
      { name: 'user', label: t('firstRun.providerUser'), first: first?.user ?? '' },
      {
        name: 'password',
        label: t('firstRun.providerPassword'),
        kind: 'password',
        hint: html`${t('firstRun.providerHint')} <code>${file}</code>`,
      },
    ],
    more: (values) =>
      html`<div class="buttons"><button type="button" aria-disabled=${busy} onClick=${() => attempt(values)}>${t('firstRun.try')}</button></div>${seenList(tried && [tried])}`,
    button: t('firstRun.finish'),
    send: write,
  });
}
