/** The second factor: a picture to scan, the first code, and the codes for the day on which the phone is lost. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { copyButton, mark } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { Form } from '../parts/form.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { t } from '../texts.ts';

/** `POST /session/factor/new` */
type NewFactor = { readonly secret: string; readonly uri: string; readonly svg: string };

type FactorProps = {
  readonly name: string;
  readonly isOn: boolean;
  readonly left: number;
  readonly changed: () => Promise<void>;
};

export function SecondFactor({ name, isOn, left, changed }: FactorProps) {
  const [fresh, begin] = useState<NewFactor>();
  const [codes, show] = useState<readonly string[]>();
  const start = () => orTell(async () => begin(await api.post<NewFactor>('/session/factor/new', {})));
  const finish = async (code: string) => {
    const { recoveryCodes } = await api.post<{ readonly recoveryCodes: readonly string[] }>('/session/factor', {
      secret: fresh!.secret,
      code,
    });
    begin(undefined);
    show(recoveryCodes);
    await changed();
  };
  const remove = () =>
    askDanger({
      title: t('me.factor.remove.ask'),
      what: t('me.factor.remove.says'),
      button: t('me.factor.remove'),
      act: async () => {
        await api.remove('/session/factor');
        tellDone(t('me.factor.removed'));
        await changed();
      },
    });
  return html`<section>
    <h2>${t('me.factor')}</h2>
    <p>${isOn ? html`${mark('good', t('me.factor.on'))} <span class="dim">${t('me.factor.left', { count: left })}</span>` : t('me.factor.off')}</p>
    ${fresh !== undefined && h(Scan, { factor: fresh, finish })}
    ${codes !== undefined && recovery(codes, name, () => show(undefined))}
    ${
      fresh === undefined &&
      codes === undefined &&
      html`<div class="buttons">
      ${isOn ? html`<button class="danger" onClick=${remove}>${t('me.factor.remove')}</button>` : html`<button onClick=${start}>${t('me.factor.begin')}</button>`}
    </div>`
    }
  </section>`;
}

function Scan({
  factor: { secret, svg },
  finish,
}: {
  readonly factor: NewFactor;
  readonly finish: (code: string) => Promise<void>;
}) {
  return html`<div class="scan">
    <p>${t('me.factor.scan')}</p>
    ${picture(svg)}
    <p>${t('me.factor.key')}: <code class="secret">${secret.replace(/(.{4})(?=.)/g, '$1 ')}</code> ${copyButton(secret)}</p>
    ${h(Form, {
      fields: [{ name: 'code', label: t('me.factor.code'), autocomplete: 'one-time-code' }],
      button: t('me.factor.submit'),
      send: ({ code = '' }) => finish(code.replaceAll(/\s/g, '')),
    })}
  </div>`;
}

/** Takes the lines out of the picture and draws them itself, because no text of an answer becomes markup here. */
function picture(svg: string) {
  const size = /viewBox="([\d .]+)"/.exec(svg)?.[1];
  const lines = /<path[^>]* d="([^"]+)"/.exec(svg)?.[1];
  return (
    lines !== undefined &&
    html`<svg class="qr" viewBox=${size} role="img" aria-label=${t('me.factor.picture')} shape-rendering="crispEdges"><path d=${lines} /></svg>`
  );
}

const recovery = (codes: readonly string[], name: string, close: () => void) => html`<section class="once" role="status">
  <h3>${t('me.codes.title')}</h3>
  <p>${t('me.codes.says')}</p>
  <ol class="codes">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ol>
  <p>${copyButton(codes.join('\n'))}</p>
  <p class="hint">${t('me.codes.lost', { name })}</p>
  <div class="buttons"><button class="main" onClick=${close}>${t('me.codes.kept')}</button></div>
</section>`;
