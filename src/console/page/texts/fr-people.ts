/** The French texts of the pages of the group `people`. */
import type { SameTexts } from '../texts.ts';
import type { EN_PEOPLE } from './en-people.ts';

export const FR_PEOPLE: SameTexts<typeof EN_PEOPLE> = {};
