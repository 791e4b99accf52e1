/** What a report quotes of the message it is about: its header, or all of it where RET=FULL asks and it is small. RFC 3461 §4.3. */
import type { Content } from '../store/store.ts';

/** Behaviour asks for at most 50 kB of the original. */
export const MAX_ORIGINAL = 50_000;
const HEADER_END = '\r\n\r\n';

export type Original = { readonly kind: 'message' | 'header'; readonly bytes: Buffer };

/** @param whole all of it was asked for. Reads no more of a body on disk than it quotes. */
export async function readOriginal(content: Content, whole: boolean): Promise<Original> {
  const start = await readStart(content);
  if (whole && start.length <= MAX_ORIGINAL) return { kind: 'message', bytes: start };
  const end = start.indexOf(HEADER_END);
  if (end >= 0 && end + 2 <= MAX_ORIGINAL) return { kind: 'header', bytes: start.subarray(0, end + 2) };
  return { kind: 'header', bytes: wholeLines(start.subarray(0, MAX_ORIGINAL)) };
}

/** Up to one byte more than may be quoted, which tells that there is more. */
async function readStart(content: Content): Promise<Buffer> {
  if (content.kind === 'inline') {
    const { buffer, byteOffset, length } = content.bytes;
    return Buffer.from(buffer, byteOffset, Math.min(length, MAX_ORIGINAL + 1));
  }
  const chunks: Uint8Array[] = [content.prefix];
  let length = content.prefix.length;
  if (length <= MAX_ORIGINAL) {
    for await (const chunk of content.spool.read()) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_ORIGINAL) break;
    }
  }
  return Buffer.concat(chunks).subarray(0, MAX_ORIGINAL + 1);
}

function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf('\r\n') + 2);
}
