/** A credential in words: its state, its limits, and how much of them is used. */
import { relayNow } from '../api.ts';
import { html } from '../html.ts';
import { mark, type Tone, when } from '../parts/basics.ts';
import { rich, t } from '../texts.ts';

type Limit = {
  readonly kind: 'messages' | 'recipients' | 'newRecipients';
  readonly count: number;
  readonly per: 'minute' | 'hour' | 'day';
};

/** `GET /credentials` */
export type ListedCredential = {
  readonly name: string;
  readonly senders: readonly string[];
  readonly mailServer: boolean;
  /** Those in effect, the defaults of the configuration included. */
  readonly limits: readonly Limit[];
  readonly used: readonly (Limit & { readonly used: number; readonly resetsAt: string })[];
  readonly disabled: boolean;
  readonly expiresAt: string | null;
  readonly stops: readonly {
    /** The envelope sender of a mail server. null: the login as a whole. */
    readonly sender: string | null;
    readonly state: string;
    readonly since: string;
    readonly by: string;
    readonly signals: readonly string[];
    readonly heldRecipients: number;
  }[];
  readonly trustedUntil: string | null;
  readonly lastLogin: {
    readonly at: string;
    readonly ip: string;
    readonly tls: string | null;
    readonly mechanism: string;
  } | null;
};

/** `GET /credentials/:name` */
export type WholeCredential = ListedCredential & {
  readonly defaultLimits: boolean;
  readonly rewrite: string | null;
  readonly createdAt: string;
  readonly profile: string;
  readonly bulk: boolean;
  readonly contact: string | null;
};

type State = {
  readonly name: 'enabled' | 'disabled' | 'expired' | 'held' | 'refused' | 'releasing' | 'sendersHeld';
  readonly count: number;
};

export function credentialState({ disabled, expiresAt, stops }: ListedCredential): State {
  if (disabled) return { name: 'disabled', count: 0 };
  if (expiresAt !== null && Date.parse(expiresAt) <= relayNow()) return { name: 'expired', count: 0 };
  const whole = stops.find(({ sender }) => sender === null);
  if (whole !== undefined) return { name: stopName(whole.state), count: 0 };
  return stops.length > 0 ? { name: 'sendersHeld', count: stops.length } : { name: 'enabled', count: 0 };
}

const stopName = (state: string) => (state === 'refused' || state === 'releasing' ? state : 'held');

const TONES: Readonly<Record<State['name'], Tone>> = {
  ...{
    enabled: 'good',
    disabled: 'plain',
    expired: 'plain',
    held: 'held',
    refused: 'bad',
    releasing: 'wait',
    sendersHeld: 'held',
  },
};

export function credentialMark(user: ListedCredential) {
  const { name, count } = credentialState(user);
  return mark(TONES[name], t(`credentials.state.${name}`, { count }));
}

export const stopWords = (state: string) => t(`credentials.state.${stopName(state)}`);

const limitWords = ({ kind, count, per }: Limit) =>
  t('credentials.limit.each', { amount: t(`credentials.limit.${kind}`, { count }), per: t(`per.${per}`) });

const shareOf = ({ used, count }: ListedCredential['used'][number]) => (count === 0 ? 1 : used / count);

/** How much of the limit is used that comes first to its end. */
export function nearestLimit(used: ListedCredential['used']) {
  const nearest = [...used].sort((a, b) => shareOf(b) - shareOf(a))[0];
  if (nearest === undefined) return html`<span class="dim">${t('credentials.use.none')}</span>`;
  return html`<span class="use">${useBar(nearest)}</span>`;
}

function useBar(one: ListedCredential['used'][number]) {
  const words = t('credentials.use.text', { used: one.used, limit: limitWords(one) });
  const isNear = shareOf(one) >= 0.8;
  return html`<meter min="0" max=${Math.max(1, one.count)} value=${one.used} high=${one.count * 0.8} optimum="0" aria-label=${words}></meter>
    <span class=${isNear ? 'near' : ''}>${isNear && html`<span class="sign" aria-hidden="true">▲</span> `}${words}</span>`;
}

/** A bar for each limit: how much of it is used, and when it is counted anew. */
export const limitBars = (used: ListedCredential['used']) =>
  used.length === 0
    ? html`<span class="dim">${t('credentials.use.none')}</span>`
    : html`<ul>${used.map(
        (one) =>
          html`<li class="use">${useBar(one)} ${one.used > 0 && html`<span class="dim">${rich('credentials.use.until', { time: when(one.resetsAt, 'until') })}</span>`}</li>`,
      )}</ul>`;

export function lastLogin({ lastLogin }: ListedCredential) {
  if (lastLogin === null) return html`<span class="dim">${t('credentials.login.never')}</span>`;
  const { at, ip, tls, mechanism } = lastLogin;
  return html`<span>${rich('credentials.login.how', { time: when(at, 'ago'), mechanism, ip, tls: tls ?? t('credentials.login.plain') })}</span>`;
}

export const kindWords = ({ mailServer }: ListedCredential) => t(mailServer ? 'credentials.kind.server' : 'credentials.kind.app');
