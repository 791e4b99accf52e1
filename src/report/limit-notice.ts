/** What the operator reads when a login comes near the end of a limit: behaviour rule 7. */

import type { LimitUse } from '../smtp/limit.ts';
import { formatDate } from '../smtp/text.ts';
import type { OperatorNotice } from './notice.ts';

type LimitFacts = {
  readonly hostname: string;
  readonly user: string;
  readonly use: LimitUse;
  readonly percent: 80 | 100;
  /** What happens to mail over it. */
  readonly over: 'refuse' | 'hold';
};

const WORDS = { messages: 'messages', recipients: 'recipients', newRecipients: 'first-time recipients' } as const;

export function limitNotice({ hostname, user, use, percent, over }: LimitFacts): OperatorNotice {
  const { limit, used, resetsAt } = use;
  const words = `${limit.count} ${WORDS[limit.kind]} per ${limit.per}`;
  const until = `until ${formatDate(resetsAt)}`;
  const now = percent === 100 ? 'From now on' : 'Over the limit';
  const consequence =
    over === 'hold'
      ? `${now}, its mail is accepted and held, ${until}: look at it, and release it.`
      : `${now}, its mail is put off with 450 4.7.1, ${until}; programs and mail servers try again by themselves.`;
  const name = /^[\w@.+-]+$/.test(user) ? user : `'${user.replaceAll("'", `'\\''`)}'`;
  return {
    subject: `${hostname}: ${user} has used ${percent} % of ${words}`,
    lines: [
      percent === 100
        ? `The login ${user} has reached its limit of ${words} on the mail relay ${hostname}; so far it has used ${used}.`
        : `The login ${user} has used ${used} of ${words} on the mail relay ${hostname}.`,
      '',
      consequence,
      '',
      'If it should send so much, raise its limit. If not, its password may be in wrong hands: disable it, and look at what it sent.',
      '',
      `    smarthost user show ${name}`,
      `    smarthost user set ${name} --limit ${limit.kind === 'messages' ? '' : `${limit.kind}=`}N/${limit.per}`,
      `    smarthost user disable ${name}`,
      `    smarthost queue list --user ${name}`,
    ],
  };
}
