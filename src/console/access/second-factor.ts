/** The second factor: codes of RFC 6238 from an app, and recovery codes for the day when the telephone is lost. */
import { randomBytes } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { renderSVG } from 'uqr';
import type { ConsoleAccount, ConsoleStore } from '../../store/store.ts';
import { SECOND } from '../../system/clock.ts';
import { secretHash } from './cookie.ts';

/** Seconds that a code is shown. */
const PERIOD = 30;
/** Steps that a clock may be off. */
const WINDOW = 1;
const RECOVERY_CODES = 8;

/** What a new factor shows once. `svg`: a QR code of `uri`. */
type NewFactor = { readonly secret: string; readonly uri: string; readonly svg: string };

const totpOf = (secret: string, account = '', hostname = '') =>
  new TOTP({ issuer: `smarthost ${hostname}`.trim(), label: account, secret: Secret.fromBase32(secret), period: PERIOD });

export function newFactor(account: string, hostname: string): NewFactor {
  const secret = new Secret({ size: 20 }).base32;
  const uri = totpOf(secret, account, hostname).toString();
  return { secret, uri, svg: renderSVG(uri) };
}

/** @param secret in base32. @returns the number of the time step that the code belongs to; undefined: it is wrong. */
export function stepOfCode(secret: string, code: string, now: number): number | undefined {
  const token = code.replaceAll(' ', '');
  if (!/^\d{6}$/.test(token)) return undefined;
  const delta = totpOf(secret).validate({ token, timestamp: now, window: WINDOW });
  return delta === null ? undefined : Math.floor(now / (PERIOD * SECOND)) + delta;
}

/** 80 bits each. `hashes` are stored. */
export function newRecoveryCodes(): { readonly codes: readonly string[]; readonly hashes: readonly string[] } {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    new Secret({ buffer: new Uint8Array(randomBytes(10)).buffer }).base32.toLowerCase().replace(/(.{4})(?=.)/g, '$1-'),
  );
  return { codes, hashes: codes.map(hashOfRecoveryCode) };
}

/** Uses up the code. False: it is wrong, or was used before. */
export async function useCode(
  store: Pick<ConsoleStore, 'useTotpStep' | 'useRecoveryCode'>,
  { name, totpSecret }: Pick<ConsoleAccount, 'name' | 'totpSecret'>,
  code: string,
  now: number,
): Promise<boolean> {
  const step = stepOfCode(totpSecret ?? '', code, now);
  if (step !== undefined) return store.useTotpStep(name, step);
  return store.useRecoveryCode(name, hashOfRecoveryCode(code));
}

const hashOfRecoveryCode = (code: string) => secretHash(code.toLowerCase().replace(/[^a-z2-7]/g, ''));
