/** Which DMARC policy holds for mail of a domain, and which other names are aligned with it: RFC 9989 §4.4, §4.10. */
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import type { AlignmentMode, DmarcAction, DmarcRecord } from './dmarc-record.ts';
import { failureOf, organizationOf, type TreeLevel, type TreeWalk, walkTree } from './tree-walk.ts';

/** With the name at the end of all aliases where the look-up tells it. */
type AddressAnswer = DnsAnswer<string> & { readonly name?: string };

type AlignmentDns = Pick<Dns, 'txt'> & { a(name: string): Promise<AddressAnswer> };

export type DmarcFacts = {
  readonly walk: TreeWalk;
  /** The A records of the domain. Asked only if the policy depends on whether the domain exists. */
  readonly address: AddressAnswer | undefined;
};

/** @param domain as for `walkTree`. Never rejects. */
export async function gatherDmarc(domain: string, dns: AlignmentDns): Promise<DmarcFacts> {
  const walk = await walkTree(domain, dns);
  const actions = inherited(walk);
  return { walk, address: actions !== undefined && actions.sp !== actions.np ? await dns.a(domain) : undefined };
}

export type DmarcPolicy =
  /** `action` is what holds for the domain: by `p`, `sp` or `np`, one step weaker with `t=y`. */
  | { readonly kind: 'found'; readonly at: string; readonly record: DmarcRecord; readonly action: DmarcAction }
  /** No record, or one without a policy (then it is named), so that receivers do not use DMARC. */
  | { readonly kind: 'none'; readonly at?: string; readonly record?: DmarcRecord }
  /** A look-up that the result depends on has failed. With a record, only its action is not known. */
  | {
      readonly kind: 'unknown';
      readonly failed: DnsAnswer<string> & { readonly kind: 'temporary' };
      readonly record?: DmarcRecord;
    };

/** The policy by RFC 9989 §4.10.1. A failed look-up above a record of the domain itself changes nothing. */
export function policyOf({ walk, address }: DmarcFacts): DmarcPolicy {
  const source = sourceOf(walk);
  const failed = failureOf(walk);
  if (source === undefined) return failed === undefined ? { kind: 'none' } : { kind: 'unknown', failed };
  const { name: at, record } = source;
  if (record.actions === undefined) return { kind: 'none', at, record };
  const { p, sp, np } = record.actions;
  const found = (action: DmarcAction) =>
    ({ kind: 'found', at, record, action: record.isTest ? WEAKER[action] : action }) as const;
  if (at === walk.domain) return found(p);
  if (sp !== np && address?.kind === 'temporary') return { kind: 'unknown', failed: address, record };
  return found(address !== undefined && isMissing(walk.domain, address) ? np : sp);
}

const WEAKER = { reject: 'quarantine', quarantine: 'none', none: 'none' } as const;

/** An alias whose target does not exist exists itself: RFC 6604 §3. */
function isMissing(domain: string, { kind, name = domain }: AddressAnswer): boolean {
  return kind === 'nxdomain' && name === domain;
}

type Source = TreeLevel & { readonly record: DmarcRecord };

/** The record that applies: of the domain, else of its organization, else of the public suffix above. */
function sourceOf(walk: TreeWalk): Source | undefined {
  const found = walk.levels.filter((level): level is Source => level.record !== undefined);
  if (found[0]?.name === walk.domain) return found[0];
  const organization = organizationOf(walk);
  if (organization === undefined) return undefined;
  return found.find(({ name }) => name === organization) ?? found.find(({ record }) => record.psd === 'y');
}

function inherited(walk: TreeWalk): DmarcRecord['actions'] {
  const source = sourceOf(walk);
  return source === undefined || source.name === walk.domain ? undefined : source.record.actions;
}

/**
 * Whether a name that SPF or DKIM has verified speaks for the domain of From: RFC 9989 §4.4, §4.10.2.
 * @returns undefined if that depends on a look-up that failed.
 */
export function isAligned(from: TreeWalk, verified: TreeWalk, mode: AlignmentMode): boolean | undefined {
  if (from.domain === verified.domain) return true;
  if (mode === 'strict') return false;
  const [ours, theirs] = [organizationOf(from), organizationOf(verified)];
  if (ours !== undefined && theirs !== undefined) return ours === theirs;
  // An organization is its domain or a name above it. So a name outside of the known one is not aligned, whatever the other walk finds.
  if (ours !== undefined) return isBelow(verified.domain, ours) ? undefined : false;
  if (theirs !== undefined) return isBelow(from.domain, theirs) ? undefined : false;
  return from.domain.split('.').at(-1) === verified.domain.split('.').at(-1) ? undefined : false;
}

const isBelow = (name: string, above: string) => name === above || name.endsWith(`.${above}`);
