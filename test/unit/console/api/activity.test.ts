/** Refusals, history, destinations and the overview, over the API. */
import { expect, test } from 'vitest';
import { DAY, HOUR } from '../../../../src/system/clock.ts';
import { startTestConsole } from '../../../support/console.ts';
import { QUIET, quietFacts } from '../../../support/live-facts.ts';
import { NOW, newMessage } from '../../../support/store-rig.ts';

const refusal = {
  ...{ at: NOW, until: NOW, count: 1, session: 's1', ip: '192.0.2.7', user: 'shop', verb: 'RCPT', code: 553, status: '5.7.1' },
  ...{ reply: '553 5.7.1 not yours', reversePath: 'a@b.example', recipient: null },
};

test('refusals of the last seconds come first, although the store has none of them yet', async () => {
  const { live } = quietFacts({ refusals: () => [{ ...refusal, reply: '553 5.7.1 newest' }] });
  await using console = await startTestConsole({ live });
  await console.store.activity.addRefused([refusal, { ...refusal, user: 'other' }]);
  const { body } = await console.ask('GET', '/refusals?limit=1');
  expect(body.items.map(({ seq, user, reply }: any) => [seq === null, user, reply])).toEqual([
    [true, 'shop', '553 5.7.1 newest'],
    [false, 'other', '553 5.7.1 not yours'],
  ]);
  const rest = (await console.ask('GET', `/refusals?before=${body.next}`)).body;
  expect(rest.items.map(({ seq, user }: any) => [seq === null, user])).toEqual([[false, 'shop']]);
  expect((await console.ask('GET', '/refusals?credential=nobody')).body.items).toEqual([]);
});

test('history is counted by hour, for all or by name', async () => {
  await using console = await startTestConsole();
  const hour = NOW - (NOW % HOUR);
  const count = { by: 'user', hour, outcome: 'accepted', count: 3, bytes: 10 } as const;
  await console.store.activity.addHistory([
    { ...count, name: 'shop' },
    { ...count, name: 'exchange' },
  ]);
  const at = new Date(NOW).toISOString();
  const all = (await console.ask('GET', `/history?to=${at}`)).body.items;
  expect(all).toMatchObject([{ from: new Date(hour).toISOString(), name: '', accepted: 6, bytes: 20 }]);
  const named = (await console.ask('GET', `/history?to=${at}&by=credential&step=day`)).body.items;
  expect(named.map(({ name, accepted }: any) => [name, accepted])).toEqual([
    ['exchange', 3],
    ['shop', 3],
  ]);
  expect((await console.ask('GET', `/history?from=${at}&to=${new Date(NOW - DAY).toISOString()}`)).status).toBe(422);
});

test('destinations that rest come first, with what waits for them and what they have said', async () => {
  const paced = { hosts: 'mx.x.example', provider: null, sessions: 1, allowed: 2, inLine: 0, heard: null };
  const rest = { until: NOW + HOUR, failures: 6, reason: '451 4.7.500 busy' };
  const last = { at: NOW, outcome: 'delayed', reply: '451 4.7.500 busy', mx: 'mx.x.example' };
  const heard = {
    since: NOW,
    replies: [{ code: 451, status: '4.7.500', count: 6 }],
    tls: [{ version: null, count: 6 }],
    last,
    session: null,
  };
  const { live } = quietFacts({
    destinations: () => [
      { ...paced, destination: 'y.example', rest: null },
      { ...paced, destination: 'x.example', rest, heard },
    ],
  });
  await using console = await startTestConsole({ live });
  await console.store.messages.accept({ message: newMessage({ acceptedAt: NOW, to: ['a@z.example', 'b@z.example'] }) });
  const { body } = await console.ask('GET', '/destinations');
  expect(body.items.map(({ key, waiting, allowed }: any) => [key, waiting, allowed])).toEqual([
    ['x.example', 0, 2],
    ['z.example', 2, null],
    ['y.example', 0, 2],
  ]);
  const one = (await console.ask('GET', '/destinations/X.example')).body;
  expect(one).toMatchObject({
    rest: { failures: 6, until: new Date(NOW + HOUR).toISOString() },
    heard: { replies: [{ count: 6 }] },
  });
  expect((await console.ask('GET', '/destinations/none.example')).status).toBe(404);
  expect((await console.ask('GET', '/queue')).body.items[0].rest).toBeNull();
});

test('the overview says that mail flows, or the one reason why it does not', async () => {
  const { live, books } = quietFacts();
  await using console = await startTestConsole({ live });
  const id = newMessage({ acceptedAt: NOW }).id;
  const attempt = { queueId: id, recipient: 'a@x.example', user: 'shop', attempt: 1, seconds: 1, mx: 'mx', ip: null, tls: null };
  const reply = { code: 550, status: '5.1.1', reply: '550 5.1.1 no such user' };
  books.observe({ event: 'failed', fields: { ...attempt, ...reply } });
  const { body } = await console.ask('GET', '/status');
  expect(body.verdict).toEqual({ flowing: true, reason: null, needs: [], more: 0 });
  expect(body).toMatchObject({ lastHour: { failed: 1 }, port25: 'open', failures: [{ id, user: 'shop', reply: reply.reply }] });

  await using stopped = await startTestConsole({
    live: quietFacts({ condition: () => ({ ...QUIET, unusable: 'diskTooFull', port25: 'closed' }) }).live,
  });
  const { verdict } = (await stopped.ask('GET', '/status')).body;
  expect(verdict).toMatchObject({ flowing: false, reason: 'disk', needs: [{ kind: 'disk' }, { kind: 'port25' }] });
});
