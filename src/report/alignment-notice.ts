/** What the operator reads when mail of a domain fails DMARC at its receivers: RFC 9989 §5.3. */
import { adviceFor, describeMisalignment, type Misaligned } from '../alignment/alignment.ts';
import { formatDate } from '../smtp/text.ts';
import { inEnglish } from '../system/phrase.ts';
import type { OperatorNotice } from './notice.ts';

const FOLLOWS: Readonly<Record<string, string>> = {
  rejected: 'By the DMARC policy of the domain, receivers refuse this mail.',
  spam: 'By the DMARC policy of the domain, receivers treat this mail as spam.',
  weak: 'No DMARC policy forbids it, but large receivers refuse or delay mail that they cannot authenticate.',
};

export function alignmentNotice(hostname: string, problem: Misaligned): OperatorNotice {
  const { domain, user, verdict, detail, at } = problem;
  const { policy } = detail;
  return {
    subject: `${hostname}: mail from ${domain} fails DMARC`,
    lines: [
      `The login ${user} sends mail with ${domain} in From through the mail relay ${hostname}. It fails DMARC: ${describeMisalignment(problem, detail)}.`,
      '',
      FOLLOWS[verdict] ?? '',
      ...(policy === undefined ? [] : [`The policy is at _dmarc.${policy.at}: ${policy.text}`]),
      '',
      'The mail was sent all the same. What to do:',
      '',
      ...adviceFor(domain, detail).map((line) => `    ${inEnglish(line)}`),
      `    smarthost doctor`,
      '',
      `The DNS was asked last at ${formatDate(at)}, and is asked again every few minutes. There is one such notice for a domain and day.`,
      `If this mail is as you want it: an entry in \`alignment.rules\` with domain ${domain} and mode off.`,
    ],
  };
}
