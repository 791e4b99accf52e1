/** What the end of a recipient says about the login that has written to it. */
import type { Outcome } from '../../smtp/outcome.ts';

/** Refusals that are about us, our domain or the receiver itself: they say nothing about the recipient. */
const NOT_ABOUT_MAIL: ReadonlySet<string> = new Set([
  ...['rate', 'concurrency', 'session-cap', 'rcpt-cap', 'address-throttled', 'address-blocked', 'ptr-helo', 'ipv6-refused'],
  ...['tls-required', 'busy', 'relay-denied', 'upstream-quota', 'auth-required', 'auth-fail', 'sender-bad', 'domain-listed'],
  ...['domain-reputation', 'greylist', 'recipient-rate', 'recipient-temp'],
]);

/**
 * Undefined: it says nothing. Only an end counts: what is put off, held or unknown may still arrive.
 * @param recipient its domain is the receiver where no provider is known.
 */
export function endOf(
  outcome: Outcome,
  recipient: string,
): { readonly as: 'relayed' | 'unknown' | 'spam' | 'other'; readonly receiver: string } | undefined {
  if (outcome.kind !== 'relayed' && outcome.kind !== 'failed') return undefined;
  const found = outcome.judged;
  const receiver = found?.provider ?? recipient.slice(recipient.lastIndexOf('@') + 1).toLowerCase();
  if (outcome.kind === 'relayed') return { as: 'relayed', receiver };
  if (found === undefined) return { as: 'other', receiver };
  if (found.action.split(' ')[0]!.split('+').includes('strike') || found.class === 'content-spam')
    return { as: 'spam', receiver };
  if (found.class === 'no-such-user') return { as: 'unknown', receiver };
  return NOT_ABOUT_MAIL.has(found.class) ? undefined : { as: 'other', receiver };
}
