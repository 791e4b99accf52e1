/** A store in a folder of its own, and messages to put into it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { type EmbeddedOptions, type EmbeddedStore, storeFiles } from '../../src/store/embedded/embedded.ts';
import type {
  AcceptRequest,
  AttemptRecord,
  ClaimLease,
  Content,
  NewMessage,
  Settled,
  Settlement,
  Store,
  StoredMessage,
} from '../../src/store/store.ts';

/** Removed when the test ends. */
export function dataDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'store-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Closed when the test ends. */
export async function testStore({
  dataDir: path = dataDir(),
  ...options
}: EmbeddedOptions & { dataDir?: string } = {}): Promise<EmbeddedStore> {
  const store = await storeFiles(path).open(options);
  onTestFinished(() => store.close());
  return store;
}

export const NOW = Date.UTC(2026, 0, 1, 12);
export const LEASE: ClaimLease = 'incarnation-1#1';

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

export const inline = (bytes: Uint8Array<ArrayBuffer>): Content => ({ kind: 'inline', bytes });

/** @param change what matters to the test; `to` are the addresses, each delivered by its domain. */
export function newMessage({ to = ['bob@example.net'], ...change }: Partial<NewMessage> & { to?: string[] } = {}): NewMessage {
  const bytes = new Uint8Array(randomBytes(200));
  return {
    id: newQueueId(change.acceptedAt ?? NOW),
    user: 'alice@example.org',
    reversePath: 'alice@example.org',
    messageId: '<1@example.org>',
    size: bytes.byteLength,
    acceptedAt: NOW,
    expiresAt: NOW + 432_000_000,
    body: '7BIT',
    needsSmtpUtf8: false,
    signatures: [],
    recipients: to.map((address) => ({ address, destination: address.slice(address.lastIndexOf('@') + 1) })),
    content: inline(bytes),
    ...change,
  };
}

/** Accepts it unclaimed unless told otherwise, and returns it. */
export async function put(
  store: Store,
  message: NewMessage = newMessage(),
  {
    claim,
    lease = LEASE,
    ...more
  }: Partial<Omit<AcceptRequest, 'claim'>> & { claim?: readonly number[]; lease?: ClaimLease } = {},
): Promise<NewMessage> {
  const result = await store.messages.accept({ message, claim: { indexes: claim ?? [], lease }, ...more });
  if (!result.accepted) throw new Error('refused');
  return message;
}

export const relayedAttempt: AttemptRecord = {
  at: NOW + 1000,
  mx: 'mx.example.net',
  ip: '192.0.2.1',
  tls: 'TLSv1.3',
  outcome: 'relayed',
  code: 250,
  status: '2.0.0',
  reply: '250 2.0.0 Ok',
  seconds: 0.25,
};
export const delayedAttempt: AttemptRecord = {
  ...relayedAttempt,
  outcome: 'delayed',
  code: 451,
  status: '4.7.1',
  reply: '451 4.7.1 Later',
};

/** Settles with `LEASE` if the recipients are claimed, else recipients without a claim. */
export async function settle(store: Store, settlement: Omit<Settlement, 'lease'>): Promise<Settled> {
  const message = await store.messages.get(settlement.messageId);
  const claimed = settlement.changes.some(({ n }) => message?.recipients[n]?.state === 'active');
  return store.messages.settle({ ...settlement, lease: claimed ? LEASE : null });
}

export async function relay(store: Store, id: string, n = 0): Promise<void> {
  const change = { n, state: 'relayed', lastReply: '250 2.0.0 Ok', attempt: relayedAttempt } as const;
  await settle(store, { messageId: id, at: NOW + 1000, changes: [change] });
}

export async function delay(store: Store, id: string, nextAttemptAt: number, n = 0): Promise<void> {
  const change = { n, state: 'delayed', nextAttemptAt, lastReply: '451 4.7.1 Later', attempt: delayedAttempt } as const;
  await settle(store, { messageId: id, at: NOW + 1000, changes: [change] });
}

/** The states of a message's recipients, in their order. */
export async function statesOf(store: Store, id: string): Promise<string[]> {
  return ((await store.messages.get(id)) as StoredMessage).recipients.map(({ state }) => state);
}

/** All bytes of a content, spooled or not. */
export async function wholeContent(content: Content | undefined): Promise<Buffer | undefined> {
  if (content === undefined) return undefined;
  if (content.kind === 'inline') return Buffer.from(content.bytes);
  const chunks: Uint8Array[] = [content.prefix];
  for await (const chunk of content.spool.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Checks until the condition is true, or fails after `patience` milliseconds. */
export async function until(condition: () => Promise<boolean> | boolean, patience = 60_000): Promise<void> {
  for (const deadline = Date.now() + patience; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error('It did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
