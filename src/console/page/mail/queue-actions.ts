/** What can be done to waiting mail, by the same steps everywhere: look what it would touch, ask, do it, and say what it did. */
import { h } from 'preact';
import { ApiFailure, api } from '../api.ts';
import { numberText } from '../format.ts';
import { html } from '../html.ts';
import { useAction } from '../load.ts';
import { strange, when } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { type Sentence, said } from '../phrases.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';

/** As in `POST /queue/preview`. */
export type MailSelection = {
  readonly ids?: readonly string[];
  readonly destination?: string;
  readonly user?: string;
};

export type MailAction = 'retry' | 'hold' | 'release' | 'reroute' | 'remove';

type QueueButtons = {
  readonly selection: MailSelection;
  /** Of the recipients that are chosen: only what can change them is offered. */
  readonly states: readonly string[];
  readonly done: () => unknown;
};

export const queueButtons = (props: QueueButtons) => h(Buttons, props);

function Buttons({ selection, states, done }: QueueButtons) {
  const { busy, run } = useAction();
  const isHeld = states.includes('held');
  const isFree = states.some((state) => state !== 'held');
  const offered: readonly MailAction[] = [
    ...(isFree ? (['retry', 'hold'] as const) : []),
    ...(isHeld ? (['release'] as const) : []),
    'reroute',
  ];
  const act = (action: MailAction) =>
    run(async () => {
      if (await actOnQueue(action, selection)) done();
    });
  return html`<div class="buttons" role="group" aria-label=${t('queue.actions')}>
    ${offered.map((action) => html`<button aria-disabled=${busy} onClick=${() => act(action)}>${t(`queue.${action}`)}</button>`)}
    <button class="danger" aria-disabled=${busy} onClick=${() => act('remove')}>${t('queue.remove')}</button>
  </div>`;
}

type Preview = {
  readonly recipients: number;
  readonly messages: number;
  readonly oldestAcceptedAt: string | null;
  readonly upTo: string;
};
type Named = { readonly id: string; readonly recipient: string | null };
/** Work under way: `GET /queue/work/:id`. */
export type QueueWork = {
  readonly id: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly total: number | null;
  readonly done: number;
  readonly result: {
    readonly changed: { readonly count: number; readonly recipients: readonly Named[] };
    readonly unchanged: {
      readonly count: number;
      readonly recipients: readonly (Named & { readonly reason: string; readonly phrase: Sentence })[];
    };
  } | null;
  readonly error: string | null;
};

/** So much is done without a question, except what cannot be taken back. */
const UNASKED = 1;
/** From here on the number is typed. */
const TYPED = 10;

/** Mail that comes after the look is not touched. True: something was done. @param selections one for each group that was chosen. */
export async function actOnQueue(action: MailAction, ...selections: readonly MailSelection[]): Promise<boolean> {
  const looks = await orTell(() =>
    Promise.all(
      selections.map(async (selection) => ({ selection, preview: await api.post<Preview>('/queue/preview', { selection }) })),
    ),
  );
  if (looks === undefined) return false;
  const found = looks.filter(({ preview }) => preview.recipients > 0);
  const sum = (field: 'recipients' | 'messages') => found.reduce((total, { preview }) => total + preview[field], 0);
  const [recipients, messages] = [sum('recipients'), sum('messages')];
  if (recipients === 0) {
    tellDone(t('queue.nothing'));
    return false;
  }
  const act = async (tell: (words: string) => void = () => {}) => {
    const works: QueueWork[] = [];
    for (const { selection, preview } of found)
      works.push(await finish(await api.post<QueueWork>(`/queue/${action}`, { selection, upTo: preview.upTo }), tell));
    tellResult(action, works);
  };
  if (recipients <= UNASKED && action !== 'remove') return (await orTell(() => act().then(() => true))) ?? false;
  const oldest = found
    .map(({ preview }) => preview.oldestAcceptedAt)
    .filter((at) => at !== null)
    .sort()[0];
  return askDanger({
    title: t(`queue.${action}`),
    what: rich(`queue.ask.${action}`, {
      count: recipients,
      messages: t('queue.messages', { count: messages }),
      oldest: when(oldest),
    }),
    ...(action === 'remove' ? { untold: t('queue.untold') } : {}),
    button: t(`queue.${action}`),
    ...(action === 'remove' && recipients >= TYPED ? { typed: numberText(recipients) } : {}),
    act,
  });
}

const LOOK = 1000;

/** Much mail takes longer than an answer waits. @throws ApiFailure if the relay gave up before its end. */
export async function finish(begun: QueueWork, tell: (words: string) => void): Promise<QueueWork> {
  let work = begun;
  while (work.state === 'running') {
    if (work.total !== null) tell(t('queue.progress', { done: work.done, count: work.total }));
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    work = await api.get<QueueWork>(pathTo('/queue/work', work.id));
  }
  if (work.state === 'failed') throw new ApiFailure(0, work.error ?? '');
  return work;
}

/** Numbers, a few recipients, and why others were not changed. */
function tellResult(action: MailAction, works: readonly QueueWork[]): void {
  const results = works.flatMap(({ result }) => (result === null ? [] : [result]));
  const changed = results.reduce((sum, one) => sum + one.changed.count, 0);
  const unchanged = results.reduce((sum, one) => sum + one.unchanged.count, 0);
  const some = results.flatMap((one) => one.changed.recipients.map(({ recipient }) => recipient ?? '')).slice(0, 3);
  const others = results.flatMap((one) => one.unchanged.recipients).slice(0, 3);
  tellDone(html`${t(`queue.done.${action}`, { count: changed })} ${some.length > 0 && html`<span class="dim">${strange(some.join(', '), 200)}${changed > some.length ? ' …' : ''}</span>`}
    ${unchanged > 0 && html`<br />${t('queue.unchanged', { count: unchanged })} ${others.map(({ id, recipient, reason, phrase }) => html`<br />${strange(recipient ?? id)}: ${said(reason, phrase)}`)}`}`);
}
