/** Sums of aggregate reports for each domain, source address and result, and whose mail it is. */
import type { ReportRecord } from './aggregate.ts';

/** What is known to be ours. */
export type Own = {
  /** In canonical spelling. */
  readonly addresses: ReadonlySet<string>;
  /** `SELECTOR._domainkey.DOMAIN`, in lower case. */
  readonly keys: ReadonlySet<string>;
};

type FeedbackSum = {
  readonly domain: string;
  readonly source: string;
  /** `us`: from an address of ours. `passed on`: from elsewhere, with a signature of ours that is valid. */
  readonly sender: 'us' | 'passed on' | 'other';
  /** Passes if one of the two passes. */
  readonly dmarc: 'pass' | 'fail';
  readonly dkim: 'pass' | 'fail';
  readonly spf: 'pass' | 'fail';
  readonly disposition: ReportRecord['disposition'];
  readonly messages: number;
  /** Names that the receivers verified, such as `dkim mail.example.org` and `spf example.org`. They tell which service sends. */
  readonly verified: readonly string[];
};

const MOST_NAMES = 5;

export class FeedbackSums {
  readonly #own: Own;
  readonly #sums = new Map<string, FeedbackSum>();

  constructor(own: Own) {
    this.#own = own;
  }

  add({ domain, source, messages, dkim, spf, disposition, signatures, spfDomains }: ReportRecord): void {
    const isSignedByUs = signatures.some((one) => this.#own.keys.has(keyName(one)));
    const verified = [...signatures.map((one) => `dkim ${one.domain}`), ...spfDomains.map((name) => `spf ${name}`)];
    const sender = this.#own.addresses.has(source) ? 'us' : isSignedByUs ? 'passed on' : 'other';
    const dmarc = dkim === 'pass' || spf === 'pass' ? 'pass' : 'fail';
    this.#put({ domain, source, sender, dmarc, dkim, spf, disposition, messages, verified });
  }

  merge(other: FeedbackSums): void {
    for (const sum of other.#sums.values()) this.#put(sum);
  }

  /** By domain; in it the other senders first, failures before passes, and then the most messages. */
  list(): readonly FeedbackSum[] {
    const order = { other: 0, 'passed on': 1, us: 2 } as const;
    return [...this.#sums.values()].sort(
      (a, b) =>
        compare(a.domain, b.domain) ||
        order[a.sender] - order[b.sender] ||
        compare(a.dmarc, b.dmarc) ||
        b.messages - a.messages ||
        compare(a.source, b.source),
    );
  }

  #put(sum: FeedbackSum): void {
    const { domain, source, sender, dkim, spf, disposition, messages, verified } = sum;
    const key = [domain, source, sender, dkim, spf, disposition].join('\n');
    const before = this.#sums.get(key);
    if (before === undefined) {
      const names = [...new Set(verified)].slice(0, MOST_NAMES).map(copy);
      this.#sums.set(key, { ...sum, domain: copy(domain), source: copy(source), verified: names });
      return;
    }
    const more = verified.filter((name) => !before.verified.includes(name)).map(copy);
    const names = more.length === 0 ? before.verified : [...new Set([...before.verified, ...more])].slice(0, MOST_NAMES);
    this.#sums.set(key, { ...before, messages: before.messages + messages, verified: names });
  }
}

/** The name of a key's record in the DNS, in lower case. */
export function keyName({ selector, domain }: { readonly selector: string; readonly domain: string }): string {
  return `${selector}._domainkey.${domain}`.toLowerCase();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A part of a string keeps the whole string in memory, which here is a piece of a report. */
function copy(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
