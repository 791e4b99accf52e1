/** What a relay takes over of the states that earlier processes have stored. */
import { expect, test } from 'vitest';
import { ProviderPace } from '../../../../src/delivery/shaping/provider-pace.ts';
import type { Shaping } from '../../../../src/store/store.ts';
import { HOUR } from '../../../../src/system/clock.ts';

const NOW = 1_800_000_000_000;
const ROW = { source: '', family: 4, state: 'blocked', since: NOW - HOUR, until: NOW + HOUR, step: 0 } as const;
const SPEED = { sessions: 1, rate: 1, learnedCap: null } as const;
const cause = { class: 'address-blocked', reply: { code: 550, status: '5.7.1', text: 'Your IP is blocked' } };
const row = (provider: string): Shaping => ({ ...ROW, ...SPEED, provider, evidence: JSON.stringify({ cause }) });

test('the block of a provider that the table has no longer is over, that of hosts which it never had goes on', () => {
  const put: Shaping[] = [];
  const options = {
    ...{ now: () => NOW, find: () => undefined, concurrency: () => 5, drop: async () => {}, onRoom: () => {} },
    ...{ onNews: () => {}, onProbe: () => {}, release: async () => [], put: (changed: Shaping) => void put.push(changed) },
  };
  const pace = new ProviderPace(options, [row('gone'), row('mx:mx.example')]);
  expect(pace.blocks().map(({ provider }) => provider)).toEqual(['mx:mx.example']);
  expect(put).toMatchObject([{ provider: 'gone', state: 'open' }]);
  pace.close();
});
