/** What has just happened, said to eyes and to screen readers. A failure stays until it is read. */
import { useEffect } from 'preact/hooks';
import { cell, useCell } from '../cell.ts';
import { type Children, html } from '../html.ts';
import { asFailure } from '../load.ts';
import { t } from '../texts.ts';

type Toast = { readonly id: number; readonly kind: 'done' | 'failed'; readonly text: Children };

/** Long enough to read a sentence, and kept while the pointer is on it. */
const SHOWN = 8000;

const toasts = cell<readonly Toast[]>([]);
let count = 0;

function add(kind: Toast['kind'], text: Children): void {
  toasts.set([...toasts.get().slice(-3), { id: ++count, kind, text }]);
}

export const tellDone = (text: Children) => add('done', text);
export const tellFailed = (text: Children) => add('failed', text);

/** Runs an action, and tells if it fails. undefined: it failed, or was given up. */
export async function orTell<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    tellFailed(asFailure(error).message);
    return undefined;
  }
}

const remove = (id: number) => toasts.set(toasts.get().filter((one) => one.id !== id));

/** The place of all of them, once in the page. It is there before the first one, because only then screen readers hear it. */
export function Toasts() {
  const shown = useCell(toasts);
  const first = shown.find(({ kind }) => kind === 'done');
  useEffect(() => {
    if (first === undefined) return;
    const timer = setTimeout(() => document.querySelector('.toasts:hover') ?? remove(first.id), SHOWN);
    return () => clearTimeout(timer);
  }, [first?.id]);
  return html`<div class="toasts" role="log" aria-live="polite" aria-label=${t('toast.label')}>
    ${shown.map(
      ({ id, kind, text }) => html`<div key=${id} class="toast ${kind}">
        <span class="sign" aria-hidden="true">${kind === 'done' ? '✓' : '✗'}</span><span>${text}</span>
        <button class="quiet" aria-label=${t('toast.close')} onClick=${() => remove(id)}>✕</button>
      </div>`,
    )}
  </div>`;
}
