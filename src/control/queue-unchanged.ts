/** Why an action on the queue left recipients as they are. */
import type { MessageStore, RecipientState, Selection, Touched } from '../store/store.ts';
import { inEnglish, type Phrase, phrase } from '../system/phrase.ts';

export type QueueAction = 'retry' | 'hold' | 'release' | 'remove' | 'reroute';

/** `recipient` null: the message as a whole. `state` null: there is no such message. */
type UnchangedRecipient = {
  readonly id: string;
  readonly recipient: string | null;
  readonly state: RecipientState | null;
  readonly reason: string;
  /** `reason`, to be said in another language. */
  readonly phrase: Phrase;
};

/** `recipients`: at most 100 of them. */
export type Unchanged = { readonly count: number; readonly recipients: readonly UnchangedRecipient[] };

const MOST_NAMED = 100;
const PAGE = 500;
/** Messages that are looked through. */
const MOST_READ = 5000;

const WAITING = ['queued', 'delayed', 'uncertain'] as const;
const OPEN: readonly RecipientState[] = [...WAITING, 'active', 'held'];

/** The open states that an action leaves alone. */
const LEFT: Readonly<Record<QueueAction, readonly RecipientState[]>> = {
  retry: ['active', 'held'],
  hold: ['active', 'held'],
  release: [...WAITING, 'active'],
  remove: [],
  reroute: ['active'],
};

const ENDS: Partial<Readonly<Record<RecipientState, Phrase>>> = {
  relayed: phrase`It has ended: relayed.`,
  failed: phrase`It has ended: failed.`,
  expired: phrase`It has ended: expired.`,
  removed: phrase`It has ended: removed.`,
};

function reasonOf(action: QueueAction, state: RecipientState): Phrase {
  const end = ENDS[state];
  if (end !== undefined) return end;
  if (action === 'release') return phrase`It is not held.`;
  if (state === 'held') return action === 'hold' ? phrase`It is held already.` : phrase`It is held: release it first.`;
  return state === 'active' ? phrase`It is on its way now.` : phrase`It has come or changed meanwhile.`;
}

const because = (why: Phrase) => ({ reason: inEnglish(why), phrase: why });

type Done = {
  readonly action: QueueAction;
  readonly selection: Selection;
  readonly touched: readonly Touched[];
  /** Recipients that fitted before. */
  readonly fitted: number;
};

/** Looks at the selected mail after the action. What has changed meanwhile is told as it is now. */
export async function unchangedOf(messages: MessageStore, done: Done): Promise<Unchanged> {
  const named: UnchangedRecipient[] = [];
  const { ids } = done.selection;
  const missing = ids === undefined ? 0 : await nameIds(messages, done, ids, named);
  if (ids === undefined && done.touched.length < done.fitted) await nameFitting(messages, done, named);
  return { count: Math.max(missing, done.fitted - done.touched.length, named.length), recipients: named };
}

const keyOf = (id: string, recipient: string) => `${id} ${recipient}`;
const keysOf = (touched: readonly Touched[]) => new Set(touched.map(({ id, recipient }) => keyOf(id, recipient)));

/** @returns how many recipients and messages were left alone, as far as they were looked at. */
async function nameIds(messages: MessageStore, { action, touched }: Done, ids: readonly string[], named: UnchangedRecipient[]) {
  const changed = keysOf(touched);
  let count = 0;
  const name = (one: UnchangedRecipient) => {
    count++;
    if (named.length < MOST_NAMED) named.push(one);
  };
  for (const id of ids.slice(0, MOST_READ)) {
    const message = await messages.get(id);
    if (message === undefined) name({ id, recipient: null, state: null, ...because(phrase`There is no such message.`) });
    for (const { address, state } of message?.recipients ?? [])
      if (!changed.has(keyOf(id, address))) name({ id, recipient: address, state, ...because(reasonOf(action, state)) });
  }
  return count;
}

async function nameFitting(messages: MessageStore, { action, selection, touched }: Done, named: UnchangedRecipient[]) {
  const { domain, user, states = OPEN, destination, acceptedBefore, upTo } = selection;
  const changed = keysOf(touched);
  const left = LEFT[action].filter((state) => states.includes(state));
  if (left.length === 0) return;
  const query = { states: left, limit: PAGE, ...(domain !== undefined && { domain }), ...(user !== undefined && { user }) };
  let after: string | undefined;
  for (let read = 0; read < MOST_READ && named.length < MOST_NAMED; read += PAGE) {
    const page = await messages.list({ ...query, ...(after !== undefined && { after }) });
    for (const { id, acceptedAt, recipients } of page) {
      if (acceptedAt >= (acceptedBefore ?? Number.POSITIVE_INFINITY) || (upTo !== undefined && id > upTo)) continue;
      for (const one of recipients) {
        const { address, state } = one;
        const fits =
          left.includes(state) &&
          (destination === undefined || one.destination === destination) &&
          (domain === undefined || address.toLowerCase().endsWith(`@${domain.toLowerCase()}`));
        if (!fits || changed.has(keyOf(id, address)) || named.length >= MOST_NAMED) continue;
        named.push({ id, recipient: address, state, ...because(reasonOf(action, state)) });
      }
    }
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}
