/**
 * A process of its own with a store on PostgreSQL.
 * node postgres-child.ts SERVER offer COUNT: prints `open`, waits for a line, offers COUNT messages of one user with a limit of 1,000 an
 * hour, and prints how many were accepted, and by how many seconds the clock of the store differs from that of the process.
 */
import { once } from 'node:events';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { Store } from '../../src/store/store.ts';

const [server = '', , count = ''] = process.argv.slice(2);
const AT_ONCE = 20;
const limits = { user: 'anna', list: [{ kind: 'messages', count: 1000, per: 'hour' }], over: 'refuse' } as const;

async function isAccepted(store: Store): Promise<boolean> {
  const acceptedAt = store.now();
  const message = {
    ...{ id: newQueueId(acceptedAt), user: 'anna', reversePath: '', messageId: '', size: 100, acceptedAt, signatures: [] },
    ...{ expiresAt: acceptedAt + 1000, body: '7BIT' as const, needsSmtpUtf8: false },
    recipients: [{ address: 'bob@example.net', destination: 'example.net' }],
    content: { kind: 'inline', bytes: new Uint8Array(100) } as const,
  };
  return (await store.messages.accept({ message, limits })).accepted;
}

const store = await openPostgres({ server: JSON.parse(server) as ServerOptions });
process.stdout.write('open\n');
await once(process.stdin, 'data');
process.stdin.pause();
let offered = 0;
let accepted = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (offered++ < Number(count)) if (await isAccepted(store)) accepted++;
  }),
);
process.stdout.write(`accepted ${accepted}, ahead ${Math.round((Date.now() - store.now()) / 1000)}\n`);
await store.close();
