/** How a command fails: with a sentence for the person who typed it, never with a stack. */

/** Could not be done: exit 1. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
}

/** Typed wrongly: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs a parser of `config/values.ts` on what was typed. */
export function typed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UsageError(`${what} ${error.message}`, { cause: error });
  }
}
