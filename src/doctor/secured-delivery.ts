/** Checks what secured delivery rests on besides the resolver: DANE, roots, the operator's exceptions, mail that waits. RFC 7672, RFC 8461. */
import { isOwnResolver, type Validated } from '../dns/dns.ts';
import type { TlsLevel } from '../smtp/route.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

export type SecuredFacts = {
  /** `delivery.tls` */
  readonly tls: TlsLevel;
  /** `delivery.dane` */
  readonly dane: 'on' | 'audit' | 'off';
  /** Of `destinations`, those that are over included. `until`: milliseconds since 1970. */
  readonly exceptions: readonly {
    readonly subject: string;
    readonly what: Phrase;
    readonly until?: number | undefined;
    readonly isOver: boolean;
  }[];
  /** Domains whose mail waits now because of a policy, with the last reply. */
  readonly delays: readonly { readonly domain: string; readonly recipients: number; readonly reply: string }[];
  /** `submission.requireTls` */
  readonly requireTls: 'offer' | 'off';
};

/** How many authorities are known. `old`: one that some large providers still need is among them. */
export type RootFacts = { readonly bundled: number; readonly system: number; readonly old: boolean };

type Resolved = { readonly signed: Validated; readonly trustAd: boolean };

/** An operator does not read about more domains than this. */
const MOST_SHOWN = 10;

export function checkDane({ dane: mode }: SecuredFacts, { signed, trustAd }: Resolved): Finding {
  const say = about('dane', 'outbound');
  const wanted = phrase`a resolver whose answers can be trusted`;
  if (mode === 'off')
    return say('warning', phrase`off`, phrase`TLSA records that are obeyed`, phrase`Set \`delivery.dane: on\`.`);
  if (signed.kind !== 'answered') return say('unknown', phrase`no answer`, wanted, ASK_AGAIN);
  if (!signed.authenticated || !(trustAd || isOwnResolver(signed.server)))
    return say('warning', phrase`not ready`, wanted, phrase`See dnssec: TLSA records count only when they are validated.`);
  if (mode === 'on') return say('ok', phrase`ready`, wanted);
  const advice = phrase`Set \`delivery.dane: on\` when the log shows no failure that you do not expect.`;
  return say('warning', phrase`audit: TLSA records are only logged`, phrase`on`, advice);
}

export function checkRoots({ bundled, system, old }: RootFacts): Finding {
  const say = about('roots', 'outbound');
  const found = phrase`${bundled} of Node, ${system} of the system`;
  const wanted = phrase`the roots of Node and of the system`;
  const install = phrase`Install or update the package ca-certificates: some hosts need a root that Node has dropped.`;
  if (system === 0) return say('warning', found, wanted, install);
  return old ? say('ok', found, wanted) : say('warning', phrase`${found}, without ${OLD_ROOT}`, wanted, install);
}

/** Node has dropped it, and mail hosts of Microsoft had chains to it. */
export const OLD_ROOT = 'DigiCert Global Root CA';

export function checkExceptions({ tls, exceptions }: SecuredFacts): readonly Finding[] {
  const wanted = phrase`no exception, or one that ends`;
  const say = about('tlsExceptions', 'destinations');
  // RFC 8689 §4.2.1: such mail cannot leave in clear.
  const off = phrase`no TLS with any host, so no policy is obeyed, and mail with REQUIRETLS comes back`;
  const all =
    tls === 'none' ? [say('warning', off, phrase`TLS where it is offered`, phrase`Set \`delivery.tls: opportunistic\`.`)] : [];
  if (exceptions.length === 0) return all.length > 0 ? all : [say('ok', phrase`none`, wanted)];
  const own = exceptions.map(({ subject, what, until, isOver }) => {
    const say = about('tlsExceptions', subject);
    if (until === undefined)
      return say(
        'warning',
        phrase`${what}, without an end`,
        wanted,
        phrase`Give the entry of \`destinations\` an \`until\`, or remove it.`,
      );
    const day = new Date(until).toISOString().slice(0, 10);
    return isOver
      ? say('ok', phrase`over since ${day}`, wanted)
      : say('warning', phrase`${what}, until ${day}`, wanted, phrase`Remove it as soon as the destination is mended.`);
  });
  return [...all, ...own];
}

export function checkDelays({ delays }: SecuredFacts): readonly Finding[] {
  const wanted = phrase`no mail that waits because of a TLS policy`;
  if (delays.length === 0) return [about('policyDelays', 'queue')('ok', phrase`none`, wanted)];
  return delays.slice(0, MOST_SHOWN).map(({ domain, recipients, reply }) => {
    const ask = phrase`Send its postmaster what this says: smarthost tls check ${domain} --connect`;
    const advice = LOOK_UP_FAILED.test(reply) ? phrase`${ask}. ${STRICT_NAMES}` : ask;
    return about('policyDelays', domain)('warning', phrase`${recipients} recipients wait: ${reply}`, wanted, advice);
  });
}

/** The detail of a host whose TLSA records could not be looked up. */
const LOOK_UP_FAILED = /looking up its records at _\d+\._tcp\./;
/** Some name servers deny `_tcp.HOST`, below which the records are. A resolver that asks for each label by itself then stops: RFC 9156 §2.3. */
const STRICT_NAMES = phrase`If other resolvers find its records, this one may cut names too strictly: unbound needs \`qname-minimisation-strict: no\`.`;
