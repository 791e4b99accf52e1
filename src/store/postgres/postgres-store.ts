/** Opens the store on PostgreSQL: a database that several machines share, behind a thread of this process. */
import { continueQueueIds } from '../../smtp/queue-id.ts';
import { type OpenOptions, StoreError } from '../opening.ts';
import { StoreClient } from '../sqlite/client.ts';
import { dataOf } from '../sqlite/sqlite-store.ts';
import type { OpenedStore } from '../store.ts';
import { ChunkSpool } from './chunks.ts';
import type { ServerOptions } from './database-session.ts';
import type { PostgresWorkerOptions } from './postgres-worker.ts';

/** @throws StoreError with one sentence for the operator, without the password. */
export async function openPostgres(options: OpenOptions & { readonly server: ServerOptions }): Promise<OpenedStore> {
  const { server, ...told } = options;
  const client = new StoreClient({
    ...told,
    thread: new URL('./postgres-worker.ts', import.meta.url),
    worker: { server } satisfies PostgresWorkerOptions,
    unlink: () => {},
  });
  await client.start();
  try {
    continueQueueIds(await client.call('queueIds', undefined));
  } catch (cause) {
    await client.close();
    throw new StoreError((cause as Error).message, { cause });
  }
  return {
    ...dataOf(client, new ChunkSpool(client)),
    onChange: (listener) => client.onChange(listener),
    ping: async () => void (await client.call('ping', Date.now())),
    share: (give) => client.share(give),
    close: () => client.close(),
  };
}
