/** Password hashes by argon2id, RFC 9106, with the parameters that OWASP names for a server. No other file imports argon2. */
import { randomBytes, randomInt } from 'node:crypto';
import { argon2id, hash, needsRehash, verify } from 'argon2';

/** 19 MiB, two passes, one lane: about 20 ms of one core. */
const PARAMETERS = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** verify() takes its parameters from the stored hash. Without a limit one bad record could take all memory and time. */
const MAX_MEMORY_KIB = 256 * 1024;
const MAX_TIME_COST = 32;
const MAX_LANES = 16;

/** 32 characters that are not confused when they are read out. 24 of them hold 120 bits. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const PASSWORD_LENGTH = 24;

/** In PHC form: `$argon2id$v=19$m=19456,t=2,p=1$…`. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, PARAMETERS);
}

/** @throws Error where the stored hash is no argon2id, or asks for more memory or time than is allowed. */
export async function verifyPassword(stored: string, password: string): Promise<boolean> {
  const problem = problemOf(stored);
  if (problem !== undefined) throw new Error(`The stored password hash cannot be used: ${problem}`);
  return verify(stored, password);
}

/** True where the hash has other parameters than PARAMETERS. */
export function isOutdated(stored: string): boolean {
  return needsRehash(stored, PARAMETERS);
}

/** A hash that no password fits. An unknown name is compared with it, so that it takes as long as a known one. */
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
  // RFC 9106 leaves the order of the parameters open. The package writes m,p,t, the reference program m,t,p.
  const parameters = new Map(found?.[1]?.split(',').map((pair) => pair.split('=') as [string, string]));
  const [memory, time, lanes] = ['m', 't', 'p'].map((name) => Number(parameters.get(name))) as [number, number, number];
  if (parameters.size !== 3 || ![memory, time, lanes].every(Number.isSafeInteger)) return 'it is not argon2id in PHC form';
  if (memory > MAX_MEMORY_KIB) return `it asks for ${memory} KiB of memory, the most is ${MAX_MEMORY_KIB}`;
  if (time > MAX_TIME_COST || lanes > MAX_LANES) return `it asks for t=${time}, p=${lanes}`;
  return undefined;
}
