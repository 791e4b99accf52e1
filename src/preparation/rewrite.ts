/** A From that the credential prescribes, for devices whose sender cannot be set. */
import type { HeaderField } from '../signing/signing.ts';
import { parseAddressList } from './address-list.ts';
import { makeField } from './completion.ts';
import { fieldValue } from './header.ts';

/** @returns the fields with `address` as the only author, the display name kept; a missing From is added. */
export function rewriteFrom(fields: readonly HeaderField[], address: string): readonly HeaderField[] {
  if (!fields.some(({ name }) => name === 'from')) return [...fields, makeField('From', address)];
  return fields.map((field) => (field.name === 'from' ? makeField('From', rewritten(field, address)) : field));
}

function rewritten(field: HeaderField, address: string): string {
  const parsed = parseAddressList(fieldValue(field, 'utf8'));
  const phrase = typeof parsed === 'string' ? '' : (parsed[0]?.phrase ?? '');
  return phrase === '' ? address : `${phrase} <${address}>`;
}
