/**
 * What a client of a login does, as the relay sees it, and why it fails: for the person who has just typed the settings into a program.
 * The events of the relay come in, and the sessions come out, each with one reason and what mends it. RFC 8314, RFC 4954, RFC 6409 §6.
 */
import type { RelayEvent } from '../events/events.ts';
import { cleanLine } from '../smtp/text.ts';

/** An event and when it happened, in ms since 1970. */
export type ClientEvent = { readonly at: number; readonly event: RelayEvent };

/** The cause of a failure. A page has a text for each in its language; `ADVICE` has the English one. */
type ClientReason = keyof typeof ADVICE;

/** What one button does. */
type ClientMend = { readonly do: 'allowSender' | 'rewrite'; readonly sender: string } | { readonly do: 'enable' | 'newPassword' };

type ClientSession = {
  readonly at: number;
  readonly ip: string;
  /** null: not known. */
  readonly listener: string | null;
  /** The name that the client has logged in with, or tried to. null: it did not get so far. */
  readonly user: string | null;
  readonly mechanism: string | null;
  readonly state: 'open' | 'loggedIn' | 'refused' | 'accepted';
  readonly reason: ClientReason | null;
  /** What was refused, in words. */
  readonly sentence: string | null;
  readonly advice: string | null;
  /** The best one first. */
  readonly mends: readonly ClientMend[];
  /** How often this session failed for this reason. */
  readonly times: number;
  /** The last refusal as the client got it. */
  readonly reply: string | null;
  /** The sender that was refused. */
  readonly sender: string | null;
  /** Of the last accepted message. */
  readonly queueId: string | null;
};

/** The login that somebody waits for. */
type AwaitedLogin = { readonly name: string; readonly senders: readonly string[] };

/** Reason → what happened, and what to do. */
const ADVICE = {
  noTls: [
    'The client spoke without TLS.',
    'Turn on STARTTLS (also called TLS) in the client, or use the port for TLS from the start.',
  ],
  tlsOnStartTlsPort: [
    'The client began with TLS on the port for STARTTLS.',
    'Choose STARTTLS in the client for this port, or port 465 with SSL/TLS.',
  ],
  clearOnTlsPort: [
    'The client spoke in clear, or waited, on the port for TLS from the start.',
    'Choose SSL/TLS in the client for this port, or port 587 with STARTTLS.',
  ],
  certificateRefused: [
    'The client does not trust the certificate of the relay.',
    'Type the host name of the relay into the client, not an address. While the certificate is self-signed, wait for the one of the authority.',
  ],
  leftAfterTls: [
    'The client left right after the TLS handshake: most such clients do not trust the certificate.',
    'Type the host name of the relay into the client, not an address. While the certificate is self-signed, wait for the one of the authority.',
  ],
  oldTls: ['The client knows no TLS that is safe today.', 'Update the client. TLS 1.2 is the oldest that the relay takes.'],
  tlsBroken: ['The TLS handshake failed.', 'Look for a firewall or virus scanner between client and relay that reads mail.'],
  otherName: ['The client logs in with another name.', 'Type the name exactly as it is shown here.'],
  wrongPassword: ['The password is wrong.', 'Copy it again without a blank before or behind it, or make a new one.'],
  disabled: ['The login is disabled.', 'Enable it.'],
  expired: ['The login has expired.', 'Give it a later end.'],
  locked: ['Too many logins have failed from this address.', 'Wait a minute, then try again with the right password.'],
  noLogin: ['The client sent mail without logging in.', 'Turn on authentication in the client: name and password.'],
  mechanism: [
    'The client logs in by a way that the relay does not offer.',
    'Choose PLAIN, LOGIN or "normal password" in the client.',
  ],
  wrongSender: ['The login may not send as this address.', 'Allow the address, or have the relay replace it.'],
  wrongFrom: [
    'The From field of the message names an address that the login may not use.',
    'Allow the address, or have the relay replace it.',
  ],
  noKey: ['The relay has no DKIM key for the domain in From.', 'Add the domain, and set its DNS record.'],
  notAligned: ['Receivers would refuse mail with this From.', 'Set the DNS records of the domain.'],
  limit: ['A limit of the login is reached.', 'Wait, or raise the limit.'],
  tooLarge: ['The message is too large.', 'Send a smaller one, or raise `submission.maxMessageSize`.'],
  recipient: ['A recipient was refused.', 'Look at the address.'],
  ourFault: ['The relay could not do its part.', 'Look at the log of the relay.'],
  refused: ['The relay refused what the client said.', 'Read the reply.'],
} as const satisfies Readonly<Record<string, readonly [sentence: string, advice: string]>>;

type Draft = { -readonly [K in keyof ClientSession]: ClientSession[K] };

/** Sessions that are kept. A port on the Internet gets scanners too. */
const MOST = 50;

/**
 * The newest first. Sessions with the name of another login of this relay are left out.
 * @param known true for a name that is another login here.
 */
export function readClientSessions(
  events: readonly ClientEvent[],
  login: AwaitedLogin,
  known: (name: string) => boolean,
): readonly ClientSession[] {
  const drafts = new Map<string, Draft>();
  for (const { at, event } of events) {
    const key = keyOf(event, at);
    if (key === undefined) continue;
    const draft = drafts.get(key) ?? begun(event, at);
    drafts.set(key, draft);
    draft.at = at;
    follow(draft, event, login);
  }
  const seen = [...drafts.values()].filter(({ user }) => user === null || isSame(user, login.name) || !known(user));
  return seen.sort((a, b) => b.at - a.at).slice(0, MOST);
}

/** True for an event that `readClientSessions` reads. */
export function isOfClient({ event, fields }: RelayEvent): boolean {
  if (event === 'tlsFailed') return fields.listener !== undefined;
  if (event === 'accepted') return fields.session !== undefined;
  return event === 'connected' || event === 'authenticated' || event === 'authFailed' || event === 'refused' || event === 'left';
}

/** A handshake that fails on the port for TLS has no session yet. */
function keyOf(event: RelayEvent, at: number): string | undefined {
  if (!isOfClient(event)) return undefined;
  const { session, ip } = event.fields as { readonly session?: string; readonly ip?: string };
  return session ? session : `${ip} ${at}`;
}

function begun({ fields }: RelayEvent, at: number): Draft {
  const { ip = '', listener = null } = fields as { readonly ip?: string; readonly listener?: string };
  return {
    ...{ at, ip, listener, user: null, mechanism: null, state: 'open', reason: null, sentence: null, advice: null },
    ...{ mends: [], times: 0, reply: null, sender: null, queueId: null },
  };
}

function follow(draft: Draft, event: RelayEvent, login: AwaitedLogin): void {
  switch (event.event) {
    case 'authenticated':
      Object.assign(draft, { user: event.fields.user ?? null, mechanism: event.fields.mechanism, state: 'loggedIn' });
      clear(draft);
      break;
    case 'accepted':
      Object.assign(draft, { state: 'accepted', queueId: event.fields.queueId, user: event.fields.user ?? draft.user });
      clear(draft);
      break;
    case 'tlsFailed':
      draft.reply = cleanLine(event.fields.reason ?? '');
      fail(draft, handshakeReason(event.fields.listener, event.fields.reason ?? ''));
      break;
    case 'authFailed':
      draft.user = event.fields.user ?? '';
      draft.mechanism = event.fields.mechanism;
      fail(draft, loginReason(event.fields.reason, isSame(draft.user, login.name)), mendsOfLogin(event.fields.reason));
      break;
    case 'left':
      if (draft.reason === null && draft.state === 'open') leave(draft, event.fields);
      break;
    case 'refused':
      refuse(draft, event.fields, login);
  }
}

function leave(draft: Draft, { tls, greeted }: { readonly tls: string | null; readonly greeted: boolean }): void {
  if (tls !== null && !greeted) fail(draft, 'leftAfterTls');
  else if (tls === null && greeted) fail(draft, 'noTls');
}

type RefusedFields = Extract<RelayEvent, { readonly event: 'refused' }>['fields'];

function refuse(draft: Draft, fields: RefusedFields, login: AwaitedLogin): void {
  // Clients send several commands at once: after a refusal the next ones are out of order, which is no reason of its own.
  if (draft.reason !== null && (fields.code === 503 || fields.code === 554)) return;
  draft.reply = fields.reply;
  if (fields.user !== undefined) draft.user = fields.user;
  const reason = replyReason(fields);
  // The reply to a wrong login, and the end of a session that was refused before, say nothing new.
  if (fields.code === 535 || (draft.reason !== null && reason === 'refused' && fields.code === 421)) return;
  if (reason === 'wrongSender') draft.sender = cleanLine(fields.reversePath ?? '');
  if (reason === 'wrongFrom') draft.sender = /(?:From|Sender): (\S+@\S+)$/.exec(cleanLine(fields.reply))?.[1] ?? null;
  fail(draft, reason, draft.sender === null ? [] : mendsOfSender(draft.sender, login));
}

function fail(draft: Draft, reason: ClientReason, mends: readonly ClientMend[] = []): void {
  const [sentence, advice] = ADVICE[reason];
  const times = draft.reason === reason ? draft.times + 1 : 1;
  Object.assign(draft, { state: 'refused', reason, sentence, advice, mends, times });
}

function clear(draft: Draft): void {
  Object.assign(draft, { reason: null, sentence: null, advice: null, mends: [], times: 0, reply: null, sender: null });
}

/** OpenSSL's words for what the client did. */
function handshakeReason(listener: string | undefined, reason: string): ClientReason {
  if (/alert (?:bad certificate|certificate|unknown ca)|unknown ca|alert number 4[2-8]/i.test(reason))
    return 'certificateRefused';
  if (/unsupported protocol|version too low|no shared cipher|inappropriate fallback/i.test(reason)) return 'oldTls';
  if (/wrong version number|http request|packet length too long|said nothing/i.test(reason))
    return listener === 'submissions' ? 'clearOnTlsPort' : 'tlsBroken';
  return /left during/.test(reason) ? 'leftAfterTls' : 'tlsBroken';
}

function loginReason(reason: string | undefined, isOurs: boolean): ClientReason {
  if (reason === 'disabled' || reason === 'expired') return reason;
  if (reason === 'unavailable' || reason === 'busy') return 'ourFault';
  return isOurs ? 'wrongPassword' : 'otherName';
}

function mendsOfLogin(reason: string | undefined): readonly ClientMend[] {
  if (reason === 'disabled') return [{ do: 'enable' }];
  return reason === 'wrong' ? [{ do: 'newPassword' }] : [];
}

/** By code, status and command, as smtp/replies.ts has them. */
function replyReason({ verb, code, status, reply }: RefusedFields): ClientReason {
  if (code === 538) return 'noTls';
  if (code === 530) return /STARTTLS/.test(reply) ? 'noTls' : 'noLogin';
  if (code === 504) return 'mechanism';
  if (code === 421) return blockedOr(reply);
  if (/unusual behaviour/.test(reply)) return 'refused';
  if (status === '5.7.1') return verb === 'MAIL' ? 'wrongSender' : 'wrongFrom';
  if (verb === 'MAIL' && status === '5.1.7') return 'wrongSender';
  if (status === '5.7.20') return 'noKey';
  if (status === '5.7.26') return 'notAligned';
  if (code === 450) return 'limit';
  if (code === 552) return 'tooLarge';
  if (code === 451 || code === 452 || code === 454) return 'ourFault';
  return verb === 'RCPT' ? 'recipient' : 'refused';
}

function blockedOr(reply: string): ClientReason {
  if (/STARTTLS on this port/.test(reply)) return 'tlsOnStartTlsPort';
  return /failed logins/.test(reply) ? 'locked' : 'refused';
}

/** A device names itself `root@web1`: its whole host is allowed, or a sender of the login stands in for it. */
function mendsOfSender(sender: string, { senders }: AwaitedLogin): readonly ClientMend[] {
  const at = sender.lastIndexOf('@');
  const rewrite = rewriteTo(senders);
  if (at < 1 || !sender.slice(at).includes('.')) return rewrite;
  return [{ do: 'allowSender', sender }, ...rewrite];
}

function rewriteTo(senders: readonly string[]): readonly ClientMend[] {
  const address = senders.find((rule) => rule.indexOf('@') > 0) ?? nameAt(senders.find((rule) => /^@[^.]/.test(rule)));
  return address === undefined ? [] : [{ do: 'rewrite', sender: address }];
}

const nameAt = (domain: string | undefined) => (domain === undefined ? undefined : `noreply${domain}`);
const isSame = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
