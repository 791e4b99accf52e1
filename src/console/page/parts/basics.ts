/** What every page is made of: heads, times, states, texts of strangers, and what stands where there is nothing. */
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiFailure, relayNow } from '../api.ts';
import { clockText, durationText, wholeTimeText } from '../format.ts';
import { type Children, html } from '../html.ts';
import { strangerPieces } from '../stranger.ts';
import { type TextKey, t } from '../texts.ts';

/** The title of a page, and beside it what can be done here. Screen readers begin here after each move. */
export const pageHead = (title: Children, actions?: Children) =>
  html`<div class="head"><h1 tabindex="-1">${title}</h1>${actions && html`<div class="actions">${actions}</div>`}</div>`;

/** Draws again each second, while the page is seen. ms since 1970, by the clock of the relay. */
export function useNow(): number {
  const [now, show] = useState(relayNow);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && show(relayNow()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** `clock`: 10:42:07, or the day if it was another one. `ago` and `until`: how long, and it ticks. */
type TimeForm = 'clock' | 'ago' | 'until';

/** Local time, UTC and age are said when the pointer is on it. @param at ISO 8601, or ms since 1970. null: a dash. */
export const when = (at: string | number | null | undefined, form: TimeForm = 'clock') =>
  at === null || at === undefined
    ? html`<span class="dim">–</span>`
    : h(Time, { at: typeof at === 'string' ? Date.parse(at) : at, form });

function Time({ at, form }: { readonly at: number; readonly form: TimeForm }) {
  return form === 'clock' ? timeElement(at, clockText(at, relayNow())) : h(Ticking, { at, form });
}

function Ticking({ at, form }: { readonly at: number; readonly form: 'ago' | 'until' }) {
  const now = useNow();
  const distance = form === 'ago' ? now - at : at - now;
  return timeElement(at, distance < 1000 ? t(form === 'ago' ? 'time.now' : 'time.due') : durationText(distance));
}

const timeElement = (at: number, words: string) =>
  html`<time datetime=${new Date(at).toISOString()} title=${`${wholeTimeText(at)}\n${distanceText(at)}`}>${words}</time>`;

function distanceText(at: number): string {
  const distance = at - relayNow();
  return t(distance > 0 ? 'time.in' : 'time.ago', { time: durationText(Math.abs(distance)) });
}

/** Text of a stranger: as text, with its direction kept inside, and signs that steer or hide made visible. */
export const strange = (text: string | null | undefined, most?: number) =>
  text === null || text === undefined
    ? html`<span class="dim">–</span>`
    : html`<bdi>${strangerPieces(text, most).map((piece) => (typeof piece === 'string' ? piece : html`<span class="odd" title=${t('stranger.odd')}>${piece.odd}</span>`))}</bdi>`;

export type Tone = 'good' | 'wait' | 'bad' | 'held' | 'plain';

const SIGNS: Readonly<Record<Tone, string>> = { good: '✓', wait: '◷', bad: '✗', held: '‖', plain: '·' };

/** A state is a word with a sign. The colour only repeats it. */
export const mark = (tone: Tone, words: Children, sign: string = SIGNS[tone]) =>
  html`<span class="mark ${tone}"><span class="sign" aria-hidden="true">${sign}</span> ${words}</span>`;

type RecipientState = 'queued' | 'active' | 'delayed' | 'held' | 'relayed' | 'failed' | 'expired' | 'uncertain' | 'removed';

const TONES: Readonly<Record<RecipientState, readonly [Tone, string?]>> = {
  ...{
    queued: ['wait'],
    active: ['wait', '…'],
    delayed: ['wait'],
    held: ['held'],
    relayed: ['good'],
    failed: ['bad'],
    expired: ['bad', '⌛'],
  },
  ...{ uncertain: ['wait', '?'], removed: ['plain', '⊘'] },
};

/** The state of a recipient, in the words of RFC 3464. A word that this page does not know is shown as it is. */
export function stateMark(state: string) {
  const [tone, sign] = TONES[state as RecipientState] ?? ['plain'];
  return mark(tone, state in TONES ? t(`state.${state as RecipientState}`) : state, sign);
}

/** Copies a text, and says so. */
export const copyButton = (text: string, label?: string) => h(CopyButton, { text, label });

function CopyButton({ text, label }: { readonly text: string; readonly label: string | undefined }) {
  const [copied, show] = useState(false);
  const hidden = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const timer = copied ? setTimeout(() => show(false), 2000) : undefined;
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    // Browsers give the clipboard only to pages by TLS and on this machine.
    if (navigator.clipboard !== undefined) await navigator.clipboard.writeText(text).then(() => show(true), fallback);
    else fallback();
  };
  const fallback = () => {
    const area = hidden.current!;
    area.hidden = false;
    area.select();
    show(document.execCommand('copy'));
    area.hidden = true;
  };
  return html`<span class="copy">
    <textarea ref=${hidden} hidden readonly tabindex="-1" aria-hidden="true" value=${text}></textarea>
    <button type="button" class="quiet" onClick=${copy}><span aria-live="polite">${copied ? t('copy.done') : (label ?? t('copy.button'))}</span></button>
  </span>`;
}

/** Where a list has nothing: what that means, and what to do first. */
export const emptyNote = (words: Children, action?: Children) => html`<div class="empty"><p>${words}</p>${action}</div>`;

/** What was asked could not be had. What was there before stays below it. */
export const failureNote = (failure: ApiFailure | undefined, again?: () => unknown) =>
  failure &&
  html`<div class="failure" role="alert">
    <p><span class="sign" aria-hidden="true">✗</span> ${failure.message}</p>
    ${again && html`<button onClick=${() => again()}>${t('failure.again')}</button>`}
  </div>`;

export const loadingNote = () => html`<p class="loading" role="status">${t('loading')}</p>`;

/** The same by command: each page ends with it. @param lines as typed in a shell. */
export const byCommand = (...lines: readonly string[]) =>
  html`<footer class="command"><h2>${t('command.title')}</h2>${lines.map((line) => html`<div><code>${line}</code> ${copyButton(line)}</div>`)}</footer>`;

/** A word and a value, aligned. */
export const factList = (rows: readonly (readonly [label: Children, value: Children] | false | undefined)[]) =>
  html`<dl class="facts">${rows.map((row) => row && html`<div><dt>${row[0]}</dt><dd>${row[1]}</dd></div>`)}</dl>`;

/** Tabs that are links, so that each has an address. */
export const tabs = (
  label: TextKey,
  all: readonly { readonly href: string; readonly words: Children; readonly current: boolean }[],
) =>
  html`<nav class="tabs" aria-label=${t(label)}>${all.map(({ href, words, current }) => html`<a href=${href} aria-current=${current ? 'page' : undefined}>${words}</a>`)}</nav>`;
