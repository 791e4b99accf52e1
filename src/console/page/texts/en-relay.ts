/** The English texts of the pages of the group `relay`. */
export const EN_RELAY = {} as const;
