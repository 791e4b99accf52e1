/** Which way mail of a destination takes, and what is demanded of the TLS of its hosts, over the API. */
import { expect, test } from 'vitest';
import type { LiveDestination } from '../../../src/console/live-facts.ts';
import { createDns } from '../../../src/dns/dns.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { TEST_DELIVERY, testControl } from '../../support/control.ts';
import { startDns } from '../../support/dns.ts';
import { quietFacts } from '../../support/live-facts.ts';
import { NOW } from '../../support/store-rig.ts';

const live = (destination: string, provider: string | null = null): LiveDestination => ({
  ...{ destination, hosts: `mx.${destination}`, provider, sessions: 0, allowed: 2, inLine: 0, rest: null, heard: null },
});

async function opened(destinations: readonly LiveDestination[]) {
  return startTestConsole({ live: quietFacts({ destinations: () => destinations }).live });
}

test('each destination has the routes that may take its mail, as they are configured, and no password', async () => {
  await using console = await opened([live('shop.example'), live('x.example', 'google'), live('route:[192.0.2.9]:25')]);
  console.set({
    routes: [
      { recipientDomain: 'shop.example', user: 'app', hosts: ['[192.0.2.9]:25'] },
      { recipientDomain: '*.other.example', hosts: ['other.example'] },
      {
        ...{ recipientDomain: 'shop.example', hosts: ['up.example:465', 'up2.example:465'], tls: 'dane' },
        login: { user: 'us', password: 'planted' },
      },
      { recipientDomain: 'shop.example', hosts: ['never.example'] },
    ],
    delivery: { ...TEST_DELIVERY, fallback: [{ providers: ['google'], hosts: ['smart.example'], dailyCap: 9 }] },
  });
  const { items } = (await console.ask('GET', '/destinations')).body;
  const of = (key: string) => items.find((one: any) => one.key === key);
  const any = { recipientDomain: null, senderDomain: null, user: null, mx: null, login: false };
  const first = { ...any, hosts: ['[192.0.2.9]:25'], tls: 'verify', recipientDomain: 'shop.example', user: 'app' };
  expect(of('shop.example')).toMatchObject({
    routes: [
      first,
      { ...any, hosts: ['up.example:465', 'up2.example:465'], tls: 'dane', recipientDomain: 'shop.example', login: true },
    ],
    fallback: null,
  });
  expect(of('x.example')).toMatchObject({ routes: [], fallback: { hosts: ['smart.example'], tls: 'verify' } });
  expect(of('route:[192.0.2.9]:25').routes).toEqual([first]);
  expect(JSON.stringify(items)).not.toContain('planted');
  expect((await console.ask('GET', '/destinations/shop.example')).body).toEqual(of('shop.example'));
});

test('a destination tells what is demanded of each host, by whom, and the policy with its age; a route has no such policy', async () => {
  const dns = await startDns({
    'x.example': { MX: ['10 mx1.x.example', '20 mx2.x.example'] },
    'mx1.x.example': { A: ['192.0.2.1'] },
    'mx2.x.example': { A: ['192.0.2.2'] },
    '_mta-sts.x.example': { TXT: ['v=STSv1; id=p1;'] },
  });
  const made = await testControl(createDns({ servers: [dns.server] }));
  made.set({ delivery: { ...TEST_DELIVERY, allowPrivate: ['192.0.2.0/24'] } });
  const seen = quietFacts({ destinations: () => [live('x.example'), live('route:up.example:25')] }).live;
  await using console = await startTestConsole({ live: seen, control: () => made.control });
  const policy = { domain: 'x.example', id: 'p1', mode: 'enforce', mx: ['mx1.x.example'], maxAge: 7 * 86_400, text: '' } as const;
  const times = { fetchedAt: NOW - HOUR, expiresAt: Date.now() + DAY, usedAt: NOW, refreshAt: NOW + HOUR };
  await made.store.tlsPolicies.putStsPolicy(
    { ...policy, ...times, failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
    'relay',
  );
  const asked = await console.ask('GET', '/destinations/x.example/policy', undefined, { as: 'reader' });
  expect(asked.body).toMatchObject({
    result: 'sent',
    mtaSts: { mode: 'enforce', id: 'p1', fetchedAt: new Date(NOW - HOUR).toISOString() },
    hosts: [
      { host: 'mx1.x.example', ip: '192.0.2.1', demand: 'sts', by: 'mta-sts', proven: false },
      { host: 'mx2.x.example', demand: 'mx-mismatch', by: 'mta-sts' },
    ],
  });
  expect(asked.body.hosts[0].sentence).toContain('the MTA-STS policy of x.example names this host and is enforced');
  expect((await console.ask('GET', '/destinations/none.example/policy')).status).toBe(404);
  expect((await console.ask('GET', `/destinations/${encodeURIComponent('route:up.example:25')}/policy`)).status).toBe(404);
  expect(dns.queries.some((query) => query.includes('none.example'))).toBe(false);
});
