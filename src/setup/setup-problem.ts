/** What is wrong with the answers of a step, all at once. */

/** `field` is the path of the answer in the request, `domains/1`. */
type WrongAnswer = { readonly field: string; readonly sentence: string };

/** Thrown by a step of the first run. */
export class SetupProblem extends Error {
  override readonly name = 'SetupProblem';
  readonly wrong: readonly WrongAnswer[];

  constructor(wrong: readonly WrongAnswer[]) {
    super(wrong.map(({ sentence }) => sentence).join(' '));
    this.wrong = wrong;
  }
}

/** Collects the mistakes of one step, so that a person sees all of them. */
export class AnswerCheck {
  readonly #wrong: WrongAnswer[] = [];

  /** @param parse one of the configuration's parsers. @returns undefined where the value is wrong. */
  read<T>(field: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      this.#wrong.push({ field, sentence: `It ${(error as Error).message}.` });
      return undefined;
    }
  }

  /** Blank ones are left out, and one that comes twice counts once. */
  readList(field: string, texts: readonly string[], parse: (text: string) => string): readonly string[] {
    const read = texts.map((text, i) => (text.trim() === '' ? undefined : this.read(`${field}/${i}`, () => parse(text.trim()))));
    return [...new Set(read.filter((value) => value !== undefined))];
  }

  add(field: string, sentence: string): void {
    this.#wrong.push({ field, sentence });
  }

  /** @throws SetupProblem */
  done(): void {
    if (this.#wrong.length > 0) throw new SetupProblem(this.#wrong);
  }
}
