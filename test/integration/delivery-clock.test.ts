/** Clocks that jump: the clock that measures a rest may change before its end. */
import { expect, onTestFinished, test } from 'vitest';
import { DAY } from '../../src/system/clock.ts';
import { startRig, startScripted } from '../support/delivery-rig.ts';

const KEY = 'mx:mx0.good.test';

test('a rest that was stored under a clock a year ahead does not stop mail, nor keep the process busy', async () => {
  const warnings: string[] = [];
  const warned = ({ name }: Error) => warnings.push(name);
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  const blockedUntil = Date.now() + 365 * DAY;
  const { relay } = await startRig({ paces: [{ key: KEY, concurrency: 2, blockedUntil, reason: 'x', failures: 3 }] });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(warnings).toEqual([]); // a timer of a year fires at once, again and again
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(relay.blockedUntil('good.test')).toBeUndefined();
  expect(relay.paces.size).toBe(0);
});

test('a rest ends when the clock is set back', async () => {
  let now = Date.now();
  const { relay, mx } = await startScripted({ MAIL: '421 4.7.0 later' }, { delivery: { now: () => now } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'returned' }]);
  mx.script({});
  now -= 2 * DAY;
  expect(relay.room('good.test')).toBeGreaterThan(0);
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
});
