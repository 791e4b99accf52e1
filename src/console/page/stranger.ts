/**
 * Text of strangers: replies, subjects, addresses, names of hosts. Signs that steer how text is drawn, or that cannot be seen, are shown by their
 * number, so that nothing looks like something else.
 */

/** Controls of terminals and of direction, blanks without width, separators of lines, tags. A joiner within an emoji is part of it. */
const ODD =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]|(?<!\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?)\u200d/gu;

/** `odd`: the sign's number, such as `U+202E`. */
type StrangerPiece = string | { readonly odd: string };

/** @param most longer text ends after so many characters. */
export function strangerPieces(text: string, most = 2000): StrangerPiece[] {
  const cut = text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}…` : text;
  const pieces: StrangerPiece[] = [];
  let from = 0;
  for (const found of cut.matchAll(ODD)) {
    if (found.index > from) pieces.push(cut.slice(from, found.index));
    pieces.push({ odd: `U+${found[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}` });
    from = found.index + found[0].length;
  }
  if (from < cut.length) pieces.push(cut.slice(from));
  return pieces;
}

/** The same as one text, for attributes and the clipboard. */
export const strangerText = (text: string, most?: number) =>
  strangerPieces(text, most)
    .map((piece) => (typeof piece === 'string' ? piece : `⟦${piece.odd}⟧`))
    .join('');
