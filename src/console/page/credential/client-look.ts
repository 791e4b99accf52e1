/** What the client of a login does right now, and why it fails, with the button that mends it. */
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { failureNote, mark, strange, type Tone, when } from '../parts/basics.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { type TextKey, t } from '../texts.ts';

type Mend =
  | { readonly do: 'allowSender'; readonly sender: string }
  | { readonly do: 'rewrite'; readonly sender: string }
  | { readonly do: 'enable' }
  | { readonly do: 'newPassword' };

type ClientSession = {
  readonly at: string;
  readonly ip: string;
  readonly listener: string | null;
  readonly user: string | null;
  readonly mechanism: string | null;
  readonly state: 'open' | 'loggedIn' | 'refused' | 'accepted';
  readonly reason: string | null;
  readonly mends: readonly Mend[];
  readonly times: number;
  readonly reply: string | null;
  readonly sender: string | null;
  readonly queueId: string | null;
};

type LookProps = {
  readonly name: string;
  /** It has logged in before. */
  readonly isKnown?: boolean;
  /** It has a new password, which is shown once. */
  readonly changed: (password: string | null) => void;
  readonly accepted: (queueId: string) => void;
};

const TONES: Readonly<Record<ClientSession['state'], Tone>> = {
  open: 'wait',
  loggedIn: 'good',
  refused: 'bad',
  accepted: 'good',
};
const SHOWN = 8;

export function ClientLook({ name, isKnown = false, changed, accepted }: LookProps) {
  const path = `/credentials/${encodeURIComponent(name)}`;
  const { value, failure, again } = useLoad<{ items: readonly ClientSession[] }>(`${path}/sessions`, { every: 1000 });
  const [busy, act] = useState(false);
  const mend = async (one: Mend) => {
    if (busy) return;
    act(true);
    await orTell(() => mendBy(path, one, changed));
    act(false);
    await again();
  };
  return html`<section class="look" aria-label=${t('client.title')}>
    <h2>${t('client.title')}</h2>
    ${failureNote(failure, again)}
    <div role="log" aria-live="polite">
      ${value?.items.length === 0 && html`<p class="waiting">${t(isKnown ? 'client.waitingAgain' : 'client.waiting')}</p>`}
      <ol class="sessions">${value?.items.slice(0, SHOWN).map((session) => sessionLine(session, mend, accepted))}</ol>
    </div>
  </section>`;
}

async function mendBy(path: string, mend: Mend, changed: LookProps['changed']): Promise<void> {
  if (mend.do === 'newPassword') return changed((await api.post<{ password: string | null }>(`${path}/password`, {})).password);
  if (mend.do === 'enable') await api.patch(path, { disabled: false });
  else if (mend.do === 'rewrite') await api.patch(path, { rewrite: mend.sender });
  else {
    const { senders } = await api.get<{ senders: readonly string[] }>(path);
    await api.patch(path, { senders: [...senders, mend.sender] });
  }
  tellDone(t('client.mended'));
}

function sessionLine(session: ClientSession, mend: (one: Mend) => unknown, accepted: LookProps['accepted']) {
  const { at, ip, listener, user, mechanism, state, reason, mends, times, reply, sender, queueId } = session;
  return html`<li class=${state}>
    <p>${when(at)} <span class="mono">${ip}</span> ${listener !== null && html`<span class="dim">${listener}</span>`}
      ${user !== null && html`<span>${strange(user)} ${mechanism !== null && html`<span class="dim">${mechanism}</span>`}</span>`}
      ${mark(TONES[state], t(`client.state.${state}` as TextKey))}</p>
    ${
      reason !== null &&
      html`<p><b>${t(`reason.${reason}` as TextKey)}</b> ${times > 1 && t('client.times', { count: times })} ${sender !== null && strange(sender)}</p>
      <p>${t(`advice.${reason}` as TextKey)}</p>
      ${reply !== null && html`<p class="dim mono">${strange(reply, 300)}</p>`}
      ${mends.length > 0 && html`<div class="buttons">${mends.map((one) => html`<button type="button" onClick=${() => mend(one)}>${t(`mend.${one.do}` as TextKey, 'sender' in one ? { sender: one.sender } : {})}</button>`)}</div>`}`
    }
    ${queueId !== null && html`<div class="buttons"><button type="button" class="main" onClick=${() => accepted(queueId)}>${t('client.follow')}</button></div>`}
  </li>`;
}
