/** Who wrote the message, as its header says: RFC 5322 §3.6.2. */
import type { HeaderField } from '../signing/signing.ts';
import { type ReplyName, refusal } from '../smtp/replies.ts';
import { type AddressProblem, parseAddressList } from './address-list.ts';
import { fieldValue } from './header.ts';

export type Author = {
  /** Addresses of the From field, the domains as lower-case A-labels. Never empty. */
  readonly from: readonly string[];
  /** Address of the Sender field. */
  readonly sender?: string;
  /** The envelope has the null reverse-path. */
  readonly nullSender: boolean;
};

/** What is wrong, and what to do about it: the end of a sentence that begins with the field. */
const PROBLEMS = {
  syntax: 'authorSyntax',
  'not closed': 'authorNotClosed',
  comma: 'authorComma',
  colon: 'authorColon',
  route: 'authorRoute',
  'at sign': 'authorAtSign',
  parenthesis: 'authorParenthesis',
  brackets: 'authorBrackets',
  encoded: 'authorEncoded',
  'look-alike': 'authorLookAlike',
} as const satisfies Readonly<Record<AddressProblem, ReplyName>>;

/** @throws Refusal 550 5.6.0 where From or Sender holds no address that all read alike, or Sender several: it is one mailbox. */
export function authorOf(fields: readonly HeaderField[], reversePath: string): Author {
  const from = addressesOf(fields, 'from', 'From');
  const sender = addressesOf(fields, 'sender', 'Sender');
  if (from === undefined) throw refusal('noFrom');
  const [first, second] = sender ?? [];
  if (second !== undefined) throw refusal('severalSenders');
  return { from, nullSender: reversePath === '', ...(first === undefined ? {} : { sender: first }) };
}

function addressesOf(fields: readonly HeaderField[], name: string, spelled: string): readonly string[] | undefined {
  const field = fields.find((one) => one.name === name);
  if (field === undefined) return undefined;
  const parsed = parseAddressList(fieldValue(field, 'utf8'));
  if (typeof parsed === 'string') throw refusal(PROBLEMS[parsed], { field: spelled });
  if (parsed.length === 0) throw refusal(PROBLEMS.syntax, { field: spelled });
  return parsed.map(({ address }) => address);
}
