/** Who wrote the message, as its header says: RFC 5322 §3.6.2. */
import type { HeaderField } from '../signing/signing.ts';
import { Refusal } from '../smtp/reply.ts';
import { parseAddressList } from './address-list.ts';
import { fieldValue } from './header.ts';

export type Author = {
  /** Addresses of the From field, the domains as lower-case A-labels. Never empty. */
  readonly from: readonly string[];
  /** Address of the Sender field. */
  readonly sender?: string;
  /** The envelope has the null reverse-path. */
  readonly nullSender: boolean;
};

/** @throws Refusal 550 5.6.0 where From or Sender holds no address, or Sender several: it is one mailbox. */
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
  const addresses = parseAddressList(fieldValue(field, 'utf8'))?.map(({ address }) => address) ?? [];
  if (addresses.length === 0) throw new Refusal(550, '5.6.0', `The ${spelled} field holds no valid address`);
  return addresses;
}
