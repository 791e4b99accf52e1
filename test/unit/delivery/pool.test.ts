/** How many sessions a host sees from us at the same time. */
import { expect, test } from 'vitest';
import { createPool } from '../../../src/delivery/pool.ts';
import type { DeliverySession } from '../../../src/delivery/session.ts';

/** A session that is closed when the test says so. */
function heldSession() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = { connection: { quit: () => promise, failure: undefined }, target: {}, standing: {} };
  return { session: session as unknown as DeliverySession, close: resolve };
}

test('room is made when a session that is already being left is closed', async () => {
  const pool = createPool(Date.now);
  const { session, close } = heldSession();
  const kept = pool.begin();
  pool.clear();
  kept.give(session, 'mx');
  const others = pool.drop('other');
  let made = false;
  const room = pool.drop('mx').then(() => {
    made = true;
  });
  await others;
  expect(made).toBe(false);
  close();
  await room;
  await pool.close();
});

test('a session that nobody may use again counts until it is closed', async () => {
  let count = 0;
  const pool = createPool(Date.now, (_hosts, change) => {
    count += change;
  });
  const kept = pool.begin();
  pool.clear(); // its options hold no more
  const { session, close } = heldSession();
  kept.give(session, 'mx');
  expect(count).toBe(1);
  close();
  await pool.close();
  expect(count).toBe(0);
});
