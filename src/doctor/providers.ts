/** Whether mail is held: because a provider refuses our address, or because a login does something unusual. */
import type { HeldMail, Shaping } from '../store/store.ts';
import { phrase } from '../system/phrase.ts';
import { about, type Finding } from './finding.ts';

export type ProviderFacts = { readonly states: readonly Shaping[]; readonly held: readonly HeldMail[] };

type Evidence = {
  readonly cause?: { readonly reply: { readonly code: number; readonly status: string; readonly text: string } };
};

/** Rows of upstreams begin with it. */
const FALLBACK = 'fallback:';

function failing(upstream: string, { until, evidence }: Pick<Shaping, 'until' | 'evidence'>): Finding {
  const { cause } = JSON.parse(evidence) as { readonly cause?: { readonly text: string } };
  const advice = phrase`Mail for providers that refuse our address waits for it, and it is tried again at ${new Date(until).toISOString()}: look at your account there, and at delivery.fallback`;
  const found = cause === undefined ? phrase`takes no mail` : phrase`takes no mail: ${cause.text.slice(0, 200)}`;
  return about('fallback', upstream)('warning', found, phrase`the fallback upstream takes mail`, advice);
}

export function checkProviders({ states, held }: ProviderFacts): readonly Finding[] {
  const blocked = states.filter(({ state }) => state === 'blocked' || state === 'probing');
  const wanted = phrase`every provider takes mail from here`;
  if (blocked.length === 0) return [about('providers', 'all')('ok', phrase`none refuses our address`, wanted)];
  return blocked.map(({ provider, until, evidence }) => {
    if (provider.startsWith(FALLBACK)) return failing(provider.slice(FALLBACK.length), { until, evidence });
    const { cause } = JSON.parse(evidence) as Evidence;
    const said = cause && `${cause.reply.code} ${cause.reply.status} ${cause.reply.text.slice(0, 200)}`;
    const count = held.find((one) => one.provider === provider)?.recipients ?? 0;
    const advice = phrase`Its mail (${count} recipients) is held, and it is asked again at ${new Date(until).toISOString()}. smarthost provider show ${provider} says where a block is reported`;
    return about('providers', provider)(
      'warning',
      said === undefined ? phrase`refuses our address` : phrase`refuses our address: ${said}`,
      wanted,
      advice,
    );
  });
}

/** A login, or one sender of a mail server, whose mail is held. */
export type HeldLoginFacts = {
  readonly name: string;
  readonly sender: string | null;
  readonly since: string;
  readonly heldRecipients: number;
};

export function checkLogins(held: readonly HeldLoginFacts[]): readonly Finding[] {
  const wanted = phrase`no login does what a stolen password does`;
  if (held.length === 0) return [about('logins', 'all')('ok', phrase`no mail is held because of its login`, wanted)];
  return held.map(({ name, sender, since, heldRecipients }) => {
    const who = sender === null ? name : `${sender} at ${name}`;
    const option = sender === null ? '' : ` --sender ${sender}`;
    const advice = phrase`smarthost user show ${name} says why. If the mail is wanted: smarthost user release ${name}${option}. If not, give the login another password, and add --discard`;
    return about('logins', who)('warning', phrase`mail for ${heldRecipients} recipients is held since ${since}`, wanted, advice);
  });
}
