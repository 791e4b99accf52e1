/** A process that accepts a message, delivers it, and dies before it can write that down. Arguments: data directory, queue id. */
import { startQueue } from '../../src/queue/queue.ts';
import { openStore } from '../../src/store/store.ts';
import { createLog } from '../../src/system/log.ts';
import { createMailLog } from '../../src/system/mail-log.ts';
import { message, recipient, relayed, SCHEDULE } from './queue-rig.ts';

const [dataDir = '', id = ''] = process.argv.slice(2);
const store = await openStore({ dataDir });
const queue = startQueue({
  store: { ...store.messages, settle: () => new Promise(() => process.kill(process.pid, 'SIGKILL')) },
  log: createMailLog(createLog({ level: 'silent', format: 'json' })),
  owner: 'first',
  deliver: async ({ recipients }) => recipients.map(() => relayed),
  room: () => 20,
  onRoom: () => {},
  blockedUntil: () => undefined,
  report: async () => [],
  schedule: SCHEDULE,
});
await queue.add({
  message: message(
    [1, 2, 3].map((n) => recipient(`u${n}@example.org`)),
    { id },
  ),
});
