/** May this credential send this? What every stage asks of the rules: RFC 6409 §6.1, and the limits of a credential. */
import { refusal } from '../smtp/replies.ts';
import type { Credential } from '../store/store.ts';
import { coversSender, isPostmasterOf } from './sender.ts';

export { createQuota, limitsFor, type Quota, type QuotaDefaults, type QuotaUser } from './quota.ts';

/** What a header says of its author; the addresses have their domain as lower-case A-labels. */
export type Authorship = { readonly from: readonly string[]; readonly sender?: string; readonly nullSender: boolean };

/**
 * The null reverse-path (empty) is everybody's: RFC 8098 §3 demands it of a person's read receipt, and only the header tells
 * whose that is. See `checkAuthor`.
 * @throws Refusal 553 5.7.1 where the credential may not use this reverse-path.
 */
export function checkReversePath(credential: Credential, reversePath: string): void {
  if (reversePath === '' || coversSender(credential.senders, reversePath)) return;
  throw refusal('foreignReversePath', { login: credential.name, address: reversePath });
}

/**
 * @throws Refusal 550 5.7.1 where the header names an author that the credential may not be. The reports of a mail server (null
 * reverse-path) may come from the postmaster of its domains and their hosts; from strangers they would be forgeries like any
 * other, and we might sign them.
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
