import { expect, onTestFinished, test } from 'vitest';
import type { EventLog } from '../../../src/events/events.ts';
import { startDnssecWatch } from '../../../src/tls-policy/dnssec-watch.ts';

/** A watch over a resolver that answers what the test says; undefined: it does not answer. */
async function start(first: boolean | undefined, wanted = () => true) {
  const resolver = { answer: first, asked: 0 };
  const told: string[] = [];
  const dns = {
    async validates() {
      resolver.asked++;
      return resolver.answer;
    },
  };
  const watch = startDnssecWatch({ dns, wanted, log: { emit: (event: string) => told.push(event) } as unknown as EventLog });
  onTestFinished(watch.close);
  await new Promise(setImmediate);
  const look = (answer: boolean | undefined) => {
    resolver.answer = answer;
    return watch.look();
  };
  return { watch, resolver, told, look };
}

test('a resolver that validates is nothing to tell', async () => {
  const { watch, told } = await start(true);
  expect(watch.validates()).toBe(true);
  expect(told).toEqual([]);
});

test('the loss of validation is logged once, and so is its return', async () => {
  const { watch, told, look } = await start(false);
  expect(watch.validates()).toBe(false);
  await look(false);
  expect(told).toEqual(['dnssecLost']);
  await look(true);
  await look(true);
  expect(watch.validates()).toBe(true);
  expect(told).toEqual(['dnssecLost', 'dnssecBack']);
});

test('an answer that does not come changes nothing: it would be easy to hold back', async () => {
  const { watch, told, look } = await start(undefined);
  expect(watch.validates()).toBe(true);
  await look(false);
  await look(undefined);
  expect(watch.validates()).toBe(false);
  expect(told).toEqual(['dnssecLost']);
});

test('a caller that must know it now gets a check that is seconds old, and a missing answer is no proof', async () => {
  const { watch, resolver, told } = await start(true);
  expect(resolver.asked).toBe(1);
  expect(await watch.validatesNow()).toBe(true);
  expect(resolver.asked, 'the start has just checked').toBe(1);
  const other = await start(undefined);
  expect(await Promise.all([other.watch.validatesNow(), other.watch.validatesNow()])).toEqual([false, false]);
  expect(other.resolver.asked, 'one question for both').toBe(2);
  other.resolver.answer = false;
  expect(await other.watch.validatesNow()).toBe(false);
  expect(other.watch.validates()).toBe(false);
  expect([told, other.told]).toEqual([[], ['dnssecLost']]);
});

test('a resolver is not asked if nothing needs DANE', async () => {
  let isWanted = false;
  const { watch, resolver, look } = await start(false, () => isWanted);
  expect(resolver.asked).toBe(0);
  expect(watch.validates()).toBe(true);
  isWanted = true;
  await look(false);
  expect(watch.validates()).toBe(false);
});
