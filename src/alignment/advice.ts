/** What is told about mail that fails DMARC, in replies, notices and findings: what is missing, and what to publish. */
import { data, inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import type { SenderDetail, SenderIdentity } from './evaluation.ts';
import type { SenderVerdict } from './verdict.ts';

/** Mail that fails, and is sent all the same. `at`: when the DNS was asked last. */
export type Misaligned = SenderIdentity & {
  readonly user: string;
  readonly verdict: SenderVerdict;
  readonly at: number;
  readonly detail: SenderDetail;
};

/** Characters of a record in one line, so that a line of a reply has at most 512 octets. */
const MOST_IN_LINE = 400;

/** What is missing, as the end of a sentence. */
function misalignment(
  { domain, envelope }: Pick<SenderIdentity, 'domain' | 'envelope'>,
  { needsKey, publish = [] }: SenderDetail,
): Phrase {
  const key = publish.find(({ name }) => name.includes('._domainkey.'));
  const dkim =
    needsKey === true
      ? phrase`this relay has no DKIM key of ${domain}`
      : key === undefined
        ? phrase`the DKIM signature does not count for ${domain}`
        : key.now === 'absent'
          ? phrase`the DNS has no record at ${key.name}`
          : phrase`the DNS has another record at ${key.name}`;
  return phrase`${dkim}, and SPF of ${envelope} does not pass for it`;
}

export const describeMisalignment = (...facts: Parameters<typeof misalignment>): string => inEnglish(misalignment(...facts));

/** The best thing to do, in lines: what to publish, or which key to make. */
export function adviceFor(domain: string, { needsKey, publish = [] }: SenderDetail): readonly Phrase[] {
  const [record] = publish;
  const make = needsKey === true ? [phrase`Make a key on the relay: smarthost domain add ${domain}`] : [];
  if (record === undefined) return make;
  const value = record.value.match(new RegExp(`.{1,${MOST_IN_LINE}}`, 'g')) ?? [];
  const here =
    make.length === 0
      ? phrase`Publish this TXT record of ${record.name}:`
      : phrase`Or publish this TXT record of ${record.name}:`;
  return [...make, here, ...value.map(data)];
}

/** What is wrong and the best thing to do, whole. */
export function mendMisalignment(identity: Pick<SenderIdentity, 'domain' | 'envelope'>, detail: SenderDetail): Phrase {
  const wrong = phrase`What is wrong: ${misalignment(identity, detail)}.`;
  return adviceFor(identity.domain, detail).reduce((all, line) => phrase`${all} ${line}`, wrong);
}
