/** What the operator reads when a login, or one sender of a mail server, does something unusual or is stopped. */
import { formatDate } from '../smtp/text.ts';
import type { OperatorNotice } from './notice.ts';

type Unusual = {
  readonly hostname: string;
  readonly user: string;
  /** Of a mail server; empty: the login as a whole. `<>` is the null one. */
  readonly sender: string;
  /** One sentence for each signal, with its numbers. */
  readonly signals: readonly string[];
};

type Held = Unusual & {
  readonly since: number;
  /** Addresses of clients. */
  readonly firstSource?: string | undefined;
  readonly lastSource?: string | undefined;
  readonly subjects: readonly string[];
  /** Messages that were accepted in the hour before. */
  readonly messages: number;
  readonly disabled: boolean;
  /** Releases once. */
  readonly link?: { readonly url: string; readonly until: number } | undefined;
};

export function loginHeldNotice(held: Held): OperatorNotice {
  const { hostname, user, sender, since, signals, firstSource, lastSource, subjects, messages, disabled, link } = held;
  const who = whoOf(held);
  const quoted = argument(user);
  const release = `smarthost user release ${quoted}${sender === '' ? '' : ` --sender ${argument(sender)}`}`;
  const sources = [...new Set([firstSource, lastSource].filter((one) => one !== undefined))];
  return {
    subject: `${hostname}: mail of ${sender === '' ? user : sender} is held`,
    lines: [
      `Since ${formatDate(since)}, the mail relay ${hostname} keeps mail of ${who} back, because it does what a stolen password does:`,
      '',
      ...signals.map((signal) => `    ${signal}`),
      '',
      `In the hour before, ${messages} messages were accepted${sources.length === 0 ? '' : `, from ${sources.join(' and last ')}`}.`,
      ...(subjects.length === 0 ? [] : ['The last subjects:', '', ...subjects.map((subject) => `    ${subject}`)]),
      '',
      disabled
        ? 'The login is disabled: with mail from so many places, and refusals as spam, its password is known to others. Give it a new password, then enable it.'
        : 'Its mail is still accepted, so that no program fails, and nothing of it leaves. Other logins and senders go on as usual.',
      '',
      'Look at what is held:',
      '',
      `    smarthost user show ${quoted}`,
      `    smarthost queue list --user ${quoted}`,
      '',
      'If the mail is wanted, release it. It leaves slowly at first, and the thresholds are higher for 30 days:',
      '',
      `    ${release}`,
      '',
      'If it is not, give the login another password, and remove what is held:',
      '',
      `    smarthost user passwd ${quoted}`,
      `    ${release} --discard`,
      ...(disabled ? [`    smarthost user enable ${quoted}`] : []),
      ...(link === undefined
        ? []
        : ['', `Or release it in a browser, once, until ${formatDate(link.until)}:`, '', `    ${link.url}`]),
    ],
  };
}

export function loginUnusualNotice(unusual: Unusual): OperatorNotice {
  const { hostname, user, sender, signals } = unusual;
  return {
    subject: `${hostname}: ${sender === '' ? user : sender} does something unusual`,
    lines: [
      `On the mail relay ${hostname}, ${whoOf(unusual)} does something unusual:`,
      '',
      ...signals.map((signal) => `    ${signal}`),
      '',
      'Nothing is held for this. You hear of it once a week at most. If it is as it should be, there is nothing to do; a newsletter can be declared:',
      '',
      `    smarthost user set ${argument(user)} --bulk on`,
      '',
      'If it is not, stop it and give it another password:',
      '',
      `    smarthost user hold ${argument(user)}${sender === '' ? '' : ` --sender ${argument(sender)}`}`,
      `    smarthost user passwd ${argument(user)}`,
    ],
  };
}

function whoOf({ user, sender }: Unusual): string {
  if (sender === '') return `the login ${user}`;
  return `${sender === '<>' ? 'the reports (null sender)' : `the sender ${sender}`} of the mail server ${user}`;
}

/** For a shell. */
function argument(text: string): string {
  return /^[\w@.+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
