/** What a thread uses of the main thread, in the form that sessions and attempts know: guard, queue, places. */
import type { KnownVerdict, SenderIdentity, SenderVerdicts } from '../../alignment/alignment.ts';
import type { CourierOptions, Place, Places } from '../../delivery/delivery.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Claim, Content, MessageStore, Spool } from '../../store/store.ts';
import type { Guard } from '../../submission/submission.ts';
import { onAbort } from '../../system/abort.ts';
import { createCache } from '../../system/cache.ts';
import { MINUTE, SECOND } from '../../system/clock.ts';
import type { ThreadPeer } from './peer.ts';
import type { MainServices, SentClaim, SentContent } from './protocol.ts';

type Main = ThreadPeer<MainServices>;

export function createRemoteGuard(main: Main, crowded: () => boolean): Guard {
  let last = 0;
  return {
    get crowded() {
      return crowded();
    },
    async admit(caller, socket) {
      const number = ++last;
      const gone = () => main.tell('gone', [number]);
      socket.once('close', gone);
      const entry = await main.call('admit', [number, caller]).finally(() => socket.off('close', gone));
      return typeof entry === 'number' ? placeAt(main, entry) : entry;
    },
    nextHandshake: (client) => main.call('nextHandshake', [client]),
    repayHandshake: (client) => main.tellLater('repayHandshake', [client]),
    verify: (login, caller) =>
      main
        .call('verify', [{ name: login.name, password: login.password }, caller])
        .catch((cause: unknown) => ({ result: 'unavailable', cause })),
    recordFailure: (ip, name) => main.call('recordFailure', [ip, name]).catch(() => 0),
  };
}

/** The place of a session, which the main thread counts. */
export function placeAt(main: Main, place: number) {
  return { loggedIn: () => main.tellLater('loggedIn', [place]), leave: () => main.tellLater('left', [place]) };
}

/** Adds messages to the queue of the main thread. The memory of a body goes there and comes back. */
export function createAdder(main: Main): Pick<Queue, 'add'> & { discard(number: number): Promise<void> } {
  /** Bodies that may have to be removed. */
  const discards = new Map<number, () => Promise<void>>();
  let last = 0;
  return {
    async add({ message, limits, grant, submitter, discard = async () => {} }) {
      const number = ++last;
      const { content } = message;
      discards.set(number, discard);
      const sent = {
        ...{ message: { ...message, content: sentContent(content) }, discard: number },
        ...(limits === undefined ? {} : { limits }),
        ...(grant === undefined ? {} : { grant }),
        ...(submitter === undefined ? {} : { submitter }),
      };
      const result = await main.call('add', [sent], transferOf(content));
      discards.delete(number); // else the main thread asks for it, when it knows that the store has nothing of the message
      return 'denied' in result
        ? { ...result, content: content.kind === 'spooled' ? content : (result.content as Content) }
        : result;
    },
    async discard(number) {
      const discard = discards.get(number);
      discards.delete(number);
      await discard?.();
    },
  };
}

export function sentContent(content: Content): SentContent {
  if (content.kind === 'inline') return { kind: 'inline', bytes: content.bytes };
  const { name, size, verify }: Spool & { readonly verify?: number } = content.spool;
  return { kind: 'spooled', prefix: content.prefix, spool: { name, size, ...(verify === undefined ? {} : { verify }) } };
}

/** The memory that crosses without a copy: all of an inline body that has its memory to itself. */
export function transferOf(content: SentContent | Content | 'spooled'): ArrayBuffer[] {
  if (content === 'spooled' || content.kind === 'spooled') return [];
  const { bytes } = content;
  return bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer] : [];
}

/** A claim as a courier wants it. A spooled body is read from the store. */
export async function receivedClaim({ content, ...claim }: SentClaim, messages: Pick<MessageStore, 'content'>): Promise<Claim> {
  if (content !== 'spooled') return { ...claim, content };
  const found = await messages.content(claim.message.id);
  if (found === undefined) throw new Error('The body of the message is not there');
  return { ...claim, content: found };
}

/** Senders whose verdicts a thread remembers, and for how long. Then it asks again, so that the main thread knows that they are in use. */
const MOST_SENDERS = 1000;
const REMEMBERED = MINUTE;

/** Verdicts about senders, which the main thread has. */
export function createRemoteVerdicts(main: Main): Pick<SenderVerdicts, 'look' | 'fresh'> {
  const known = createCache<string, KnownVerdict>(MOST_SENDERS, REMEMBERED);
  const asked = new Map<string, Promise<KnownVerdict | undefined>>();
  const keyOf = ({ domain, envelope, signatures }: SenderIdentity) => `${domain} ${envelope} ${signatures}`;
  return {
    look: (sender) => known.get(keyOf(sender)),
    fresh(sender) {
      const key = keyOf(sender);
      const running = asked.get(key);
      if (running !== undefined) return running;
      const asking = main
        .call('senderVerdict', [sender])
        .then((verdict) => {
          if (verdict !== undefined) known.set(key, verdict);
          return verdict;
        })
        .catch(() => undefined) // the thread ends
        .finally(() => asked.delete(key));
      asked.set(key, asking);
      return asking;
    },
  };
}

type Policies = NonNullable<CourierOptions['sts']>;
/** Domains without a policy that a thread remembers, and for how long: a policy that was found just now may hold so much later. */
const MOST_DOMAINS = 10_000;
const WITHOUT = 10 * SECOND;

/** Policies of MTA-STS, which the main thread has. Most domains have none, so that each attempt would ask it for nothing. */
export function createRemotePolicies(main: Pick<Main, 'call'>): Policies {
  /** Until when, by `performance.now()`. */
  const without = createCache<string, number>(MOST_DOMAINS);
  return {
    async policyFor(domain) {
      if ((without.get(domain) ?? 0) > performance.now()) return {};
      const known = await main.call('policyFor', [domain]);
      if (Object.keys(known).length === 0) without.set(domain, performance.now() + WITHOUT);
      return known;
    },
    heal(domain, failed) {
      without.delete(domain);
      return main.call('heal', failed === undefined ? [domain] : [domain, failed]);
    },
  };
}

/** The places of destinations, which the main thread has. */
export function createPlaces(main: Main): Places {
  let last = 0;
  /** Places whose first session fits under the limit of the hosts: this was known with the place. */
  const firstFits = new WeakSet<Place>();
  return {
    lookUp(destination) {
      const number = ++last;
      main.tell('lookUp', [number, destination]);
      return { destination, ways: number };
    },
    lookedUp: ({ ways: number }) => main.tell('lookedUp', [number]),
    async enter({ lookUp, signal, ...entrant }) {
      const number = ++last;
      const entering = main.call('enter', [number, { ...entrant, lookUp: lookUp.ways, destination: lookUp.destination }]);
      const leaveLine = () => main.tell('leaveLine', [number]);
      const forget = onAbort(signal, leaveLine);
      if (signal.aborted) leaveLine();
      const answer = await entering.finally(forget);
      if ('verdict' in answer) return answer;
      const { hasRoom, ...granted } = answer;
      const place: Place = { number, ...granted };
      if (hasRoom) firstFits.add(place);
      return place;
    },
    async makeRoom(place) {
      if (firstFits.delete(place)) return;
      await main.call('makeRoom', [place.number]);
    },
    leave: ({ number }, effect, reason, heard) => main.tell('leave', [number, effect, reason, heard]),
    slots: createRemoteSlots(main, () => ++last),
  };
}

function createRemoteSlots(main: Main, nextNumber: () => number): Places['slots'] {
  const numbers = new WeakMap<object, number>();
  return {
    async take(hosts, { signal, insists }) {
      const number = nextNumber();
      const taking = main.call('takeSlot', [number, hosts, insists]);
      const leaveLine = () => main.tell('leaveLine', [number]);
      const forget = onAbort(signal, leaveLine);
      if (signal.aborted) leaveLine();
      const outcome = await taking.finally(forget);
      if (outcome !== 'taken') return outcome;
      const slot = { hosts };
      numbers.set(slot, number);
      return slot;
    },
    give: (slot) => main.tell('giveSlot', [numbers.get(slot)!]),
  };
}
