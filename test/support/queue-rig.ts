/** A queue on a fake store, with a delivery that the test controls, and its log. */
import { EventEmitter, once } from 'node:events';
import { createEventLog } from '../../src/events/events.ts';
import type { Queue, QueueOptions } from '../../src/queue/queue.ts';
import { startQueue } from '../../src/queue/queue.ts';
import type { FinalReply, Outcome } from '../../src/smtp/outcome.ts';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import type { Claim, MessageStore, NewMessage, NewRecipient } from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';
import { createLog, type LogFields } from '../../src/system/log.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

export const SCHEDULE = {
  retry: [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
  lifetime: 5 * DAY,
  reportLifetime: DAY,
  delayWarning: 4 * HOUR,
};

export const relayed: Outcome = {
  kind: 'relayed',
  reply: { code: 250, status: '2.0.0', text: 'Ok' },
  dsnPassedOn: false,
  mx: 'mx.example.org',
  ip: '127.0.0.2',
  seconds: 0.01,
};
export const delayed: Outcome = { kind: 'delayed', reply: { code: 450, status: '4.2.0', text: 'Greylisted' }, seconds: 0.01 };
export const failed: Outcome = {
  kind: 'failed',
  reply: { code: 550, status: '5.1.1', text: 'No such user' } as FinalReply,
  seconds: 0.01,
};
export const uncertain: Outcome = { kind: 'uncertain', reply: { code: 451, status: '4.4.2', text: 'lost' }, seconds: 1 };
export const returned: Outcome = { kind: 'returned', reply: { code: 451, status: '4.3.2', text: 'closing' }, seconds: 0 };

export function recipient(address: string, rest: Partial<NewRecipient> = {}): NewRecipient {
  return { address, destination: address.slice(address.lastIndexOf('@') + 1), ...rest };
}

export function message(recipients: readonly NewRecipient[], rest: Partial<NewMessage> = {}): NewMessage {
  const now = rest.acceptedAt ?? Date.now();
  const text = 'From: a@example.net\r\nSubject: s\r\n\r\nbody\r\n';
  return {
    id: newQueueId(Date.now()),
    user: 'a@example.net',
    reversePath: 'a@example.net',
    messageId: '<1@example.net>',
    size: text.length,
    acceptedAt: now,
    expiresAt: now + SCHEDULE.lifetime,
    body: '7BIT',
    needsSmtpUtf8: false,
    signatures: [],
    recipients,
    content: { kind: 'inline', bytes: new TextEncoder().encode(text) },
    ...rest,
  };
}

export type Event = { readonly event: string; readonly fields: LogFields };
export type Rig<S extends MessageStore = MessageStore> = {
  readonly queue: Queue;
  readonly store: S;
  readonly events: Event[];
  /** Destinations without room, with the end of their back-off. */
  readonly blocked: Map<string, number | undefined>;
  readonly claims: Claim[];
  of(event: string): Event[];
  /** Resolves once `count` such events were logged. */
  logged(event: string, count?: number): Promise<void>;
  free(destination: string): void;
};

type RigOptions = Partial<Omit<QueueOptions, 'store'>> & { limit?: number };

/** On the fake store, or one that is given. `deliver` by default relays everything at once. */
export function startRig(options?: RigOptions & { store?: MemoryStore }): Rig<MemoryStore>;
export function startRig(options: RigOptions & { store: MessageStore }): Rig;
export function startRig(options: RigOptions & { store?: MessageStore } = {}): Rig {
  const store = options.store ?? createMemoryStore();
  const events: Event[] = [];
  const emitter = new EventEmitter().setMaxListeners(0);
  const log = createEventLog(createLog({ level: 'debug', format: 'json', write: () => {} }), ({ event, fields }) => {
    events.push({ event, fields });
    emitter.emit('logged');
  });
  const blocked = new Map<string, number | undefined>();
  const running = new Map<string, number>();
  const claims: Claim[] = [];
  const listeners: ((destination: string) => void)[] = [];
  const deliver = options.deliver ?? (async (claim: Claim) => claim.recipients.map(() => relayed));
  const of = (event: string) => events.filter((e) => e.event === event);
  const room = (destination: string) => (blocked.has(destination) ? 0 : (options.limit ?? 20) - (running.get(destination) ?? 0));
  const queue = startQueue({
    log,
    owner: 'me',
    room,
    onRoom: (listener) => listeners.push(listener),
    blockedUntil: (destination) => blocked.get(destination),
    report: async () => [],
    summarize: async () => message([recipient('a@example.net')], { reversePath: '', user: null }),
    reportsPerHour: () => 100,
    schedule: SCHEDULE,
    random: () => 0.5,
    ...options,
    store,
    deliver: async (claim, signal) => {
      const { destination } = claim.recipients[0]!;
      claims.push(claim);
      running.set(destination, (running.get(destination) ?? 0) + 1);
      try {
        return await deliver(claim, signal);
      } finally {
        running.set(destination, running.get(destination)! - 1);
        if (room(destination) === 1) for (const listener of listeners) listener(destination);
      }
    },
  });
  return {
    ...{ queue, store, events, blocked, claims, of },
    async logged(event, count = 1) {
      const signal = AbortSignal.timeout(60_000);
      while (of(event).length < count) await once(emitter, 'logged', { signal });
    },
    free(destination) {
      blocked.delete(destination);
      for (const listener of listeners) listener(destination);
    },
  };
}

/** A promise and its resolver. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, open: resolve };
}
