/** `smarthost status` and `smarthost destinations`. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HOUR } from '../../src/system/clock.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { newMessage } from '../support/store-rig.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench('');
});
afterEach(() => bench.close());

test('status says what waits and what passed, destinations for whom', async () => {
  expect((await bench.run(['destinations'])).err).toContain('Nothing waits.');
  const hour = Date.now() - (Date.now() % HOUR);
  await bench.withStore(async ({ messages, activity }) => {
    await messages.accept({ message: newMessage({ user: 'shop', acceptedAt: Date.now(), to: ['a@x.example', 'b@y.example'] }) });
    await activity.addHistory([{ by: 'user', hour, name: 'shop', outcome: 'accepted', count: 7, bytes: 1 }]);
  });
  expect(await bench.json('status')).toMatchObject({ queue: { waiting: 2, held: 0 }, last24Hours: { accepted: 7 } });
  expect((await bench.run(['status'])).out).toMatch(/^waiting 2, held 0, the oldest since \S+Z\nlast 24 hours: accepted 7, /);
  expect((await bench.run(['destinations'])).out).toMatch(
    /^DESTINATION +RECIPIENTS +HELD +OLDEST +NEXT +LAST REPLY\nx\.example +1 +0 /,
  );
  expect(await bench.json('destinations', 'Y.example')).toMatchObject({
    name: 'y.example',
    recipients: 1,
    states: { queued: 1 },
  });
  expect((await bench.run(['destinations', 'none.example'])).err).toContain('No mail waits for none.example.');
});
