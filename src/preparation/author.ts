/** Who wrote the message, as its header says: RFC 5322 §3.6.2. */
import type { HeaderField } from '../signing/signing.ts';
import { Refusal } from '../smtp/reply.ts';
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
const PROBLEMS: Readonly<Record<AddressProblem, string>> = {
  syntax: 'holds no valid address',
  'not closed': 'holds no valid address: a quote, bracket or parenthesis is not closed',
  comma: 'holds no valid address: a name with a comma must stand in quotes',
  colon: 'has a colon, as a group of addresses has, and groups are not allowed here: a name with a colon must stand in quotes',
  route: 'has a route before its address, which is not allowed here: write <user@example.org>',
  'at sign': 'has an @ that does not belong to its address: a name with an @ must stand in quotes, a user name must have none',
  parenthesis: 'has a closing parenthesis or bracket without an opening one: such a name must stand in quotes',
  'look-alike': 'has a domain with characters that stand for others, such as a dot or letter of full width: write the plain ones',
};

/** @throws Refusal 550 5.6.0 where From or Sender holds no address that all read alike, or Sender several: it is one mailbox. */
export function authorOf(fields: readonly HeaderField[], reversePath: string): Author {
  const from = addressesOf(fields, 'from', 'From');
  const sender = addressesOf(fields, 'sender', 'Sender');
  if (from === undefined) throw new Refusal(550, '5.6.0', 'The header has no From field');
  const [first, second] = sender ?? [];
  if (second !== undefined) throw new Refusal(550, '5.6.0', 'The Sender field holds several addresses, one is allowed');
  return { from, nullSender: reversePath === '', ...(first === undefined ? {} : { sender: first }) };
}

function addressesOf(fields: readonly HeaderField[], name: string, spelled: string): readonly string[] | undefined {
  const field = fields.find((one) => one.name === name);
  if (field === undefined) return undefined;
  const parsed = parseAddressList(fieldValue(field, 'utf8'));
  if (typeof parsed === 'string') throw new Refusal(550, '5.6.0', `The ${spelled} field ${PROBLEMS[parsed]}`);
  if (parsed.length === 0) throw new Refusal(550, '5.6.0', `The ${spelled} field ${PROBLEMS.syntax}`);
  return parsed.map(({ address }) => address);
}
