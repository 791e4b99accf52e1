/** Whether a credential may send a message: RFC 6409 §6.1. The limits of a credential are in quota.ts. */
import { canonicalMailbox } from '../smtp/address.ts';
import { domainOf, localPartOf } from '../smtp/envelope.ts';
import { refusal } from '../smtp/replies.ts';
import { lowerAscii } from '../smtp/text.ts';
import type { Credential } from '../store/store.ts';

export { type AlignmentCheck, createAlignmentCheck } from './alignment.ts';
export { Behaviour, type BehaviourNews, type BehaviourSettings } from './behaviour/behaviour.ts';
export { holdKey } from './behaviour/held.ts';
export type { Profile } from './behaviour/signals.ts';
export {
  COMPLAINT_PREFIX,
  type HeardComplaint,
  LINK_LIFETIME,
  loginKey,
  newOperatorStop,
  parseStop,
  parseTraits,
  STOP_PREFIX,
  type Stop,
  senderKey,
  stopName,
  TRUSTED_FOR,
  traitsName,
  type UserTraits,
} from './behaviour/stop.ts';
export { describeSignal } from './behaviour/words.ts';
export { createQuota, limitsFor, type Quota, type QuotaDefaults, type QuotaUser } from './quota.ts';

/** The authors that a header names. The domains of the addresses are lower-case A-labels. */
export type Authorship = { readonly from: readonly string[]; readonly sender?: string; readonly nullSender: boolean };

/**
 * Every credential may use the null reverse-path (empty), because RFC 8098 §3 demands it for a person's read receipt. `checkAuthor`
 * then judges the header.
 * @throws Refusal 553 5.7.1 where the credential may not use this reverse-path.
 */
export function checkReversePath(credential: Credential, reversePath: string): void {
  if (reversePath === '' || coversSender(credential.senders, reversePath)) return;
  throw refusal('foreignReversePath', { login: credential.name, address: reversePath });
}

/**
 * The reports of a mail server (null reverse-path) may come from the postmaster of its domains and their hosts, and from no stranger:
 * the relay might sign a forgery.
 * @throws Refusal 550 5.7.1 where the header names an author that the credential may not be.
 */
export function checkAuthor(credential: Credential, author: Authorship): void {
  const reports = author.nullSender && credential.mailServer;
  const mayBe = (address: string) =>
    coversSender(credential.senders, address) || (reports && isPostmasterOf(credential.senders, address));
  const foreign = author.from.find((address) => !mayBe(address));
  if (foreign !== undefined) throw refusal('foreignFrom', { login: credential.name, address: foreign });
  if (author.sender !== undefined && !mayBe(author.sender)) {
    throw refusal('foreignSender', { login: credential.name, address: author.sender });
  }
}

/** Who signs a mail server's reports: RFC 5321 §4.5.1, and the name that Sendmail and Postfix use. */
const POSTMASTERS: readonly string[] = ['postmaster', 'mailer-daemon'];

/** Suffixes of internal networks. A mail server that was installed under such a name sends its reports from postmaster@that-name. */
const PRIVATE = /\.(?:local|localdomain|lan|internal|intranet|private|corp|home)$/;

/**
 * True where one rule covers the address. A rule is an address, `@domain`, `@.domain` (that domain and all below it) or `*`.
 * Local parts are compared without ASCII case: the owner of `Anna@` also owns `anna@`. RFC 5321 §2.4 leaves this to the domain.
 */
export function coversSender(rules: readonly string[], address: string): boolean {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1).toLowerCase();
  return rules.some((rule) => {
    if (rule === '*') return true;
    if (rule.startsWith('@.')) return isWithin(domain, rule.slice(2).toLowerCase());
    if (rule.startsWith('@')) return domain === rule.slice(1).toLowerCase();
    const whole = `${lowerAscii(address.slice(0, Math.max(0, at)))}@${domain}`;
    return whole === lowerAscii(rule) || whole === lowerAscii(respelled(rule));
  });
}

/** A rule of an earlier release may stand as it was typed, with needless quotes. */
function respelled(rule: string): string {
  return /"|\.[.@]|^\./.test(rule) ? (canonicalMailbox(rule) ?? rule) : rule;
}

/** True for the postmaster of a domain that a rule names in any form, of a host in such a domain, or of a private network. */
function isPostmasterOf(rules: readonly string[], address: string): boolean {
  if (!POSTMASTERS.includes(localPartOf(address).toLowerCase())) return false;
  const domain = domainOf(address).toLowerCase();
  if (PRIVATE.test(domain)) return true;
  return rules.some((rule) =>
    isWithin(
      domain,
      rule
        .slice(rule.lastIndexOf('@') + 1)
        .replace(/^\./, '')
        .toLowerCase(),
    ),
  );
}

function isWithin(domain: string, parent: string): boolean {
  return parent !== '' && (domain === parent || domain.endsWith(`.${parent}`));
}
