/** The English texts of the pages of the group `senders`. */
export const EN_SENDERS = {} as const;
