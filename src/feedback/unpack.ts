/** Unpacks gzip and zip in bounds: RFC 1952, and the ZIP form of which a report has exactly one member. */
import type { Transform } from 'node:stream';
import { crc32, createGunzip, createInflateRaw } from 'node:zlib';
import { MOST_PACKED, MOST_RATIO, MOST_UNPACKED } from './limits.ts';
import { FeedbackRefusal, refuse } from './refusal.ts';

const PIECE = 64 * 1024;
const STORED = 0;
const DEFLATED = 8;
const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const END_LENGTH = 22;
const LONGEST_COMMENT = 0xffff;

type Form = 'gzip' | 'zip' | 'xml' | 'other';

/** Tells the form by its first octets. A name or a media type is not asked, because reporters get both wrong. */
export function formOf(bytes: Buffer): Form {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'gzip';
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === LOCAL_HEADER) return 'zip';
  return /^(?:\xef\xbb\xbf)?\s*</.test(bytes.toString('latin1', 0, 1024)) ? 'xml' : 'other';
}

/** How many octets may still be unpacked: one for all attachments of a mail. */
export type Budget = { left: number };

/**
 * The octets of the document, piece by piece, so that a bomb ends at its bound and is never in memory.
 * @throws FeedbackRefusal
 */
export async function* unpack(bytes: Buffer, budget: Budget = { left: MOST_UNPACKED }): AsyncGenerator<Buffer> {
  const form = formOf(bytes);
  if (form === 'gzip' || form === 'zip') {
    if (bytes.length > MOST_PACKED) refuse('It is compressed and larger than 10 MiB. No receiver sends a report of that size.');
    const pieces = form === 'gzip' ? inflate(bytes, createGunzip({ chunkSize: PIECE }), form) : unzip(bytes);
    for await (const piece of pieces) {
      budget.left -= piece.length;
      if (budget.left < 0) refuse('It unpacks to more than 25 MiB. No receiver sends a report of that size.');
      yield piece;
    }
  } else {
    budget.left -= bytes.length;
    if (budget.left < 0) refuse('It is larger than 25 MiB. No receiver sends a report of that size.');
    yield* cut(bytes);
  }
}

async function* inflate(packed: Buffer, stream: Transform, form: 'gzip' | 'zip'): AsyncGenerator<Buffer> {
  let size = 0;
  stream.end(packed);
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > packed.length * MOST_RATIO)
        refuse(`It unpacks to more than ${MOST_RATIO} times its size. It is no report, but made to fill memory.`);
      yield piece;
    }
  } catch (cause) {
    if (cause instanceof FeedbackRefusal) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') refuse(`The ${form} file ends too early: it was not copied or downloaded whole.`, cause);
    if (code?.startsWith('Z_')) refuse(`The ${form} file is damaged: it cannot be unpacked.`, cause);
    throw cause;
  } finally {
    stream.destroy();
  }
}

async function* unzip(bytes: Buffer): AsyncGenerator<Buffer> {
  const { method, packed, size, sum } = onlyMember(bytes);
  const pieces = method === STORED ? cut(packed) : inflate(packed, createInflateRaw({ chunkSize: PIECE }), 'zip');
  let seen = 0;
  let check = 0;
  for await (const piece of pieces) {
    seen += piece.length;
    check = crc32(piece, check);
    yield piece;
  }
  if (seen !== size || check !== sum) refuse('The zip file is damaged: what it unpacks to is not what was packed.');
}

function* cut(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

type Member = { readonly method: number; readonly packed: Buffer; readonly size: number; readonly sum: number };

/** The member as the directory at the end describes it. The file must agree with itself, so that no two programs read different members. */
function onlyMember(bytes: Buffer): Member {
  const end = endRecord(bytes);
  const count = bytes.readUInt16LE(end + 10);
  if (count !== 1 || bytes.readUInt16LE(end + 8) !== 1)
    refuse(
      `The zip file holds ${count === 0 ? 'no file' : `${count} files`}. A report is one file: unpack it, and give each report by itself.`,
    );
  const at = bytes.readUInt32LE(end + 16);
  if (at + 46 > end || bytes.readUInt32LE(at) !== CENTRAL_HEADER) damaged();
  const flags = bytes.readUInt16LE(at + 8);
  if ((flags & 1) !== 0) refuse('The zip file is encrypted. Unpack it first.');
  const method = bytes.readUInt16LE(at + 10);
  if (method !== STORED && method !== DEFLATED) refuse('The zip file is compressed in a rare way. Unpack it first.');
  const [sum, length, size] = [bytes.readUInt32LE(at + 16), bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 24)];
  const next = at + 46 + bytes.readUInt16LE(at + 28) + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  const local = bytes.readUInt32LE(at + 42);
  if (next !== end || local !== 0 || bytes.readUInt16LE(8) !== method) damaged();
  const from = 30 + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
  if (from + length > at) damaged();
  if (method === STORED && length !== size) damaged();
  return { method, packed: bytes.subarray(from, from + length), size, sum };
}

function endRecord(bytes: Buffer): number {
  const first = Math.max(0, bytes.length - END_LENGTH - LONGEST_COMMENT);
  for (let at = bytes.length - END_LENGTH; at >= first; at -= 1) {
    if (bytes.readUInt32LE(at) === END_RECORD && at + END_LENGTH + bytes.readUInt16LE(at + 20) === bytes.length) return at;
  }
  return refuse('The zip file ends too early: it was not copied or downloaded whole.');
}

function damaged(): never {
  refuse('The zip file is damaged: its directory does not fit to its content.');
}
