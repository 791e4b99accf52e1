/** What the relay has found out of senders that the doctor does not look at itself, and whether this machine sees the DNS that receivers see. */
import { type GatheredSender, judgeSender, mendMisalignment, type SenderDetail, senderOf } from '../alignment/alignment.ts';
import type { StoredSenderVerdict } from '../store/store.ts';
import { phrase } from '../system/phrase.ts';
import { about, type Finding, type Severity } from './finding.ts';

const JUDGED: Readonly<Record<string, Severity>> = { weak: 'error', spam: 'error', rejected: 'error', fragile: 'warning' };
/** The last used ones. */
const MOST_SENDERS = 20;

/** @param domains those that have findings of their own. */
export function checkSenders(senders: readonly StoredSenderVerdict[], domains: ReadonlySet<string>): readonly Finding[] {
  return senders
    .filter(({ domain, verdict }) => JUDGED[verdict] !== undefined && !domains.has(domain))
    .slice(0, MOST_SENDERS)
    .map((row) => {
      const { domain, envelope, verdict, at, detail } = row;
      const say = about('alignment', domain);
      const seen = phrase`${verdict} (mail of the last day, envelope ${envelope}, looked up ${new Date(at).toISOString()})`;
      const wanted = phrase`aligned with the domain of From`;
      if (verdict === 'fragile') return say('warning', seen, wanted, phrase`SPF alone passes: smarthost domain add ${domain}`);
      const why = JSON.parse(detail) as SenderDetail;
      return say('error', seen, wanted, mendMisalignment(row, why));
    });
}

/** Empty if both give the same verdict. @param seen by the resolvers of `alignment.resolvers`, which `alignment` uses. */
export function checkSplit(here: GatheredSender, seen: GatheredSender): readonly Finding[] {
  const [own, theirs] = [judgeSender(senderOf(here)), judgeSender(senderOf(seen))];
  if (own === theirs) return [];
  const say = about('alignment', here.dmarc.walk.domain);
  const advice = phrase`The resolvers of this machine have other answers for this domain, as those of an internal zone have. What receivers see counts; DKIM keys are activated by what this machine sees.`;
  return [
    say(
      'warning',
      phrase`${own} by the resolvers of this machine, ${theirs} by \`alignment.resolvers\``,
      phrase`the same`,
      advice,
    ),
  ];
}
