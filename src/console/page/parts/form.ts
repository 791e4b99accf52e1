/** Forms: labelled fields, and what the relay says about each of them beside it. */
import { h } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { ApiFailure } from '../api.ts';
import { type Children, html } from '../html.ts';
import { asFailure, useAction } from '../load.ts';
import { t } from '../texts.ts';
import { type CloseDialog, openDialog } from './dialog.ts';

export type FormField = {
  /** As in the body of the request: the answer says `/name` of a faulty one. */
  readonly name: string;
  readonly label: string;
  readonly kind?: 'text' | 'password' | 'number' | 'lines' | 'choice' | 'yes' | 'date';
  readonly hint?: Children;
  /** Of `choice`: value and words. */
  readonly choices?: readonly (readonly [value: string, words: string])[];
  readonly first?: string;
  readonly optional?: boolean;
  /** Of browsers and keepers of passwords. */
  readonly autocomplete?: string;
  readonly placeholder?: string;
};

/** Texts as typed. `yes` is 'yes' or ''. */
export type FormValues = Readonly<Record<string, string>>;

type FormProps = {
  readonly fields: readonly FormField[];
  readonly button: string;
  readonly send: (values: FormValues) => Promise<void>;
  readonly about?: Children;
  /** Drawn below the fields, with what is typed. */
  readonly more?: (values: FormValues) => Children;
  readonly cancel?: () => void;
  readonly danger?: boolean;
};

/** What the relay refuses is shown at its field, all at once, and the focus goes to the first one. */
export function Form({ fields, button, send, about, more, cancel, danger = false }: FormProps) {
  const [values, change] = useState<FormValues>(() => Object.fromEntries(fields.map(({ name, first = '' }) => [name, first])));
  const [failure, fail] = useState<ApiFailure>();
  const { busy, run } = useAction();
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      try {
        fail(undefined);
        await send(values);
      } catch (error) {
        fail(asFailure(error));
        setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus());
      }
    });
  };
  const faultOf = (name: string) => failure?.errors.find(({ pointer }) => pointer.split('/')[1] === name)?.detail;
  const isPlaced =
    failure !== undefined &&
    failure.errors.length > 0 &&
    failure.errors.every(({ pointer }) => fields.some(({ name }) => pointer.split('/')[1] === name));
  return html`<form ref=${form} class="form" onSubmit=${submit} novalidate>
    ${about && html`<div class="about">${about}</div>`}
    ${fields.map((field) =>
      h(Field, {
        key: field.name,
        field,
        value: values[field.name] ?? '',
        fault: faultOf(field.name),
        change: (value) => change((before) => ({ ...before, [field.name]: value })),
      }),
    )}
    ${more?.(values)}
    <div role="alert">${failure !== undefined && !isPlaced && html`<p class="fault">${failure.message}</p>`}</div>
    <div class="buttons">
      <button class=${danger ? 'danger' : 'main'} aria-disabled=${busy}>${button}</button>
      ${cancel && html`<button type="button" onClick=${cancel}>${t('form.cancel')}</button>`}
    </div>
  </form>`;
}

type FieldProps = {
  readonly field: FormField;
  readonly value: string;
  readonly fault: string | undefined;
  readonly change: (value: string) => void;
};

function Field({ field, value, fault, change }: FieldProps) {
  const id = useId();
  const { name, label, kind = 'text', hint, choices = [], optional = false, autocomplete = 'off', placeholder } = field;
  const common = {
    ...{ id, name, autocomplete, placeholder },
    'aria-invalid': fault !== undefined,
    'aria-describedby': `${id}-hint ${id}-fault`,
    required: !optional,
    onInput: (event: Event) => change((event.target as HTMLInputElement).value),
  };
  const control =
    kind === 'choice'
      ? h(
          'select',
          { ...common, value },
          ...choices.map(([one, words]) => h('option', { value: one, selected: one === value }, words)),
        )
      : kind === 'lines'
        ? h('textarea', { ...common, value, rows: 4, spellcheck: false })
        : kind === 'yes'
          ? h('input', {
              ...common,
              type: 'checkbox',
              required: false,
              checked: value === 'yes',
              onInput: (event: Event) => change((event.target as HTMLInputElement).checked ? 'yes' : ''),
            })
          : h('input', { ...common, type: kind, value, spellcheck: false });
  return html`<div class="field ${kind}">
    <label for=${id}>${label}${optional && kind !== 'yes' && html` <span class="dim">${t('form.optional')}</span>`}</label>
    ${control}
    <div id="${id}-hint" class="hint">${hint}</div>
    <div id="${id}-fault" class="fault">${fault}</div>
  </div>`;
}

type FormDialog<T> = Omit<FormProps, 'send' | 'cancel'> & {
  readonly title: string;
  readonly send: (values: FormValues) => Promise<T>;
};

/** A form over the page. It closes when the relay has taken it. undefined: given up. */
export function openForm<T>({ title, send, ...form }: FormDialog<T>): Promise<T | undefined> {
  return openDialog<T>({
    title,
    body: (close: CloseDialog<T>) =>
      h(Form, { ...form, send: async (values) => close(await send(values)), cancel: () => close() }),
  });
}
