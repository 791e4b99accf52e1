/** The front door of preparation: what we do to a message before it is kept. RFC 6409 §8 */
import { Pipeline } from './pipeline.ts';
import type { Preparation, PreparationOptions, PreparationRequest } from './preparation-request.ts';

export { type OwnMail, type OwnMailOptions, prepareOwnMail, textContent } from './own-mail.ts';
export type { Preparation, PreparationOptions, PreparationRequest, Prepared } from './preparation-request.ts';
export { discard } from './storage.ts';

/** Begins a preparation for each message. */
export type PreparationFactory = {
  start(request: PreparationRequest): Preparation;
  /** Holds for messages that start afterwards. */
  reload(changes: Partial<PreparationOptions>): void;
};

export function createPreparation(options: PreparationOptions): PreparationFactory {
  let current = options;
  return {
    start: (request) => new Pipeline(request, current),
    reload(changes) {
      current = { ...current, ...changes };
    },
  };
}
