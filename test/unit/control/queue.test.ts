/** The actions of an operator on waiting mail, on a real store. */
import { expect, test } from 'vitest';
import { testControl } from '../../support/control.ts';
import { newMessage, put } from '../../support/store-rig.ts';

const refused = (kind: string, subject: string) => expect.objectContaining({ name: 'ControlError', kind, subject });

test('a change is reported once, and an action without a change is not', async () => {
  const { control, store, told } = await testControl();
  const { id } = await put(store, newMessage({ to: ['bob@example.net', 'eve@example.com'] }));
  const { touched, missing } = await control.queue.hold({ ids: [id, 'nothing', 'nothing', id] });
  expect(touched).toEqual([
    { id, recipient: 'bob@example.net', state: 'held' },
    { id, recipient: 'eve@example.com', state: 'held' },
  ]);
  expect(missing).toEqual(['nothing']);
  expect(told()).toEqual(['notices']);
  expect(await control.queue.hold({ domain: 'example.org' })).toEqual({ touched: [], missing: [] });
  expect(told()).toEqual([]);
  expect((await control.queue.release({ domain: 'example.com' })).touched).toHaveLength(1);
  expect((await control.queue.remove({ all: true })).touched).toHaveLength(2);
  expect(told()).toEqual(['notices', 'queue:example.com', 'notices']);
});

test('reroute uses the current routes', async () => {
  const { control, store, set } = await testControl();
  const { id } = await put(store);
  set({ routes: [{ hosts: ['smart.example.org:587'] }] as never });
  expect((await control.queue.reroute({ all: true })).touched).toMatchObject([{ id }]);
  const { destinations } = await control.queue.summary();
  expect(destinations.map(({ destination }) => destination)).toEqual(['route:smart.example.org:587']);
});

test('a missing message is not found, and a user may be named in any spelling', async () => {
  const { control, store } = await testControl();
  const { id } = await put(store, newMessage({ user: 'anna@example.org' }));
  await expect(control.queue.show('nothing')).rejects.toEqual(refused('not found', 'message'));
  const found: string[] = [];
  for await (const page of control.queue.list({ user: 'Anna@Example.org' })) found.push(...page.map((message) => message.id));
  expect(found).toEqual([id]);
  await expect(control.queue.list({ user: '' }).next()).rejects.toEqual(refused('invalid', 'user'));
});
