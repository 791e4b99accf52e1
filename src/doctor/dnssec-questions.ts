/**
 * Asks the resolver what tells a validating one from one that passes on what others say: a signed name without TLSA records, an unsigned
 * name, one with wrong signatures, and an answer that needs TCP. RFC 4035 §4.3, RFC 7672 §2.1, RFC 7766 §5.
 */
import type { Validated } from '../dns/dns.ts';
import { phrase } from '../system/phrase.ts';
import { about, type Finding } from './finding.ts';

export type DnssecQuestion = 'absent' | 'unsigned' | 'bogus' | 'large';
export type DnssecAnswers = Readonly<Record<DnssecQuestion, Validated>>;

/** Public names that have been what they are for many years. */
export const DNSSEC_QUESTIONS = {
  absent: { name: '_25._tcp.example.com', type: 'TLSA' },
  unsigned: { name: 'google.com', type: 'A' },
  bogus: { name: 'dnssec-failed.org', type: 'A' },
  large: { name: 'microsoft.com', type: 'TXT' },
} as const satisfies Readonly<Record<DnssecQuestion, { readonly name: string; readonly type: string }>>;

/** Longer answers do not fit into a datagram of ours. */
const DATAGRAM = 1232;
const FORWARDS = phrase`Something between this machine and the Internet spoils DNSSEC: use a resolver that asks the name servers itself, such as unbound.`;

/** @returns what is wrong or could not be seen; nothing if the resolver passes. */
export function checkAnswers({ absent, unsigned, bogus, large }: DnssecAnswers): readonly Finding[] {
  return [checkAbsent(absent), checkUnsigned(unsigned), checkBogus(bogus), checkLarge(large)].filter((one) => one !== undefined);
}

function sayer(question: DnssecQuestion) {
  const { name, type } = DNSSEC_QUESTIONS[question];
  return about('dnssec', `${name} ${type}`);
}

function checkAbsent(answer: Validated): Finding | undefined {
  const say = sayer('absent');
  const wanted = phrase`a validated answer that there are none (AD)`;
  if (answer.kind === 'silent') return say('unknown', answer.why, wanted, ASK_LATER);
  const advice = phrase`Mail to hosts without TLSA records would wait. ${FORWARDS}`;
  if (answer.kind === 'failed') return say('warning', answer.why, wanted, advice);
  return answer.authenticated ? undefined : say('warning', phrase`the answer is not validated`, wanted, advice);
}

function checkUnsigned(answer: Validated): Finding | undefined {
  const say = sayer('unsigned');
  const wanted = phrase`an answer without AD, as the name is not signed`;
  if (answer.kind === 'silent') return say('unknown', answer.why, wanted, ASK_LATER);
  if (answer.kind === 'failed')
    return say('warning', answer.why, wanted, phrase`It fails for names that are not signed. ${FORWARDS}`);
  if (!answer.authenticated) return undefined;
  return say(
    'warning',
    phrase`the answer claims to be validated`,
    wanted,
    phrase`This resolver says AD to everything: use one that validates, such as unbound.`,
  );
}

function checkBogus(answer: Validated): Finding | undefined {
  const say = sayer('bogus');
  const wanted = phrase`SERVFAIL, as the signatures of the name are wrong`;
  if (answer.kind === 'silent') return say('unknown', answer.why, wanted, ASK_LATER);
  if (answer.kind === 'failed') return undefined;
  return say(
    'warning',
    phrase`an answer`,
    wanted,
    phrase`This resolver passes on what is forged: use one that validates, such as unbound.`,
  );
}

function checkLarge(answer: Validated): Finding | undefined {
  const say = sayer('large');
  const wanted = phrase`an answer of more than ${DATAGRAM} octets, over TCP`;
  const advice = phrase`Long answers come over TCP: let the resolver be asked, and ask, on TCP port 53.`;
  if (answer.kind === 'silent') return say('unknown', answer.why, wanted, ASK_LATER);
  if (answer.kind === 'failed') return say('warning', answer.why, wanted, advice);
  return answer.octets > DATAGRAM
    ? undefined
    : say('unknown', phrase`an answer of ${answer.octets} octets`, wanted, phrase`The name has changed, so this shows nothing.`);
}

const ASK_LATER = phrase`Run doctor again: this name could not be asked for.`;
