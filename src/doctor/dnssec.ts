/** Checks whether the resolver answers and validates (RFC 4035), and what DANE (RFC 7672) needs. */
import { isOwnResolver, type Validated } from '../dns/dns.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import { checkAnswers, type DnssecAnswers } from './dnssec-questions.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

type DnssecFacts = {
  /** The answer for a name in a signed zone. */
  readonly signed: Validated;
  readonly trustAd: boolean;
};

/** @param asked undefined: not asked, because the first answer was not validated. */
export function checkDnssec({ signed, trustAd }: DnssecFacts, asked: DnssecAnswers | undefined): readonly Finding[] {
  const answers = phrase`a resolver that answers`;
  const unproven = (subject: string, found: Phrase) =>
    about('dnssec', subject)('unknown', found, phrase`answers that are validated (AD)`, ASK_AGAIN);
  if (signed.kind === 'silent') {
    const advice = phrase`Without a resolver no mail is delivered: check \`dns.servers\`, /etc/resolv.conf, and whether UDP port 53 can be reached.`;
    return [about('resolver', 'dns')('error', signed.why, answers, advice), unproven('dns', phrase`no answer`)];
  }
  if (signed.kind === 'failed') {
    const found = phrase`${signed.why} for a name that exists`;
    const advice = phrase`It answers, but perhaps not for all names of the Internet: is it a resolver, and can it reach the root servers?`;
    return [about('resolver', signed.server)('unknown', found, answers, advice), unproven(signed.server, found)];
  }
  const { server, authenticated } = signed;
  const say = about('dnssec', server);
  const wanted = phrase`a resolver on this machine that validates (AD)`;
  const resolver = about('resolver', server)('ok', phrase`answers`, answers);
  const install = phrase`Install a validating resolver on this machine, such as unbound, and set \`dns.servers: [127.0.0.1]\`.`;
  if (!authenticated)
    return [
      resolver,
      say(
        'warning',
        phrase`answers are not validated`,
        wanted,
        phrase`DANE needs validation, and so does mail with REQUIRETLS to domains without MTA-STS: it waits. Forged answers are not noticed. ${install}`,
      ),
    ];
  if (!isOwnResolver(server) && !trustAd)
    return [
      resolver,
      say(
        'warning',
        phrase`answers are validated, but they can be forged on the way from the resolver`,
        wanted,
        phrase`${install} If the path to the resolver is safe, set \`dns.trustAd: true\`.`,
      ),
    ];
  const faults = asked === undefined ? [] : checkAnswers(asked);
  return faults.length > 0 ? [resolver, ...faults] : [resolver, say('ok', phrase`answers are validated`, wanted)];
}
