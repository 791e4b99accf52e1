import { expect, test } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { startChangeLog } from '../../../src/relay/change-log.ts';
import { createLog } from '../../../src/system/log.ts';
import { createMemoryData } from '../../support/memory-data.ts';
import { NOW, until } from '../../support/store-rig.ts';

test('changes are logged once each, in their order, by whoever they are made, and earlier ones are not', async () => {
  const data = createMemoryData();
  const [here, elsewhere] = [data.client(), data.client()];
  const lines: Record<string, unknown>[] = [];
  const write = (text: string) =>
    void lines.push(
      ...text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
  const log = createEventLog(createLog({ level: 'info', format: 'json', write }));
  const note = (id: string, way: 'command' | 'session', address: string | null) => ({
    ...{ id, at: NOW, actor: 'anna', way, address, action: 'user.set', target: id, before: null, after: null },
  });
  await here.audit.add(note('earlier', 'command', null));
  const stop = await startChangeLog(here, log);
  await here.audit.add(note('first', 'session', '192.0.2.1'));
  await elsewhere.audit.add(note('second', 'command', null));
  await until(() => lines.length >= 2);
  await stop();
  expect(lines).toMatchObject([
    { event: 'changed', actor: 'anna', way: 'session', ip: '192.0.2.1', action: 'user.set', target: 'first' },
    { event: 'changed', actor: 'anna', way: 'command', action: 'user.set', target: 'second' },
  ]);
  expect(lines[1]).not.toHaveProperty('ip');
});
