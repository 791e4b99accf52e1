/** Asks before what cannot be taken back: what it does, to how many, and who is not told. */
import { h } from 'preact';
import { ApiFailure } from '../api.ts';
import { cell, type SharedCell, useCell } from '../cell.ts';
import { type Children, html } from '../html.ts';
import { t } from '../texts.ts';
import { openDialog } from './dialog.ts';
import { Form } from './form.ts';

type Danger = {
  readonly title: string;
  /** What it does, in one sentence. */
  readonly what: Children;
  /** Whom nobody tells about it. */
  readonly untold?: Children;
  /** The words on the button: a verb. */
  readonly button: string;
  /** What must be typed first, such as the number of recipients. Absent: nothing. */
  readonly typed?: string;
  /** The dialog stays open with the sentence of the relay if it fails. `tell` says how far it is. */
  readonly act: (tell: (progress: string) => void) => Promise<void>;
};

/** True: it was done. */
export async function askDanger({ title, what, untold, button, typed, act }: Danger): Promise<boolean> {
  const progress = cell('');
  const done = await openDialog<true>({
    title,
    body: (close) =>
      h(Form, {
        about: html`<p>${what}</p>${untold && html`<p class="warn"><span class="sign" aria-hidden="true">▲</span> ${untold}</p>`}`,
        fields: typed === undefined ? [] : [{ name: 'typed', label: t('danger.type', { text: typed }) }],
        more: () => h(Progress, { progress }),
        button,
        danger: true,
        cancel: () => close(),
        send: async (values) => {
          if (typed !== undefined && bare(values['typed']!) !== bare(typed))
            throw new ApiFailure(0, t('danger.wrong', { text: typed }));
          await act(progress.set);
          close(true);
        },
      }),
  });
  return done === true;
}

const Progress = ({ progress }: { readonly progress: SharedCell<string> }) => html`<p role="status">${useCell(progress)}</p>`;

/** Numbers are typed with and without signs between thousands. */
const bare = (text: string) => text.replaceAll(/[\s,.'’]/g, '');
