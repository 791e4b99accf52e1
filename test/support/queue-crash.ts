/**
 * A process that accepts a message to three recipients and dies by SIGKILL at a chosen point. Arguments: data directory, queue id,
 * point (default `settle`: delivered, and not yet written down; the others are around a report of failures).
 */

import { createEventLog } from '../../src/events/events.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { createLog } from '../../src/system/log.ts';
import { failed, message, recipient, relayed, SCHEDULE } from './queue-rig.ts';

const [dataDir = '', id = '', point = 'settle'] = process.argv.slice(2);
const { messages } = await storeFiles(dataDir).open();
const die = (): Promise<never> => new Promise(() => process.kill(process.pid, 'SIGKILL'));
const report = {
  ...message([recipient('a@example.net')], { reversePath: '', user: null, about: id }),
  action: 'failed',
} as const;
const queue = startQueue({
  store: {
    ...messages,
    settle: async (settlement) => {
      if (point === 'settle' || point === 'before the failure is stored') return die();
      const settled = await messages.settle(settlement);
      return point === 'after the failure is stored' ? die() : settled;
    },
    told: async (told) => {
      if (point === 'before the report is stored') return die();
      await messages.told(told);
      return die();
    },
  },
  log: createEventLog(createLog({ level: 'silent', format: 'json' })),
  owner: 'first',
  deliver: async ({ recipients }) => recipients.map(() => (point === 'settle' ? relayed : failed)),
  room: () => 20,
  onRoom: () => {},
  blockedUntil: () => undefined,
  report: async () => (point === 'while the report is written' ? die() : [report]),
  summarize: die,
  reportsPerHour: () => 100,
  schedule: SCHEDULE,
});
await queue.add({
  message: message(
    [1, 2, 3].map((n) => recipient(`u${n}@example.org`)),
    { id },
  ),
});
