/** Times that servers report: in a greeting, or in the Date field of an HTTP reply (RFC 9110 §6.6.1). */
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { trustWith } from '../system/trust.ts';
import type { Attempt } from './outbound.ts';

export type PeerTime = { readonly name: string; readonly at: number; readonly heardAt: number };

/** Some greetings have a time: "… ready at Sat, 21 Nov 2026 10:00:00 +0000". */
export function greetedTimes(attempts: readonly Attempt[]): readonly PeerTime[] {
  return attempts.flatMap(({ host, answer }) => {
    const [date] =
      /(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} [\d:]{8} [+-]\d{4}/.exec(answer.greeting?.[0] ?? '') ?? [];
    const at = date === undefined ? Number.NaN : Date.parse(date);
    return Number.isNaN(at) ? [] : [{ name: host, at, heardAt: answer.heardAt }];
  });
}

type HttpQuestion = {
  readonly url: string;
  /** The address of its host, if the DNS has returned one. */
  readonly address: string | undefined;
  /** PEM of one more trusted authority. */
  readonly ca: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
};

/** @returns undefined if the server did not answer. */
export async function httpTime({ url, address, ca, timeout }: HttpQuestion): Promise<PeerTime | undefined> {
  const { hostname } = new URL(url);
  const host = isIP(hostname.replace(/[[\]]/g, '')) === 0 ? address : hostname;
  if (host === undefined) return undefined;
  const trust = { secureContext: trustWith(ca) }; // the types of `request` do not know it
  const lookup: LookupFunction = (_, { all }, done) => {
    if (all) done(null, [{ address: host, family: isIP(host) }]);
    else done(null, host, isIP(host));
  };
  return new Promise((resolve) => {
    const asked = request(
      url,
      { method: 'HEAD', agent: false, signal: AbortSignal.timeout(timeout), lookup, ...trust },
      (response) => {
        response.resume();
        const at = Date.parse(response.headers.date ?? '');
        resolve(Number.isNaN(at) ? undefined : { name: hostname, at, heardAt: Date.now() });
      },
    );
    asked.on('error', () => resolve(undefined));
    asked.on('upgrade', (_, socket) => {
      socket.destroy();
      resolve(undefined);
    });
    asked.end();
  });
}
