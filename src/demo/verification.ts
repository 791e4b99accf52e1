/** Verifies our signatures with foreign code: mailauth, with the keys that the demo's DNS publishes. */
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import type { World } from './world.ts';

/** `dkim=pass (rsa-sha256 s=s2026…)`, one entry per signature; `dkim=none` if there is none. */
export async function judgeSignatures(message: Buffer, { resolver }: Pick<World, 'resolver'>): Promise<readonly string[]> {
  const { results } = await dkimVerify(message, {
    resolver: (name: string, type: string) => resolver.resolve(name, type as 'TXT'),
  });
  const signed = results.filter(({ status }) => status.result !== 'none');
  if (signed.length === 0) return ['dkim=none'];
  return signed.map(
    ({ status, signingDomain, selector, algo }) => `dkim=${status.result} (${algo} d=${signingDomain} s=${selector})`,
  );
}
