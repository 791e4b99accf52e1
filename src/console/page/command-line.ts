/** Command lines to copy into a shell. */

/** A word as a POSIX shell reads it. Words from strangers stay one word. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `smarthost`, and each word quoted where it needs it. */
export function smarthostCommand(...words: readonly string[]): string {
  return ['smarthost', ...words.map(shellWord)].join(' ');
}
