/** Dialogs over the page. The element `dialog` keeps the focus inside, closes by Escape, and gives the focus back. */
import { h } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { cell, useCell } from '../cell.ts';
import { type Children, html } from '../html.ts';

/** Ends the dialog. undefined: given up. */
export type CloseDialog<T> = (result?: T) => void;

type DialogContent<T> = {
  readonly title: string;
  readonly body: (close: CloseDialog<T>) => Children;
  /** For tables and long texts. */
  readonly wide?: boolean;
};

type OpenDialog = DialogContent<any> & { readonly id: number; readonly close: CloseDialog<any> };

const opened = cell<readonly OpenDialog[]>([]);
let count = 0;

/** Resolves when the dialog is closed. undefined: by Escape, or given up. */
export function openDialog<T>(content: DialogContent<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | undefined>();
  const id = ++count;
  const close: CloseDialog<T> = (result) => {
    opened.set(opened.get().filter((one) => one.id !== id));
    resolve(result);
  };
  opened.set([...opened.get(), { ...content, id, close }]);
  return promise;
}

/** The place of all dialogs, once in the page. */
export function Dialogs() {
  return useCell(opened).map((one) => h(DialogBox, { key: one.id, dialog: one }));
}

function DialogBox({ dialog: { title, body, wide = false, close } }: { readonly dialog: OpenDialog }) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const opener = document.activeElement;
    const element = box.current!;
    element.showModal();
    return () => {
      element.close();
      // The element gives it back by itself, but not to a button that was drawn anew meanwhile.
      if (document.activeElement === document.body)
        (opener?.isConnected ? (opener as HTMLElement) : document.querySelector('h1'))?.focus();
    };
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    close();
  };
  return html`<dialog ref=${box} class=${wide ? 'wide' : ''} aria-labelledby=${heading} onCancel=${cancel}>
    <h2 id=${heading}>${title}</h2>
    ${body(close)}
  </dialog>`;
}
