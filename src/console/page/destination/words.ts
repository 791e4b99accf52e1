/** A destination in words. */
import type { HeardSession } from '../../live-facts.ts';
import { html } from '../html.ts';
import { mark, when } from '../parts/basics.ts';
import type { Sentence } from '../phrases.ts';
import { rich, t } from '../texts.ts';

/** `GET /destinations` */
export type DestinationRow = {
  readonly key: string;
  readonly hosts: string | null;
  readonly provider: string | null;
  readonly sessions: number;
  readonly allowed: number | null;
  readonly inLine: number;
  readonly rest: { readonly until: string; readonly failures: number; readonly reason: string } | null;
  readonly waiting: number;
  readonly states: Readonly<Record<string, number>>;
  readonly oldestAcceptedAt: string | null;
  readonly nextAttemptAt: string | null;
  readonly heard: {
    readonly since: string;
    readonly replies: readonly { readonly code: number; readonly status: string; readonly count: number }[];
    readonly tls: readonly { readonly version: string | null; readonly count: number }[];
    readonly last: { readonly at: string; readonly outcome: string; readonly reply: string; readonly mx: string | null };
    readonly session: (Omit<HeardSession, 'at'> & { readonly at: string; readonly phrase: Sentence | null }) | null;
  } | null;
  readonly routes: readonly {
    readonly hosts: readonly string[];
    readonly tls: string;
    readonly senderDomain: string | null;
    readonly user: string | null;
    readonly mx: string | null;
    readonly login: boolean;
  }[];
  readonly fallback: { readonly hosts: readonly string[]; readonly tls: string } | null;
};

export function destinationMark({ rest, states }: DestinationRow) {
  if (rest !== null) return mark('wait', rich('destinations.rests', { time: when(rest.until, 'until') }));
  const waiting = Object.entries(states).filter(([, count]) => count > 0);
  if (waiting.length > 0 && waiting.every(([state]) => state === 'held')) return mark('held', t('destinations.held'));
  return mark('good', t('destinations.takes'));
}

/** Sessions under way, of how many. */
export const sessionWords = ({ sessions, allowed }: Pick<DestinationRow, 'sessions' | 'allowed'>) =>
  allowed === null ? html`<span class="dim">–</span>` : t('destinations.sessions.of', { used: sessions, allowed });
