/** MTA-STS on the port that it has, 443, in a network namespace: a whole relay, its commands, and a restart after a crash. RFC 8461 §3.3 */
import { beforeAll, describe, expect, test } from 'vitest';
import { hasNetworkNamespaces, requirePeer } from '../support/peers.ts';
import { mustRun } from '../support/program.ts';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const present = requirePeer('network namespaces', hasNetworkNamespaces());

describe.skipIf(!present)('in a network of its own', () => {
  let seen: any;
  beforeAll(async () => {
    const script = 'ip link set lo up && exec "$0" "$1"';
    const program = [`${CHECKOUT}node_modules/.bin/node`, `${CHECKOUT}test/support/policy-world.ts`];
    seen = JSON.parse(await mustRun('unshare', ['--net', 'sh', '-c', script, ...program], { timeout: 180_000 }));
  }, 200_000);
  const attempts = (message: any) => message.recipients[0].attempts;

  test('mail under an enforced policy is relayed, and its trace says what the session was worth', () => {
    expect(attempts(seen.first)).toMatchObject([{ outcome: 'relayed', assurance: 'sts' }]);
    expect(seen.known).toMatchObject([{ domain: 'x.test', mode: 'enforce', state: 'holds', mx: ['*.x.test'] }]);
    expect(new Set(seen.asked)).toEqual(new Set(['mta-sts.x.test/.well-known/mta-sts.txt']));
  });

  test('a refresh by an operator counts at once in the running relay, and a policy that was mended heals the mail in its attempt', () => {
    expect(seen.refreshed).toMatchObject({ mx: ['mx.old.test'], id: '1' });
    expect(attempts(seen.healed)).toMatchObject([{ outcome: 'relayed', assurance: 'sts' }]);
    expect(seen.shown).toMatchObject({ mx: ['mx.x.test'], id: '1', state: 'holds' });
    expect(seen.actions).toEqual(['fetched', 'changed']);
  });

  test('the doctor fetches a policy for real', () => {
    expect(seen.doctor).toMatchObject([
      { check: 'mtaSts', subject: 'mta-sts.x.test', result: 'ok', found: 'a policy was fetched' },
    ]);
  });

  test('after a crash the policy holds without a fetch', () => {
    expect(attempts(seen.restarted)).toMatchObject([{ outcome: 'relayed', assurance: 'sts' }]);
    expect(seen.fetchedAfterRestart).toBe(0);
    expect(seen.count).toBe(3);
  });
});
