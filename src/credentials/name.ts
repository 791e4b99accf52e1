/** Names of credentials: UTF-8 without control characters, ASCII letters compared without case. */

/** Octets of a name. It may be a mailbox with a long local part; RFC 4616 §2 has 255 octets taken at least. */
const MAX_NAME = 1024;

/** The form a name is kept and compared in. @throws Error with a sentence where the name is not allowed. */
export function normalizeName(name: string): string {
  if (name === '') throw new Error('A name must not be empty');
  if (Buffer.byteLength(name) > MAX_NAME) throw new Error(`A name has at most ${MAX_NAME} octets`);
  if (/[\p{Cc}\u2028\u2029\ufffd]/u.test(name) || !name.isWellFormed()) throw new Error('A name has no control characters');
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
