/** What all domains of a provider get together, above what each set of hosts gets. */
import { expect, onTestFinished, test } from 'vitest';
import { MINUTE, SECOND } from '../../src/system/clock.ts';
import { startTestDelivery } from '../support/delivery.ts';
import { startDns } from '../support/dns.ts';
import type { Zone } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxScript } from '../support/mx-server.ts';
import { SessionCount } from '../support/session-count.ts';

const TENANTS = 40;

/** Domains `t0.test` … whose MX hosts have names of their own and one address. */
function tenantZone(count: number, suffix: string, address: string, domain = 't'): Record<string, Zone[string]> {
  const zone: Record<string, Zone[string]> = {};
  for (let i = 0; i < count; i++) {
    zone[`${domain}${i}.test`] = { MX: [`10 ${domain}${i}.${suffix}`] };
    zone[`${domain}${i}.${suffix}`] = { A: [address] };
  }
  return zone;
}

async function world(script: MxScript, { now = Date.now as () => number, more = {} as Record<string, Zone[string]> } = {}) {
  const sessions = new SessionCount();
  const mx = await startMx({ address: '127.0.4.1', script: sessions.script(script) });
  const dns = await startDns({
    ...tenantZone(TENANTS, 'mail.protection.outlook.com', mx.address),
    'yahoo.test': { MX: ['10 mta5.am0.yahoodns.net'] },
    'mta5.am0.yahoodns.net': { A: [mx.address] },
    ...more,
  });
  const relay = await startTestDelivery(dns, { port: mx.port, now });
  onTestFinished(async () => {
    await relay.close();
    await Promise.all([dns.close(), mx.close()]);
  });
  return { mx, dns, relay, most: () => sessions.most };
}

test('forty tenants of a provider share its five sessions, kept ones among them, and all their mail arrives', async () => {
  const { relay, mx, most } = await world({});
  const sent = Array.from({ length: TENANTS * 10 }, (_, i) =>
    relay.send(`u@t${i % TENANTS}.test`, { id: `m${i}`, reversePath: 'a@b.test' }),
  );
  // The limit of sixty in a minute is met, so the rest is handed back.
  const outcomes = (await Promise.all(sent)).flat();
  expect(outcomes.filter(({ kind }) => kind !== 'relayed' && kind !== 'returned')).toEqual([]);
  expect(outcomes.filter(({ kind }) => kind === 'relayed')).toHaveLength(60);
  expect(mx.count()).toBe(60);
  expect(most()).toBeLessThanOrEqual(5);
  expect(most()).toBeGreaterThan(1);
});

test('a minute has as many messages as the provider takes, whenever it begins, and other mail goes at once', async () => {
  const clock = { now: 1_800_000_000_000 };
  const address = '127.0.4.2';
  const more = { 'other.test': { MX: ['10 mx.other.test'] }, 'mx.other.test': { A: [address] } };
  const { relay, mx } = await world({}, { now: () => clock.now, more });
  const other = await startMx({ address, port: mx.port, hostname: 'mx.other.test' });
  onTestFinished(() => other.close());
  const send = async (count: number) =>
    (await Promise.all(Array.from({ length: count }, (_, i) => relay.send(`u@t${i % TENANTS}.test`)))).flat();
  const relayed = (outcomes: Awaited<ReturnType<typeof send>>) => outcomes.filter(({ kind }) => kind === 'relayed').length;
  expect(relayed(await send(40))).toBe(40);
  clock.now += 30 * SECOND;
  const second = await send(40);
  expect(relayed(second)).toBe(20);
  const away = second.find(({ kind }) => kind === 'returned');
  expect(away).toMatchObject({ notBefore: clock.now + 30 * SECOND });
  expect(relay.room('t0.test')).toBe(0);
  expect(relay.blockedUntil('t0.test')).toBe(clock.now + 30 * SECOND);
  expect(relayed((await relay.send('u@yahoo.test')) as never)).toBe(1);
  for (let i = 0; i < 100; i++) expect(await relay.send('u@other.test')).toMatchObject([{ kind: 'relayed' }]);
  clock.now += 31 * SECOND;
  expect(relayed(await send(60))).toBe(40);
  clock.now += MINUTE;
  expect(relay.room('t0.test')).toBeGreaterThan(0);
});

test('a provider that takes all mail costs the store nothing', async () => {
  const { relay } = await world({});
  for (let i = 0; i < 30; i++) expect(await relay.send(`u@t${i % TENANTS}.test`)).toMatchObject([{ kind: 'relayed' }]);
  expect(relay.takeShaping()).toEqual([]);
});

test('no connection to Yahoo carries more than twenty messages', async () => {
  const perSession = new Map<number, number>();
  const { relay } = await world({ message: ({ session }) => void perSession.set(session, (perSession.get(session) ?? 0) + 1) });
  for (let i = 0; i < 45; i++) expect(await relay.send('u@yahoo.test')).toMatchObject([{ kind: 'relayed' }]);
  expect([...perSession.values()]).toEqual([20, 20, 5]);
});

test('a connection that wants no eighth message costs no delay, and the next ones carry seven', async () => {
  const { relay, mx } = await world({});
  let perSession = new Map<number, number>();
  mx.script({
    MAIL: ({ session }) => {
      const count = (perSession.get(session) ?? 0) + 1;
      if (count > 7) return '421 Max message per connection reached, closing transmission channel';
      perSession.set(session, count);
      return undefined;
    },
  });
  for (let i = 0; i < 8; i++) expect(await relay.send('u@yahoo.test')).toMatchObject([{ kind: 'relayed' }]);
  expect([...perSession.values()]).toEqual([7, 1]);
  expect(relay.takeShaping()).toMatchObject([{ provider: 'yahoo', state: 'open', learnedCap: 7 }]);
  for (let i = 0; i < 16; i++) expect(await relay.send('u@yahoo.test')).toMatchObject([{ kind: 'relayed' }]);
  expect([...perSession.values()]).toEqual([7, 7, 7, 3]);
  perSession = new Map();
});

test('a provider that finds three sessions too many gets two for an hour, and no mail is delayed as a failure', async () => {
  const clock = { now: 1_800_000_000_000 };
  const open = new Set<number>();
  let most = 0;
  let isFull = true;
  const { relay, mx } = await world({}, { now: () => clock.now });
  mx.script({
    greeting: ({ session }) => {
      if (isFull && open.size >= 2)
        return {
          reply: '421 4.3.2 The maximum number of concurrent connections 192.0.2.1 has exceeded a limit, closing',
          thenClose: true,
        };
      open.add(session);
      most = Math.max(most, open.size);
      return undefined;
    },
    message: () => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100)),
    QUIT: ({ session }) => void open.delete(session),
  });
  const send = async () =>
    (await Promise.all(Array.from({ length: 6 }, (_, i) => relay.send(`u@t${i}.test`)))).flat().map(({ kind }) => kind);
  const first = await send();
  expect(first).not.toContain('delayed');
  expect(first).toContain('returned');
  isFull = false;
  for (const [later, least, sessions] of [
    [SECOND, 2, 2],
    [58 * MINUTE, 2, 2],
    [2 * MINUTE, 3, 5],
  ] as const) {
    most = 0;
    clock.now += later;
    expect(await send()).toEqual(Array.from({ length: 6 }, () => 'relayed'));
    expect(most).toBeGreaterThanOrEqual(least);
    expect(most).toBeLessThanOrEqual(sessions);
  }
});
