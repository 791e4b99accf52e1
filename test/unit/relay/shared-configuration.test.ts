/** Mail for a route that this relay does not have, while another relay that shares the database has other routes. */
import { expect, test } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { leaveUnknownRoutes } from '../../../src/relay/shared-configuration.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { Claim } from '../../../src/store/store.ts';
import { createLog } from '../../../src/system/log.ts';

const relayed = { kind: 'relayed', reply: { code: 250, status: '2.0.0', text: 'Ok' }, seconds: 0, dsnPassedOn: false } as Outcome;

async function deliverTo(destination: string, routesDiffer: () => Promise<boolean>) {
  let asked = 0;
  const deliver = leaveUnknownRoutes({
    deliver: async () => [relayed],
    destinationOf: () => 'route:old.test',
    routesDiffer() {
      asked++;
      return routesDiffer();
    },
    log: createEventLog(createLog({ level: 'silent', format: 'json' })),
    now: () => 5000,
  });
  const claim = { message: { id: 'one' }, recipients: [{ address: 'a@b.test', destination }] } as unknown as Claim;
  const [outcome] = await deliver(claim, new AbortController().signal);
  return { outcome: outcome!, asked };
}
const returned = { kind: 'returned', notBefore: 65_000 };

test('it goes back as soon as another relay has other routes, and where nobody can say', async () => {
  expect((await deliverTo('route:new.test', async () => true)).outcome).toMatchObject(returned);
  const lost = Promise.reject(new Error('no primary'));
  expect((await deliverTo('route:new.test', () => lost)).outcome).toMatchObject(returned);
});

test('mail that has yet to follow new routes is delivered by them where all agree, and other mail asks nothing', async () => {
  expect(await deliverTo('route:new.test', async () => false)).toEqual({ outcome: relayed, asked: 1 });
  expect(await deliverTo('route:old.test', async () => true)).toEqual({ outcome: relayed, asked: 0 });
});
