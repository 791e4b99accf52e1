/** Kept connections of a provider stay counted right, whatever becomes of their host set. */
import { expect, test } from 'vitest';
import { loadProviders } from '../../../../src/delivery/shaping/provider.ts';
import { ProviderGate } from '../../../../src/delivery/shaping/provider-gate.ts';
import { ProviderPace } from '../../../../src/delivery/shaping/provider-pace.ts';

test('a connection that is closed after its host set was forgotten, or has another provider, takes no session for ever', () => {
  const { byKey } = loadProviders();
  const dropped: string[] = [];
  const pace = new ProviderPace(
    {
      ...{
        now: () => 1_800_000_000_000,
        find: (key) => byKey.get(key),
        concurrency: () => 20,
        onRoom: () => {},
        onNews: () => {},
      },
      ...{ onProbe: () => {}, release: async () => [], put: () => {} },
      drop: async (hosts) => void dropped.push(hosts),
    },
    [],
  );
  const gate = new ProviderGate(pace);
  for (let i = 0; i < 5; i++) {
    gate.noteKept('microsoft365', `mx:t${i}`, 1);
    gate.noteKept(i === 0 ? undefined : 'yahoo', `mx:t${i}`, -1);
  }
  const signal = new AbortController().signal;
  const entrant = {
    key: 'mx:t9',
    ways: [{ family: 4 as const }],
    lookUp: { destination: 't9', ways: 0 },
    message: 'm',
    sender: '',
    signal,
  };
  for (let i = 0; i < 5; i++) expect(gate.enter('microsoft365', entrant)).toMatchObject({ provider: 'microsoft365' });
  expect(dropped).toEqual([]);
  pace.close();
});
