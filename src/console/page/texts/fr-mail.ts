/** The French texts of the pages about mail. */
import type { SameTexts } from '../texts.ts';
import type { EN_MAIL } from './en-mail.ts';

export const FR_MAIL: SameTexts<typeof EN_MAIL> = {
  'overview.relay': 'Relais',
  'overview.version': 'Version',
  'overview.up': 'En marche depuis',
};
