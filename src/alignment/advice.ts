/** What is told about mail that fails DMARC, in replies, notices and findings: what is missing, and what to publish. */
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
export function describeMisalignment(
  { domain, envelope }: Pick<SenderIdentity, 'domain' | 'envelope'>,
  { needsKey, publish = [] }: SenderDetail,
): string {
  const key = publish.find(({ name }) => name.includes('._domainkey.'));
  const dkim =
    needsKey === true
      ? `this relay has no DKIM key of ${domain}`
      : key === undefined
        ? `the DKIM signature does not count for ${domain}`
        : `the DNS has ${key.now === 'absent' ? 'no record' : 'another record'} at ${key.name}`;
  return `${dkim}, and SPF of ${envelope} does not pass for it`;
}

/** The best thing to do, in lines: what to publish, or which key to make. */
export function adviceFor(domain: string, { needsKey, publish = [] }: SenderDetail): readonly string[] {
  const [record] = publish;
  const make = needsKey === true ? [`Make a key on the relay: smarthost domain add ${domain}`] : [];
  if (record === undefined) return make;
  const value = record.value.match(new RegExp(`.{1,${MOST_IN_LINE}}`, 'g')) ?? [];
  return [...make, `${make.length === 0 ? 'Publish' : 'Or publish'} this TXT record of ${record.name}:`, ...value];
}
