/**
 * A process of its own that uses a store, to be killed, starved or served with errors.
 * node store-child.ts DATADIR MODE: `accept` prints each id once it is accepted, for ever, some spooled; `try` prints accepted or
 * refused for each, at 20 a second, every third spooled; `change` changes credentials and queued mail with notes, for ever; `lock` holds the instance lock; `claim` claims for example.net, and settles as delayed once
 * a file DATADIR.go is there.
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, writeSync } from 'node:fs';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Content, Store } from '../../src/store/store.ts';

const [dataDir = '', mode = ''] = process.argv.slice(2);
/** Straight to the pipe: what was printed must have left when the process is killed. */
const print = (line: string) => writeSync(1, `${line}\n`);

/** A body that can be told from its id. */
function bodyOf(id: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const seed = createHash('sha256').update(id).digest();
  for (let i = 0; i < length; i++) bytes[i] = seed[i % 32] as number;
  return bytes;
}

async function contentOf(store: Store, id: string, spooled: boolean): Promise<Content> {
  if (!spooled) return { kind: 'inline', bytes: bodyOf(id, 3000) };
  const writer = await store.messages.createSpool();
  await writer.write(bodyOf(id, 300_000));
  return { kind: 'spooled', prefix: new Uint8Array(0), spool: await writer.finish() };
}

async function acceptOne(store: Store, spooled: boolean): Promise<string> {
  const now = Date.now();
  const id = newQueueId(now);
  const content = await contentOf(store, id, spooled);
  await store.messages.accept({
    message: {
      id,
      user: null,
      reversePath: '',
      messageId: '',
      size: spooled ? 300_000 : 3000,
      acceptedAt: now,
      expiresAt: now + 1000,
      body: '7BIT',
      needsSmtpUtf8: false,
      signatures: [],
      recipients: [{ address: 'bob@example.net', destination: 'example.net' }],
      content,
    },
  });
  return id;
}

async function acceptForever(store: Store, worker: number): Promise<void> {
  for (let i = 0; ; i++) {
    const spooled = i % 20 === worker;
    print(`${await acceptOne(store, spooled)} ${spooled ? 300_000 : 3000}`);
  }
}

async function tryForever(store: Store): Promise<void> {
  for (let i = 1; ; i++) {
    const line = await acceptOne(store, i % 3 === 0).then(
      (id) => `accepted ${id}${i % 3 === 0 ? ' spooled' : ''}`,
      (error: Error & { code?: string }) => `refused ${error.code}`,
    );
    print(line);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Prints how many recipients were no longer its own. */
async function claimAndSettle(store: Store): Promise<void> {
  const lease = 'child#1';
  const [claim] = await store.messages.claim({ destination: 'example.net', now: Date.now(), limit: 1, lease });
  if (claim === undefined) throw new Error('nothing is due');
  print(`claimed ${claim.message.id}`);
  while (!existsSync(`${dataDir}.go`)) await new Promise((resolve) => setTimeout(resolve, 20));
  const now = Date.now();
  const changes = [{ n: 0, state: 'delayed', nextAttemptAt: now }] as const;
  const { lost } = await store.messages.settle({ messageId: claim.message.id, lease, at: now, changes });
  print(`lost ${lost.length}`);
}

/** Each action has its note; a hold of all the mail takes several transactions. */
async function changeForever(store: Store): Promise<void> {
  const ids: string[] = [];
  for (let i = 0; i < 150; i++) ids.push(await acceptOne(store, false));
  const base = { senders: ['*'], mailServer: false, limits: null, disabled: false, expiresAt: null, rewrite: null };
  for (let i = 0; ; i++) {
    const name = `${process.pid}-${i}`;
    const noted = (action: string, target = name) =>
      store.noted({
        ...{ id: randomUUID(), at: Date.now(), actor: 'child', way: 'command', address: null, action, target },
        ...{ before: null, after: null },
      });
    await noted('user.add').credentials.add({ ...base, name, hash: 'x', createdAt: Date.now() });
    await noted('user.set').credentials.update(name, { disabled: true });
    const removing = noted('user.remove');
    if (i % 2 === 0) await removing.credentials.remove(name);
    await noted('queue.hold', 'all').messages.hold({ ids }, Date.now());
    await noted('queue.release', 'all').messages.release({ ids }, Date.now());
    print(`changed ${i}`);
  }
}

if (mode === 'lock') {
  await storeFiles(dataDir).lock();
  print('locked');
  setInterval(() => {}, 1000);
} else {
  const store = await storeFiles(dataDir).open({ onTrouble: (error) => void print(`trouble ${error.message}`) });
  print('ready');
  if (mode === 'accept') await Promise.all(Array.from({ length: 10 }, (_, worker) => acceptForever(store, worker)));
  else if (mode === 'claim') await claimAndSettle(store);
  else if (mode === 'change') await changeForever(store);
  else await tryForever(store);
}
