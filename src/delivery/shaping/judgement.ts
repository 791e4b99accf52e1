/**
 * Judges a refusal: its class, its action and its subject. The lines of the provider are asked first, then those for any provider, then
 * the same without regard to digit and status, then the general rules, then the status. Pure, and never throws.
 */
import type { Reply } from '../../smtp/reply.ts';
import {
  classAction,
  type ReplyAction,
  type ReplyAlso,
  type ReplyClass,
  type ReplyJudgement,
  type ReplyPhase,
  scopeOf,
} from './reply-class.ts';
import { foldText, literalPattern, PatternIndex, SHORTEST } from './reply-patterns.ts';
import { BUSY, GENERAL_RULES } from './reply-rules.ts';
import { loadReplies, type ReplyRow, type ReplyTable } from './reply-table.ts';
import type { RuleText } from './rule-parts.ts';

export type ReplyQuestion = {
  /** The key of the provider; absent where it is not known. */
  readonly provider?: string | undefined;
  readonly phase: ReplyPhase;
  readonly reply: Reply;
  /** The IP addresses that we send from: a refusal that names one is about us. */
  readonly ownAddresses?: readonly string[] | undefined;
  /** The names that we give in EHLO. */
  readonly ownNames?: readonly string[] | undefined;
  /** Default: the file of this release. */
  readonly replies?: ReplyTable | undefined;
};

/** Statuses that say what a refusal is about, by themselves: RFC 3463, RFC 7372, RFC 7505. X.7.1 is not one of them. */
const BY_STATUS: ReadonlyMap<string, ReplyClass> = new Map<string, ReplyClass>([
  ['1.0', 'no-such-user'],
  ['1.1', 'no-such-user'],
  ['1.2', 'no-such-user'],
  ['1.3', 'no-such-user'],
  ['1.6', 'mailbox-disabled'],
  ['1.7', 'sender-bad'],
  ['1.8', 'sender-bad'],
  ['1.10', 'no-such-user'],
  ['2.1', 'mailbox-disabled'],
  ['2.2', 'mailbox-full'],
  ['2.3', 'too-big'],
  ['3.1', 'busy'],
  ['3.2', 'busy'],
  ['3.4', 'too-big'],
  ['3.5', 'busy'],
  ['4.1', 'busy'],
  ['4.2', 'busy'],
  ['4.3', 'busy'],
  ['4.5', 'busy'],
  ['4.6', 'loop'],
  ['4.14', 'loop'],
  ['5.3', 'rcpt-cap'],
  ['6.0', 'malformed'],
  ['6.1', 'malformed'],
  ['6.2', 'malformed'],
  ['6.3', 'malformed'],
  ['6.11', 'malformed'],
  ['7.2', 'recipient-policy'],
  ['7.8', 'auth-required'],
  ['7.9', 'auth-required'],
  ['7.10', 'tls-required'],
  ['7.11', 'tls-required'],
  ['7.20', 'auth-fail'],
  ['7.21', 'auth-fail'],
  ['7.22', 'auth-fail'],
  ['7.23', 'auth-fail'],
  ['7.24', 'auth-fail'],
  ['7.25', 'ptr-helo'],
  ['7.26', 'auth-fail'],
  ['7.27', 'sender-bad'],
  ['7.28', 'address-throttled'],
  ['7.29', 'auth-fail'],
  ['7.30', 'auth-fail'],
  // Of Exchange: who may write to this group or mailbox.
  ['7.124', 'recipient-policy'],
  ['7.129', 'recipient-policy'],
  ['7.133', 'recipient-policy'],
  ['7.134', 'recipient-policy'],
  ['7.136', 'recipient-policy'],
]);

/** Characters of a reply that are searched for lines of the file, and for general rules: from its begin and from its end. */
const MAX_SEARCHED = 8192;
const RULED_BEGIN = 400;
const RULED_END = 100;

/** Never throws. */
export function judgeReply(question: ReplyQuestion): ReplyJudgement {
  const said = readSaid(question);
  return { ...(innerReply(said) ?? judgeSaid(said)), phase: question.phase, rules: said.table.version };
}

type Finding = Omit<ReplyJudgement, 'phase' | 'rules'>;

/** What was said, in the form that is compared. */
type Said = {
  readonly question: ReplyQuestion;
  readonly table: ReplyTable;
  readonly digit: 4 | 5;
  readonly code: number;
  /** Without its first digit; undefined where none, or one that says nothing, was given. */
  readonly status: string | undefined;
  readonly text: string;
  readonly own: readonly string[];
  /** The text names our address or our EHLO name. */
  readonly namesUs: boolean;
};

const STATUS = /^#?([245]\.\d{1,3}\.\d{1,3})\b[ -]*/;

function readSaid(question: ReplyQuestion): Said {
  const { reply, ownAddresses = [], ownNames = [], replies: table = loadReplies() } = question;
  const { code } = reply;
  const whole = foldText(`${reply.words ?? reply.text}`.slice(0, MAX_SEARCHED));
  const first = STATUS.exec(whole);
  const given = /^[245]\.0\.0$/.test(reply.status) ? first?.[1] : reply.status === '' ? first?.[1] : reply.status;
  const status = given === undefined || given.endsWith('.0.0') ? undefined : given.slice(2);
  const text = withoutRepeats(whole, code, first);
  const own = ownAddresses.map(foldText);
  const names = ownNames.map(foldText).filter((name) => name.includes('.'));
  return {
    question,
    table,
    digit: Math.floor(code / 100) === 4 ? 4 : 5,
    code,
    status,
    text,
    own,
    namesUs: own.some((address) => hasWord(text, address)) || names.some((name) => hasWord(text, name)),
  };
}

/** A reply of several lines repeats code and status before each of them, and some hosts send it on one line. */
function withoutRepeats(whole: string, code: number, first: RegExpExecArray | null): string {
  const text = first === null ? whole : whole.slice(first[0].length);
  const plain = text.includes(` ${code}`) ? text.replace(repeatOf(code), '') : text;
  return first === null ? plain : plain.replaceAll(` ${first[1]} `, ' ');
}

const REPEATS = new Map<number, RegExp>();

function repeatOf(code: number): RegExp {
  const known = REPEATS.get(code);
  if (known !== undefined) return known;
  const made = new RegExp(`(?<= )${code}[- ](?:[245]\\.\\d{1,3}\\.\\d{1,3} )?`, 'g');
  if (REPEATS.size < 200) REPEATS.set(code, made); // codes of a reply are from 400 to 599
  return made;
}

/** The word stands alone: an address is not the begin of a longer one. */
function hasWord(text: string, word: string): boolean {
  if (word === '') return false;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (
      !/[a-z\d.:@-]/.test(text[at - 1] ?? ' ') &&
      !/^(?:[a-z\d:-]|\.[a-z\d])/.test(text.slice(at + word.length, at + word.length + 2))
    )
      return true;
  }
  return false;
}

/**
 * Forwarders and filters quote the reply of the next server. What that one refuses it refuses to the forwarder: its words tell the
 * class, but an address that it blocks is not ours.
 */
const NESTED =
  /(?:\bsaid|returned|replied|respon(?:se|ded)|answered|upstream error|remote error|error was|reason|diagnostic)\b[^;]{0,40}?[: '"(]([45]\d\d)[ -]+(?=\S)/g;

/** What any quotation has. */
const QUOTES = /[: '"(][45]\d\d[ -]/;

function innerReply(said: Said): Finding | undefined {
  if (said.namesUs) return undefined;
  if (!QUOTES.test(said.text)) return undefined;
  let last: RegExpExecArray | undefined;
  for (const match of said.text.matchAll(NESTED)) last = match;
  if (last === undefined) return undefined;
  const code = Number(last[1]);
  const rest = said.text.slice(last.index + last[0].length).replace(/ ?\(in reply to .*$/, '');
  const reply = { code, status: '', text: rest };
  const { provider: _, ...question } = said.question;
  const found = judgeSaid(readSaid({ ...question, reply }));
  if (found.class === 'unknown') return undefined;
  const digit = said.digit;
  const outer = { ...found, sure: false, origin: `${found.origin}, quoted` };
  if (scopeOf(found.class) !== 'us')
    return { ...outer, action: digit === Math.floor(code / 100) ? found.action : classAction(found.class, digit) };
  return { ...outer, scope: 'receiver', action: { verb: 'retry', also: [] } };
}

function judgeSaid(said: Said): Finding {
  const { table, text, own, digit } = said;
  const rows =
    table.rows.length === 0
      ? []
      : table.index.find(text, own).filter(({ phase }) => phase === undefined || phase === said.question.phase);
  const provider = said.question.provider ?? '*';
  const isOff = (row: ReplyRow) => row.class === 'off';
  const fits = (row: ReplyRow) =>
    row.digit === digit && (row.status === undefined || said.status === undefined || row.status === said.status);
  const off = new Set(rows.filter(isOff).map(({ provider, digit, pattern }) => `${provider} ${digit} ${pattern.anchor}`));
  const usable =
    off.size === 0 ? rows : rows.filter(({ provider, digit, pattern }) => !off.has(`${provider} ${digit} ${pattern.anchor}`));
  const ours = usable.filter((row) => isOf(provider, row));
  const exact = ours.find(fits);
  if (exact !== undefined && provider !== '*') return byRow(exact, said);
  const general = usable.find((row) => row.provider === '*' && fits(row));
  if (general !== undefined) return outranked(byRow(general, said), said);
  const alike = ours.find(isLong) ?? usable.find(isDistinct);
  if (alike !== undefined) return outranked(byRow(alike, said), said);
  return outranked(byRule(said), said);
}

/** Hosts of one provider that speak with the words of another one, because it bought it or runs its filter. */
const SPEAKS_AS: Readonly<Record<string, readonly string[]>> = {
  yahoo: ['aol', 'att'],
  gmx: ['ionos'],
  cisco: ['ironport'],
  hornet: ['vade'],
};

function isOf(provider: string, row: ReplyRow): boolean {
  return row.provider === provider || SPEAKS_AS[provider]?.includes(row.provider) === true;
}

/** Enough text to count with another digit or status, in letters and digits. */
function isLong({ provider, pattern }: ReplyRow): boolean {
  return provider !== '*' && pattern.weight >= 8;
}

/** The text is nobody else's: a line counts for other providers too, because forwarders pass it on. */
function isDistinct({ pattern: { weight, anchor }, sure }: ReplyRow): boolean {
  return (
    sure &&
    (weight >= 30 ||
      /^[a-z]{2,3}:[a-z]{2,3}$/.test(anchor) ||
      (/\d/.test(anchor) && /[a-z]{2}/.test(anchor) && /[#_:[(-]/.test(anchor)))
  );
}

function byRow(row: ReplyRow, said: Said): Finding {
  const found = row.class as ReplyClass;
  const isExact = row.digit === said.digit && (row.provider === '*' || isOf(said.question.provider ?? '*', row));
  const action = isExact ? row.action : careful(classAction(found, said.digit), said);
  return {
    class: found,
    action,
    sure: (row.sure && isExact) || (said.namesUs && scopeOf(found) === 'us'),
    ...(row.sure && isExact && row.provider !== '*' && { own: true as const }),
    scope: scopeOf(found),
    origin: row.origin,
  };
}

/** `short`: parts of a rule's `needs` that the index cannot hold. */
const RULES = GENERAL_RULES.map((rule) => {
  const parts = rule.needs?.split('|');
  return { ...rule, parts, short: parts?.filter((part) => part.length < SHORTEST) ?? [] };
});
/** One search finds all rules whose `needs` are in a text. */
const NEEDS = new PatternIndex(
  RULES.flatMap((rule) =>
    (rule.parts ?? []).filter((part) => part.length >= SHORTEST).map((part) => [literalPattern(part), rule] as const),
  ),
);

function byRule(said: Said): Finding {
  const reply = ruledText(said);
  const doubted = BY_STATUS.get(said.status ?? '');
  const possible = new Set(NEEDS.find(reply.text, []));
  for (const rule of RULES) {
    if (rule.when !== undefined && !rule.when(reply)) continue;
    const isPossible = rule.parts === undefined || possible.has(rule) || rule.short.some((part) => reply.text.includes(part));
    if (!isPossible) continue;
    if (!rule.says.test(reply.text) || rule.unless?.test(reply.text) === true) continue;
    if (rule.vague === true && doubted !== undefined) break;
    const found = said.digit === 4 ? (rule.temporary ?? rule.class) : rule.class;
    if (contradicts(found, said, reply)) {
      if (found === 'rate') return judgement('recipient-rate', said, { name: `rule "${rule.name}"` });
      continue;
    }
    return judgement(found, said, { name: `rule "${rule.name}"`, vague: rule.vague === true, text: reply.text });
  }
  if (said.code === 530 || said.code === 535) return judgement('auth-required', said, { name: `code ${said.code}` });
  // RFC 5321 §4.5.3.1.10: an old word for too many recipients.
  if (said.code === 552 && said.status === undefined)
    return judgement(reply.phase === 'rcpt' ? 'rcpt-cap' : 'too-big', said, { name: 'code 552' });
  if (doubted !== undefined)
    return judgement(doubted, said, { name: `status ${said.digit}.${said.status}`, vague: !EXACT.has(said.status!) });
  if (said.digit === 4 ? BUSY.test(reply.text) : /^(?!.*(?:block|spam|reject|den))/.test(reply.text) && FAULT.test(reply.text))
    return judgement('busy', said, { name: 'rule "the receiver has trouble"' });
  return judgement('unknown', said, { name: 'no rule' });
}

/** A receiver's own fault, though it says 5yz. */
const FAULT =
  /can.?t create output|time-out|try again|temporar|later|internal (?:server |system )?(?:error|problem)|local error|server (?:error|config)|system (?:error|fail|problem)|configuration (?:error|problem)|blame it on|unable to process|database|disk|resources|timed? ?out/;
const EXACT: ReadonlySet<string> = new Set(['1.1', '1.10', '2.2', '3.4']);
const MAILBOX_STATUS = /^(?:1\.[1-6]|1\.10|2\.[12])$/;
/** No connection, or one that was lost: RFC 3463 §3.5. */
const NETWORK_STATUS = /^4\.[1-4]$/;
/** Words that only a refusal of our address has, whatever its status. */
const SURELY_US = /your ip|\bip ?-?address|spamhaus|blocked using|dnsbl|\brbl\b/;

/** Without a name of ours, a status of a mailbox is not about us. */
function contradicts(found: ReplyClass, said: Said, { text }: RuleText): boolean {
  const status = said.status ?? '';
  if (said.namesUs) return false;
  if (found === 'recipient-policy' || found === 'content-spam') return EXACT.has(status) && !/sender|spam|subscri/.test(text);
  if (scopeOf(found) !== 'us') return false;
  return (
    EXACT.has(status) ||
    (MAILBOX_STATUS.test(status) && !SURELY_US.test(text)) ||
    (NETWORK_STATUS.test(status) && found === 'address-throttled')
  );
}

/** What says without doubt that a mailbox does not exist, or no longer. */
const SURELY_GONE =
  /(?:user|recipient|mailbox|account|address|alias)\b[^;]{0,50}(?:unknown|not (?:found|exist)|does ?n.?.?t exist|no longer|disabled|inactive|closed|invalid)|(?:no such|unknown|invalid|unknown) (?:local )?(?:user|recipient|mailbox|account|alias|person)|not our customer|unbekannt|inconnu|desconocid|sconosciut/;
const MAYBE_NOT =
  /\bip\b|spam|list|polic|relay|domain|authenti|sender|helo|blocked|temporar|quota|limit|too many|den(?:y|ied)|rate/;

/** An address is suppressed by such a reply, so a doubt is enough to leave that out. */
function careful(action: ReplyAction, { status = '', text }: Said): ReplyAction {
  const isSaid =
    MAILBOX_STATUS.test(status) || (SURELY_GONE.test(text.slice(0, RULED_BEGIN)) && !MAYBE_NOT.test(text.slice(0, RULED_BEGIN)));
  return isSaid ? action : withoutSuppress(action);
}

function withoutSuppress(action: ReplyAction): ReplyAction {
  return action.also.includes('suppress') ? { ...action, also: action.also.filter((one) => one !== 'suppress') } : action;
}

type Found = { readonly name: string; readonly vague?: boolean; readonly text?: string };

function judgement(found: ReplyClass, said: Said, { name, vague = false, text = '' }: Found): Finding {
  const action = vague ? withoutSuppress(classAction(found, said.digit)) : careful(classAction(found, said.digit), said);
  const also: ReplyAlso[] = [...action.also];
  if (found === 'content-forbidden' && /virus|malware|infected|trojan|worm/.test(text)) also.push('strike');
  return {
    class: found,
    action: { ...action, also },
    sure: said.namesUs && scopeOf(found) === 'us',
    scope: scopeOf(found),
    origin: name,
  };
}

/** Each mailbox becomes `<>`. */
function withoutMailboxes(text: string): string {
  let [said, from] = ['', 0];
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', Math.max(from, at + 1))) {
    let begin = at;
    while (begin > from && at - begin < 64 && !NO_LOCAL_PART.has(text[begin - 1]!)) begin--;
    let end = at + 1;
    while (end < text.length && end - at <= 100 && !NO_DOMAIN.has(text[end]!)) end++;
    if (begin === at || end === at + 1) continue;
    if (begin > from && text[begin - 1] === '<') begin--;
    if (text[end] === '>') end++;
    said += `${text.slice(from, begin)}<>`;
    from = end;
  }
  return said + text.slice(from);
}

const NO_LOCAL_PART: ReadonlySet<string> = new Set(' <>@');
const NO_DOMAIN: ReadonlySet<string> = new Set(' <>,;:)]');

/** Long texts are cut in the middle: what counts stands at the begin, codes stand at the end. Mailboxes have any name, links any path. */
/** Rules know an address by its four numbers. */
const IPV6 = /(?<![\da-f:])(?:(?:[\da-f]{1,4}:){7}[\da-f]{1,4}|(?:[\da-f]{1,4}:){1,6}:(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,5})?)/g;

function ruledText({ text, digit, question }: Said): RuleText {
  const cut = text.length > RULED_BEGIN + RULED_END ? `${text.slice(0, RULED_BEGIN)} ; ${text.slice(-RULED_END)}` : text;
  const plain = (cut.includes('@') ? withoutMailboxes(cut) : cut)
    .replace(/(https?:\/\/[^\s/?]{1,80})[/?]\S{0,300}/g, '$1')
    .replace(/[.!?](?= |$)/g, ' ;');
  return { text: plain.includes(':') ? plain.replace(IPV6, '0.0.0.0') : plain, digit, phase: question.phase };
}

const BEFORE_MAIL: ReadonlySet<ReplyPhase> = new Set(['greeting', 'ehlo', 'tls', 'auth']);
const ABOUT_SOMETHING_ELSE: ReadonlySet<ReplyClass> = new Set([
  'auth-fail',
  'sender-bad',
  'domain-listed',
  'upstream-quota',
  'auth-required',
  'busy',
  'loop',
  'malformed',
  'too-big',
  'no-such-user',
  'mailbox-disabled',
  'mailbox-full',
  'content-forbidden',
]);

/**
 * Two facts outrank what is no line of the provider: a text that names us, and a reply before MAIL, are about us. One forbids it: a
 * status of a mailbox. A text with another subject, or after the content, leaves a doubt: many hosts name the client whatever they refuse.
 */
function outranked(found: Finding, said: Said): Finding {
  const early = BEFORE_MAIL.has(said.question.phase);
  if (!early && !said.namesUs) return found;
  if (found.scope === 'us' || found.scope === 'upstream') return found;
  if (
    early
      ? found.class === 'busy' || (found.class === 'unknown' && said.digit === 4)
      : /^1\./.test(said.status ?? '') || ABOUT_SOMETHING_ELSE.has(found.class)
  )
    return found;
  const about: ReplyClass = said.digit === 4 ? 'address-throttled' : 'address-blocked';
  const action: ReplyAction = classAction(about, said.digit);
  return {
    class: about,
    action,
    sure: said.namesUs && (early || (found.class === 'unknown' && said.question.phase !== 'data')),
    scope: 'us',
    origin: `${found.origin}, ${said.namesUs ? 'our name or address is in it' : 'before MAIL'}`,
  };
}
