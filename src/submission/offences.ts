/** What a client may get wrong, or do without sending mail, before its session ends. */

const MAX_BAD_COMMANDS = 10;
const MAX_IDLE_COMMANDS = 100;
const MAX_BAD_RECIPIENTS = 100;

/** Syntax, sequence, and what needs a login: a client that works does not get these again and again. */
const BAD_COMMAND: ReadonlySet<number> = new Set([500, 501, 502, 503, 504, 530, 535, 538, 555]);

export class Offences {
  #badCommands = 0;
  #idleCommands = 0;
  #badRecipients = 0;

  /** Counts what was answered with this code. @returns true where it was once too often. */
  add(verb: string, code: number): boolean {
    if (verb === 'RCPT' && code !== 503 && code !== 530) return code >= 500 && ++this.#badRecipients >= MAX_BAD_RECIPIENTS;
    return BAD_COMMAND.has(code) && ++this.#badCommands >= MAX_BAD_COMMANDS;
  }

  /** Counts a command that may be repeated for ever without sending mail. @returns true where it was once too often. */
  addIdle(): boolean {
    return ++this.#idleCommands > MAX_IDLE_COMMANDS;
  }

  /** A message was accepted. */
  forgive(): void {
    this.#badCommands = 0;
    this.#idleCommands = 0;
  }
}
