/** What an outcome says about whether its recipient exists. The store keeps it with the outcome; here is only whose success is worth a note. */

import { domainOf } from '../smtp/envelope.ts';
import type { Outcome } from '../smtp/outcome.ts';
import { replyLine } from '../smtp/reply.ts';
import { type NewSuppression, type StoredRecipient, type SuppressionStore, suppressionKey } from '../store/store.ts';

export type Suspects = {
  /** Undefined for nearly all outcomes: it says nothing of the address. */
  noteOf(recipient: Pick<StoredRecipient, 'n' | 'address'>, outcome: Outcome, at: number): NewSuppression | undefined;
  /** Another process has changed what is known. */
  reload(): Promise<void>;
};

/** Addresses that are kept in memory. Above this number, each success is noted. */
const MOST_KNOWN = 100_000;
const PAGE = 1000;
/** Characters of a reply that are kept. */
const MOST_KEPT = 300;

/** @returns after all addresses that something is known of were read. Rejects if they cannot be. */
export async function createSuspects(store: Pick<SuppressionStore, 'list'>): Promise<Suspects> {
  let known = new Set<string>();
  async function reload(): Promise<void> {
    const found = new Set<string>();
    for (let after = ''; found.size < MOST_KNOWN; ) {
      const page = await store.list(after, PAGE);
      for (const { address } of page) found.add(address);
      if (page.length < PAGE) break;
      after = page.at(-1)!.address;
    }
    known = found;
  }
  await reload();
  return {
    noteOf({ n, address }, outcome, at) {
      if (outcome.kind === 'relayed') {
        if (known.size === 0 || (known.size < MOST_KNOWN && !known.delete(suppressionKey(address)))) return undefined;
        return { kind: 'success', n, address, at, provider: '', class: '', reply: '', sure: true, own: false };
      }
      if (outcome.kind !== 'failed' || outcome.suppress === undefined || !isAbout(address, outcome)) return undefined;
      if (known.size < MOST_KNOWN) known.add(suppressionKey(address));
      const { judged, reply, suppress } = outcome;
      const provider = judged?.provider ?? domainOf(address).toLowerCase();
      const said = replyLine(reply).slice(0, MOST_KEPT);
      return { kind: 'hit', n, address, at, provider, class: judged?.class ?? '', reply: said, ...suppress };
    },
    reload,
  };
}

/** The reply was given to RCPT, or names the recipient: a reply to the text may be about all recipients. */
function isAbout(address: string, { judged, reply }: Outcome): boolean {
  return judged?.phase === 'rcpt' || replyLine(reply).toLowerCase().includes(address.toLowerCase());
}
