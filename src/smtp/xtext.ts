/** xtext of RFC 3461 §4: printable ASCII. `+`, `=` and all other characters are written as `+XX`. */
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;

function isXtext(text: string): boolean {
  return XTEXT.test(text);
}

/** @returns undefined if the text is not xtext, or encodes a control character, which must never reach a header or a log. */
export function decodeXtext(text: string): string | undefined {
  if (!isXtext(text)) return undefined;
  const bytes = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /[\x00-\x1f\x7f]/.test(bytes) ? undefined : Buffer.from(bytes, 'latin1').toString('utf8');
}

export function encodeXtext(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x2b && byte !== 0x3d
        ? String.fromCharCode(byte)
        : `+${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

/** The ASCII form of an address of the type `utf-8`, `\x{FC}` for ü: utf-8-addr-xtext of RFC 6533 §3, which is xtext too. */
export function encodeUnicodeXtext(text: string): string {
  return text.replace(/[^!-*,-<>-[\]-~]/gu, (character) => `\\x{${hexPoint(character.codePointAt(0)!)}}`);
}

const hexPoint = (point: number) => point.toString(16).toUpperCase().padStart(2, '0');
