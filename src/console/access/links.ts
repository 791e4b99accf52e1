/** One-time links: they set the password of an account, or make the first administrator. Their code stands behind `#`, where no log sees it. */
import { clientKey } from '../../net/client-networks.ts';
import type { StoreData } from '../../store/store.ts';
import { MINUTE, SECOND } from '../../system/clock.ts';
import type { ConsoleParts } from '../console.ts';
import { ApiProblem } from '../problem.ts';
import type { Arrival } from './arrival.ts';
import { secretHash } from './cookie.ts';
import { createRate } from './rate.ts';

/** Codes that a client may try. */
const A_MINUTE = 5;

export function createLinks({ store, guard, now }: Pick<ConsoleParts, 'store' | 'guard' | 'now'>) {
  const rate = createRate({ perSecond: A_MINUTE / (MINUTE / SECOND), burst: A_MINUTE }, () => performance.now());

  return {
    /** Whose password the code sets; null: that of the first administrator, who is made by it. */
    async look(code: string, { ip }: Arrival): Promise<string | null> {
      const wait = guard.isBlocked(ip) ? MINUTE / SECOND : rate.take(clientKey(ip));
      if (wait > 0)
        throw new ApiProblem(429, `These are too many codes. Wait ${wait} s.`, { headers: { 'retry-after': String(wait) } });
      const link = await store.console.tryLink(partsOf(code), now());
      if (typeof link !== 'string') return link.account;
      if (link === 'wrong') await guard.recordFailure(ip, 'setup');
      throw notValid();
    },
    /** Of two at the same time, one has it. */
    async take(code: string, view: StoreData, { name, passwordHash }: { name: string; passwordHash: string }): Promise<void> {
      const outcome = await view.console.takeLink(partsOf(code), { name, passwordHash }, now());
      if (outcome === 'exists') throw new ApiProblem(409, `There is an account ${name} already.`);
      if (outcome !== 'done') throw notValid();
    },
  };
}

/** Dashes and case are for people. */
function partsOf(code: string) {
  const plain = code.toUpperCase().replace(/[^A-Z0-9]/g, '');
  return { id: plain.slice(0, 4), hash: secretHash(plain) };
}

const notValid = () =>
  new ApiProblem(
    404,
    'The code is wrong, was used, or is too old. Make another: smarthost console reset NAME, or console setup.',
  );
