/** Test messages, on a real store without a relay. */
import { expect, test } from 'vitest';
import { testControl } from '../../support/control.ts';
import { relay } from '../../support/store-rig.ts';

test('a test message is signed as the settings say, waits in the queue, and is reported', async () => {
  const { control, told } = await testControl();
  await control.domains.add('example.org', 'mail');
  const { id, header } = await control.send.submit({ to: 'bob@example.com', from: 'anna@example.org' });
  expect(header).toMatch(/^From: anna@example\.org$/m);
  expect(told()).toEqual(['keys', 'queue:example.com']);
  expect(await control.queue.show(id)).toMatchObject({
    reversePath: 'anna@example.org',
    signatures: ['mail._domainkey.example.org', 'mail-ed._domainkey.example.org'],
    recipients: [{ recipient: 'bob@example.com', state: 'queued' }],
  });
  expect((await control.send.submit({ to: 'bob@example.com' })).header).toMatch(/^From: postmaster@relay\.example\.net$/m);
});

test('following ends with the message', async () => {
  const { control, store } = await testControl();
  const { id } = await control.send.submit({ to: 'bob@example.com' });
  const states: string[] = [];
  for await (const { message, destination, ended } of control.send.follow(id, 60_000)) {
    states.push(`${message.recipients[0]!.state} ${destination} ${ended}`);
    if (states.length > 1) continue;
    await store.messages.claim({ destination, now: Date.now(), limit: 1, lease: 'test#1' });
    await relay(store, id);
  }
  expect(states).toEqual(['queued example.com false', 'relayed example.com true']);
  const unknown = control.send.follow('nothing', 0).next();
  await expect(unknown).rejects.toMatchObject({ name: 'ControlError', kind: 'not found' });
});
