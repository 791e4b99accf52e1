/** The English texts of the pages of the group `people`. */
export const EN_PEOPLE = {} as const;
