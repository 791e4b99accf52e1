/** The French texts of the pages of the group `senders`. */
import type { SameTexts } from '../texts.ts';
import type { EN_SENDERS } from './en-senders.ts';

export const FR_SENDERS: SameTexts<typeof EN_SENDERS> = {};
