/** The English texts of the pages about mail. */
export const EN_MAIL = {
  'overview.relay': 'Relay',
  'overview.version': 'Version',
  'overview.up': 'Up for',
} as const;
