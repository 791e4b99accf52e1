/** Pieces that several steps of the first run have. */
import { type Children, html } from '../html.ts';
import { mark, type Tone } from '../parts/basics.ts';
import { said } from '../phrases.ts';
import { t } from '../texts.ts';
import type { SeenAnswer } from './first-run-state.ts';

const TONES: Readonly<Record<string, Tone>> = { ok: 'good', warning: 'wait', error: 'bad', unknown: 'plain' };

/** What was found, each with its sign. A change is said to screen readers. */
export const seenList = (seen: readonly SeenAnswer[] | undefined) =>
  html`<div role="status">${
    seen !== undefined &&
    seen.length > 0 &&
    html`<ul class="seen">${seen.map(({ result, sentence, phrase }) => html`<li>${mark(TONES[result] ?? 'plain', said(sentence, phrase))}</li>`)}</ul>`
  }</div>`;

/** The ways on and back below a step. */
export const stepButtons = (next: (() => unknown) | undefined, back?: () => void, more?: Children) => html`<div class="buttons">
  ${next && html`<button type="button" class="main" onClick=${() => next()}>${t('firstRun.next')}</button>`}
  ${more} ${back && html`<button type="button" onClick=${back}>${t('firstRun.back')}</button>`}
</div>`;
