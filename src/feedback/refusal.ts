/** Why a report cannot be read. */

/** Says in one sentence what is wrong with a file, for the person who gave it. It never contains more than a few words of the file. */
export class FeedbackRefusal extends Error {
  override readonly name = 'FeedbackRefusal';
}

export function refuse(sentence: string, cause?: unknown): never {
  throw new FeedbackRefusal(sentence, cause === undefined ? {} : { cause });
}
