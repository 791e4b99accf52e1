/** What general rules are made of: their form, and words that several of them share. */
import type { ReplyClass, ReplyPhase } from './reply-class.ts';

/** What a rule reads. */
export type RuleText = {
  /** Folded and cut; mailboxes are `<>`, links have no path, sentences end with ` ;`. */
  readonly text: string;
  readonly digit: 4 | 5;
  readonly phase: ReplyPhase;
};

export type GeneralRule = {
  readonly class: ReplyClass;
  /** For people: it is the origin of a judgement. */
  readonly name: string;
  /** A text without any of these parts cannot fit. Asking that first is fast. */
  readonly needs?: string;
  readonly says: RegExp;
  /** Words of another case, which `says` would take for this one. */
  readonly unless?: RegExp;
  readonly when?: (reply: RuleText) => boolean;
  /** A status decides before it, and an address that it finds is not evidence that the mailbox does not exist. */
  readonly vague?: true;
  /** The class where the reply is 4yz, if it is another one. */
  readonly temporary?: ReplyClass;
};

/** Alternatives that begin at a word. */
export const words = (...alternatives: readonly string[]) => new RegExp(String.raw`(?<![a-z\d])(?:${alternatives.join('|')})`);
/** Between two words of one sentence. */
export const near = (gap: number) => `[^;]{0,${gap}}?`;

/** Names of lists of addresses, and of those who keep them. */
export const LISTS =
  'spamhaus|zen\\.|sbl[- ]?xbl|\\bxbl\\b|\\bpbl\\b|\\bsbl\\b|\\bcbl\\b|abuseat|spamcop|sorbs|barracudacentral|barracuda reputation|psbl|uceprotect|mailspike|senderbase|senderscore|sender score|cloudmark|csi\\.|hostkarma|ivmsip|invaluement|gbudb|nixspam|manitu|backscatterer|abusix|spfbl|junkemailfilter|talosintelligence|ipcheck\\.|proofpoint\\.com/dnsbl|prs\\.proofpoint|drbl|spamrl|cobion|spamrats|lashback|0spam|dnsbl|\\brbls?\\b|rbl\\+|real-?time block|blocklist\\.zap|truncate|trend micro|ers-|mail-abuse|lookup site|multirbl|spameatingmonkey|bl\\.score|dnswl';
/** What is done to an address or a host. */
export const REFUSED =
  'block|black ?-?list|deny ?list|denied|bann?ed|refus|reject|abus|not (?:allowed|accept|permitted|authori|welcome)|listed|reputation|suspicious|complain|spam|malicious|untrusted|hacked|compromised|attack|blacklist|unauthori|prohibit|restrict|no longer accept|will not be accepted|unacceptable|flagged|blo(?:cc|qu)a|bloque|geblok|gesperrt|abgelehnt|geweigerd|rifiutat|rechaz|recusad|zwarte lijst|schwarze[nr]? list|liste? noire|lista (?:nera|negra)|(?:have|has) permissions? to';
/** The same behind an address in digits: a text about spam may name one, and be about the text. */
export const REFUSED_IP = REFUSED.replace('|spam|', '|spammer|spam (?:source|sender)|sending spam|');
/** What only the host that sends can be. */
export const OUR_HOST =
  "(?:(?:the|this) (?:sending )?(?:ip\\b|client|network|range)|(?:your|the sending|sending|sender'?s?|client|source|remote|connecting|originating) (?:mail ?-?server(?:'s)?|mta(?:'s)?|smtp|public|internet|mail|email|sending|source)? ?(?:ip(?:v[46])?(?: ?-?address(?:es)?)?|mta(?:'s)?|network|host|mail ?-?server|server|address range|net ?-?block|subnet|(?:smtp )?client|isp|provider|connection))";
