/** Checks whether policies of MTA-STS can be fetched from this machine, and whether those that the relay holds can be fetched again. RFC 8461 §3.3 */
import { type Phrase, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding } from './finding.ts';

export type StsFacts = {
  /** `delivery.mtaSts`. */
  readonly mode: 'on' | 'audit' | 'off';
  /** Policies that are applied, and how many of them could not be fetched again for days. */
  readonly held: number;
  readonly overdue: number;
};

/** What became of a fetch; `problem` absent: it succeeded. */
export type StsFetch = {
  readonly host: string;
  readonly problem?:
    | { readonly type: 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid'; readonly why: Phrase }
    | undefined;
};

const ADVICE: Readonly<Record<NonNullable<StsFetch['problem']>['type'], Phrase>> = {
  'sts-policy-fetch-error': phrase`Let this machine connect to port 443 of other hosts: policies are fetched there.`,
  'sts-webpki-invalid': phrase`If this is the only domain, its postmaster must mend it. Else update the root certificates of this machine, and check its clock.`,
  'sts-policy-invalid': phrase`The postmaster of that domain must mend it. Mail to the domain is sent as if there were no policy.`,
};

/** @param fetched the policy of one destination; undefined if none of them has one. */
export function checkSts({ mode, held, overdue }: StsFacts, fetched: StsFetch | undefined): readonly Finding[] {
  const say = about('mtaSts', fetched?.host ?? 'outbound');
  if (mode === 'off')
    return [
      say(
        'warning',
        phrase`off`,
        phrase`policies that are obeyed`,
        phrase`Set \`delivery.mtaSts: on\`, so that policies of domains are obeyed.`,
      ),
    ];
  const wanted = phrase`policies that can be fetched`;
  const findings = [
    fetched === undefined
      ? say('unknown', phrase`no policy was found to try`, wanted, ASK_AGAIN)
      : fetched.problem === undefined
        ? say('ok', phrase`a policy was fetched`, wanted)
        : say('warning', fetched.problem.why, wanted, ADVICE[fetched.problem.type]),
  ];
  if (mode === 'audit') {
    const advice = phrase`Set \`delivery.mtaSts: on\` when the log shows no failure that you do not expect.`;
    findings.push(about('mtaSts', 'delivery.mtaSts')('warning', phrase`audit: policies are only logged`, phrase`on`, advice));
  }
  if (overdue > 0) {
    const found = phrase`${overdue} of ${held} could not be fetched again for days`;
    const advice = phrase`They are applied until they expire. \`smarthost tls policies list --failing\` shows them and the reasons.`;
    findings.push(about('mtaSts', 'policies')('warning', found, phrase`all policies are fetched again each day`, advice));
  }
  return findings;
}
