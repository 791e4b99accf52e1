/** The French texts of the pages of the group `relay`. */
import type { SameTexts } from '../texts.ts';
import type { EN_RELAY } from './en-relay.ts';

export const FR_RELAY: SameTexts<typeof EN_RELAY> = {};
