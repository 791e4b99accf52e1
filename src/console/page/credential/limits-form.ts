/** Limits of a credential: those of the configuration, none, or its own, one a row. */
import { useId, useState } from 'preact/hooks';
import type { ApiFailure } from '../api.ts';
import { html } from '../html.ts';
import { asFailure, useAction } from '../load.ts';
import { t } from '../texts.ts';
import type { WholeCredential } from './words.ts';

type Limit = WholeCredential['limits'][number];
type Choice = 'default' | 'none' | 'own';
/** `id`: a row keeps its fields when one above it goes. */
type Row = { readonly id: number; readonly kind: Limit['kind']; readonly count: string; readonly per: Limit['per'] };

type LimitsFormProps = {
  /** null: those of the configuration. */
  readonly limits: readonly Limit[] | null;
  readonly save: (limits: readonly Limit[] | null) => Promise<void>;
};

const KINDS = ['messages', 'recipients', 'newRecipients'] as const;
const SPANS = ['minute', 'hour', 'day'] as const;
let ids = 0;
const NEW = (): Row => ({ id: ++ids, kind: 'messages', count: '1000', per: 'day' });

export function LimitsForm({ limits, save }: LimitsFormProps) {
  const [choice, choose] = useState<Choice>(limits === null ? 'default' : limits.length === 0 ? 'none' : 'own');
  const [rows, change] = useState<readonly Row[]>(() =>
    limits === null || limits.length === 0
      ? [NEW()]
      : limits.map(({ count, ...rest }) => ({ ...rest, id: ++ids, count: String(count) })),
  );
  const [failure, fail] = useState<ApiFailure>();
  const { busy, run } = useAction();
  const group = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      fail(undefined);
      await save(chosen(choice, rows)).catch((error: unknown) => fail(asFailure(error)));
    });
  };
  const set = (id: number, part: Partial<Row>) => change((all) => all.map((row) => (row.id === id ? { ...row, ...part } : row)));
  return html`<form class="form" onSubmit=${submit}>
    <fieldset>
      <legend class="hidden">${t('credentials.limits')}</legend>
      ${(['default', 'none', 'own'] as const).map(
        (one) =>
          html`<label class="check"><input type="radio" name=${group} checked=${choice === one} onChange=${() => choose(one)} /> ${t(`credentials.limits.${one}`)}</label>`,
      )}
    </fieldset>
    ${
      choice === 'own' &&
      html`<ul class="limits">
      ${rows.map((row) =>
        limitRow(
          row,
          (part) => set(row.id, part),
          () => change((all) => all.filter(({ id }) => id !== row.id)),
        ),
      )}
      <li><button type="button" class="quiet" onClick=${() => change((all) => [...all, NEW()])}>+ ${t('credentials.limits.more')}</button></li>
    </ul>`
    }
    <div role="alert">${failure && html`<p class="fault">${failure.message}</p>`}</div>
    <div class="buttons"><button class="main" aria-disabled=${busy}>${t('credentials.limits.save')}</button></div>
  </form>`;
}

function limitRow({ id, kind, count, per }: Row, set: (part: Partial<Row>) => void, remove: () => void) {
  const value = (event: Event) => (event.target as HTMLInputElement).value;
  return html`<li key=${id} class="row">
    <label>${t('credentials.limits.count')} <input type="number" min="1" inputmode="numeric" value=${count} onInput=${(event: Event) => set({ count: value(event) })} /></label>
    <label><span class="hidden">${t('credentials.limits.of')}</span>
      <select value=${kind} onChange=${(event: Event) => set({ kind: value(event) as Limit['kind'] })}>${KINDS.map((one) => html`<option value=${one} selected=${one === kind}>${t(`credentials.limits.${one}`)}</option>`)}</select></label>
    <label>${t('credentials.limits.per')}
      <select value=${per} onChange=${(event: Event) => set({ per: value(event) as Limit['per'] })}>${SPANS.map((one) => html`<option value=${one} selected=${one === per}>${t(`credentials.limits.${one}`)}</option>`)}</select></label>
    <button type="button" class="quiet" aria-label=${t('credentials.limits.less')} onClick=${remove}>✕</button>
  </li>`;
}

function chosen(choice: Choice, rows: readonly Row[]): readonly Limit[] | null {
  if (choice === 'default') return null;
  return choice === 'none' ? [] : rows.map(({ kind, count, per }) => ({ kind, count: Number(count), per }));
}
