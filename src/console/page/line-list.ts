/** What was typed into a field of lines: one entry a line, commas and blanks too. */
export const lineList = (text: string): readonly string[] => text.split(/[\s,]+/).filter((entry) => entry !== '');
