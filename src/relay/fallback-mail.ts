/** Whether receivers take mail of a domain from the fallback upstream, and what must be known of a message for that. */
import { gatherDmarc, gatherSpf, judgeSender, type Passes, type SenderVerdict, walkTree } from '../alignment/alignment.ts';
import type { DeliveryOptions, FallbackMail, FallbackStanding } from '../delivery/delivery.ts';
import type { Dns } from '../dns/dns.ts';
import { fromDomainsOf } from '../preparation/preparation.ts';
import { lookUpRecord } from '../signing/signing.ts';
import { domainOf } from '../smtp/envelope.ts';
import type { FallbackRule } from '../smtp/route.ts';
import type { Store } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';

type FallbackParts = { readonly store: Pick<Store, 'messages' | 'operation'>; readonly dns: Dns; readonly hostname: string };

const SPF_TIME = 10 * SECOND;

/** Neither function rejects. */
export function createFallbackMail(parts: FallbackParts): NonNullable<DeliveryOptions['fallbackMail']> {
  const { messages } = parts.store;
  return {
    async read(id) {
      try {
        const [message, content] = await Promise.all([messages.get(id), messages.content(id)]);
        if (message === undefined || content === undefined) return undefined;
        const { reversePath, signatures } = message;
        return { from: fromDomainsOf(content.kind === 'inline' ? content.bytes : content.prefix), reversePath, signatures };
      } catch {
        return undefined; // the mail waits, and is read again
      }
    },
    judge: (from, mail, rule) => judge(from, mail, { ...parts, rule }).catch(() => 'unknown'),
  };
}

/** Mail may go if its own signature is aligned and verifies, or if SPF of its sender is aligned and names each address of the upstream. */
async function judge(
  from: string,
  { reversePath, signatures }: FallbackMail,
  { store, dns, hostname, rule }: FallbackParts & { readonly rule: FallbackRule },
): Promise<FallbackStanding> {
  const [dmarc, keys] = await Promise.all([gatherDmarc(from, dns), store.operation.dkimKeys()]);
  const signing = keys.filter(({ selector, domain }) => signatures.includes(`${selector}._domainkey.${domain}`));
  const signed = await Promise.all(
    signing.map(async (key) => ({ walk: await walkTree(key.domain, dns), result: RESULT[(await lookUpRecord(key, dns)).state] })),
  );
  // For the null sender, receivers look at the name of the upstream, which is not that of From.
  const none = { walk: dmarc.walk, results: ['fail'] as const };
  const byKey = judgeSender({ from: dmarc, spf: none, keys: signed });
  if (byKey === 'ok' || reversePath === '') return STANDING[byKey];
  const sender = domainOf(reversePath);
  const results = await spfOf(sender, { dns, hostname, rule });
  const spf = { walk: sender === from ? dmarc.walk : await walkTree(sender, dns), results: [allOf(results)] };
  return STANDING[judgeSender({ from: dmarc, spf, keys: signed })];
}

async function spfOf(domain: string, { dns, hostname, rule }: Pick<FallbackParts, 'dns' | 'hostname'> & { rule: FallbackRule }) {
  const addresses = rule.addresses ?? (await addressesOf(rule, dns));
  if (addresses.length === 0) return [];
  const { evaluated } = await gatherSpf({ domain, hostname, addresses, dns, timeout: SPF_TIME });
  return evaluated.map(({ result }): Passes => (result === 'pass' ? 'pass' : result === 'temperror' ? 'unknown' : 'fail'));
}

async function addressesOf({ hosts }: FallbackRule, dns: Dns): Promise<readonly string[]> {
  const found = await Promise.all(
    hosts.map(async (host) => {
      const name = /^\[(.+)\]/.exec(host)?.[1] ?? host.replace(/:\d+$/, '');
      if (/^[\d.]+$|:/.test(name)) return [name];
      const answers = await Promise.all([dns.a(name), dns.aaaa(name)]);
      return answers.flatMap((answer) => (answer.kind === 'found' ? answer.values : []));
    }),
  );
  return found.flat();
}

const allOf = (results: readonly Passes[]): Passes =>
  results.includes('fail') ? 'fail' : results.length === 0 || results.includes('unknown') ? 'unknown' : 'pass';

const RESULT = { published: 'pass', absent: 'fail', different: 'fail', unknown: 'unknown' } as const;

const STANDING: Readonly<Record<SenderVerdict, FallbackStanding>> = {
  ...{ ok: 'aligned', fragile: 'aligned', unknown: 'unknown' },
  ...{ weak: 'unaligned', spam: 'unaligned', rejected: 'unaligned' },
};
