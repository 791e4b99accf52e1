/** argon2id, the one place that imports argon2: RFC 9106, with OWASP's parameters for a server that has other work. */
import { randomBytes, randomInt } from 'node:crypto';
import { argon2id, hash, needsRehash, verify } from 'argon2';

/** 19 MiB, two passes, one lane: about 20 ms of one core. */
const PARAMETERS = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** verify() takes its parameters from the stored hash: a record with absurd ones would take the machine. */
const MAX_MEMORY_KIB = 256 * 1024;
const MAX_TIME_COST = 32;
const MAX_LANES = 16;

/** 32 characters that nobody confuses when reading them out: 24 of them hold 120 bits. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const PASSWORD_LENGTH = 24;

/** In PHC form: `$argon2id$v=19$m=19456,t=2,p=1$…`. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, PARAMETERS);
}

/** @throws Error where the stored hash is not one of ours, or asks for more than this machine should give. */
export async function verifyPassword(stored: string, password: string): Promise<boolean> {
  const problem = problemOf(stored);
  if (problem !== undefined) throw new Error(`The stored password hash cannot be used: ${problem}`);
  return verify(stored, password);
}

/** True where the hash was made with other parameters than today's. */
export function isOutdated(stored: string): boolean {
  return needsRehash(stored, PARAMETERS);
}

/** A hash that no password fits, with today's parameters: what an unknown name is compared with, so that it takes as long. */
export function unmatchableHash(): string {
  const part = (size: number) => randomBytes(size).toString('base64').replaceAll('=', '');
  const { memoryCost, timeCost, parallelism } = PARAMETERS;
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${part(16)}$${part(32)}`;
}

export function generatePassword(): string {
  return Array.from({ length: PASSWORD_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

function problemOf(stored: string): string | undefined {
  const found = /^\$argon2id\$v=19\$([a-z0-9=,]{1,60})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/.exec(stored);
  // RFC 9106 leaves the order of the parameters open: argon2 writes m,p,t, its reference program m,t,p
  const parameters = new Map(found?.[1]?.split(',').map((pair) => pair.split('=') as [string, string]));
  const [memory, time, lanes] = ['m', 't', 'p'].map((name) => Number(parameters.get(name))) as [number, number, number];
  if (parameters.size !== 3 || ![memory, time, lanes].every(Number.isSafeInteger)) return 'it is not argon2id in PHC form';
  if (memory > MAX_MEMORY_KIB) return `it asks for ${memory} KiB of memory, the most is ${MAX_MEMORY_KIB}`;
  if (time > MAX_TIME_COST || lanes > MAX_LANES) return `it asks for t=${time}, p=${lanes}`;
  return undefined;
}
