/** Verdicts about senders with a DNS, a clock and timers of the test's own. */
import { onTestFinished, vi } from 'vitest';
import { type SenderVerdicts, startSenderVerdicts } from '../../src/alignment/alignment.ts';
import type { DnsClient, Resolved } from '../../src/dns/dns.ts';
import type { RelayEvent } from '../../src/events/events.ts';
import { type AlignmentSettings, createAlignmentCheck } from '../../src/policy/alignment.ts';
import type { AlignmentCheck } from '../../src/policy/policy.ts';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import type { AlignmentStore, DkimKey } from '../../src/store/store.ts';
import { HOUR, MINUTE } from '../../src/system/clock.ts';
import { data } from '../../src/system/phrase.ts';
import { createMemoryAlignment } from './memory-alignment.ts';

export const HOST = 'relay.test';
export const SHOP = 'shop.test';
export const SHOP_KEYS = await createDkimKeys({ domain: SHOP, now: 0, state: 'active' });
export const SHOP_SIGNATURES = SHOP_KEYS.map((key) => dkimRecord(key).name);
export const PUBLISHED = Object.fromEntries(SHOP_KEYS.map(dkimRecord).map(({ name, value }) => [name, value]));

/** TXT records by name. `fault`: no answer; undefined: no such name. A promise: the answer comes later. */
export type Texts = Record<string, string | readonly string[] | undefined | Promise<void>>;

type SenderRigOptions = {
  readonly texts?: Texts;
  readonly keys?: readonly DkimKey[];
  readonly addresses?: readonly string[];
  readonly ttl?: number;
  readonly store?: AlignmentStore;
  readonly settings?: Partial<AlignmentSettings>;
};

const turns = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

export async function startSenderRig(options: SenderRigOptions = {}) {
  const { keys = SHOP_KEYS, addresses = ['203.0.113.5'], ttl = HOUR, store = createMemoryAlignment() } = options;
  const later = vi.isFakeTimers() ? Date.now() : 1_800_000_000_000;
  await import('mailauth/lib/spf/index.js');
  vi.useFakeTimers({ now: later, toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const texts: Texts = { ...options.texts };
  const asked: string[] = [];
  const events: RelayEvent[] = [];
  const certain = (name: string) => ({ name, secure: false, trusted: false, ttl });
  async function txt(name: string): Promise<Resolved<string>> {
    asked.push(`TXT ${name}`);
    const text = texts[name];
    if (text instanceof Promise) await text;
    if (text === 'fault' || text instanceof Promise) return { kind: 'temporary', why: data('SERVFAIL') };
    if (text === undefined) return { kind: 'nxdomain', ...certain(name) };
    return { kind: 'found', values: typeof text === 'string' ? [text] : text, ...certain(name) };
  }
  const none = (type: string) => async (name: string) => {
    asked.push(`${type} ${name}`);
    return { kind: 'none', ...certain(name) } as const;
  };
  const dns = { txt, a: none('A'), aaaa: none('AAAA'), mx: none('MX'), ptr: none('PTR') } as unknown as DnsClient;
  const log = { emit: (event: string, fields: object) => void events.push({ event, fields } as RelayEvent) };
  const verdicts: SenderVerdicts = await startSenderVerdicts({
    ...{ store, hostname: HOST, dns, log: log as never, now: () => Date.now() },
    keys: async () => keys,
    addresses: async () => addresses,
  });
  onTestFinished(() => verdicts.close());
  const told: Parameters<Parameters<typeof createAlignmentCheck>[0]['tell']>[0][] = [];
  const check: AlignmentCheck = createAlignmentCheck({
    ...{ settings: { mode: 'refuse', rules: [], ...options.settings }, hostname: HOST, verdicts, now: () => Date.now() },
    tell: (problem) => void told.push(problem),
  });
  return {
    ...{ texts, asked, events, verdicts, check, told, store, log },
    /** Sends one message, as a client would. @returns `accepted`, or the reply. */
    async send(change: Partial<Parameters<AlignmentCheck['check']>[0]> = {}): Promise<string> {
      const mail = {
        ...{ user: 'app@shop.test', from: [SHOP], envelope: SHOP, signatures: SHOP_SIGNATURES, broughtBy: [] },
        isDirect: () => true,
        ...change,
      };
      try {
        await check.check(mail);
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    },
    /** Lets the time pass, with everything that becomes due in it. */
    async pass(milliseconds: number): Promise<void> {
      for (let left = milliseconds; left > 0; left -= MINUTE) {
        await vi.advanceTimersByTimeAsync(Math.min(left, MINUTE));
        await turns(); // SPF is loaded and evaluated in turns of the event loop
      }
    },
  };
}
