/**
 * Passwords of accounts of the console. One hash is computed at a time, beside the places that logins of mail have, so that guessing at the
 * console never takes a place from them.
 */
import { hashPassword, unmatchableHash, verifyPassword } from './password-hash.ts';
import { type Asker, createTurnstile } from './turnstile.ts';

export type ConsolePasswords = {
  /** Takes as long if there is no hash. Undefined: too many others ask. */
  verify(hash: string | null, password: string, asker: Asker): Promise<boolean | undefined>;
  /** Undefined: too many others ask. */
  hash(password: string, asker: Asker): Promise<string | undefined>;
};

/** @param patience longest wait for a turn in milliseconds. */
export function createConsolePasswords(patience = 5000): ConsolePasswords {
  const turnstile = createTurnstile(1, patience);
  const dummy = unmatchableHash();
  return {
    verify: (hash, password, asker) => turnstile.run(() => verifyPassword(hash ?? dummy, password), asker),
    hash: (password, asker) => turnstile.run(() => hashPassword(password), asker),
  };
}
