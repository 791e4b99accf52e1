/** How a row of the catalogue becomes a test: README.md beside this file is made from these calls by catalogue.ts. */
import { describe, test } from 'vitest';

/** Milliseconds; the machine may be busy with much else. */
const PATIENCE = 300_000;

/**
 * One row, or one side of it. All three texts are literals in quotes, for the table.
 * @param answer what the other side gets, or what becomes of the mail.
 */
export function attack(id: string, what: string, answer: string, run: () => unknown, timeout = PATIENCE): void {
  test(`${id} ${what}: ${answer}`, { timeout }, async () => {
    await run();
  });
}

/** One row in many variants, each a test of its own; the first element of a variant is its name. */
export function attacks<T extends readonly unknown[]>(
  id: string,
  what: string,
  answer: string,
  variants: readonly (readonly [string, ...T])[],
  run: (...variant: [name: string, ...T]) => unknown,
): void {
  describe(`${id} ${what}: ${answer}`, () => {
    for (const variant of variants) {
      test(variant[0], { timeout: PATIENCE }, async () => {
        await run(...variant);
      });
    }
  });
}

/** A row whose tests stand in another folder. */
export function elsewhere(_id: string, _what: string, _where: string): void {}
