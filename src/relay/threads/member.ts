/** One thread of sessions, as the main thread sees it: what it has of the things that are one for the machine, and gives back when it ends. */
import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Misaligned, SenderVerdicts } from '../../alignment/alignment.ts';
import type { CourierOptions, Pacing, Places } from '../../delivery/delivery.ts';
import type { EventLog, RelayEvent } from '../../events/events.ts';
import type { Quota, QuotaUser } from '../../policy/policy.ts';
import type { Queue } from '../../queue/queue.ts';
import type { LimitUse } from '../../smtp/limit.ts';
import type { Content } from '../../store/store.ts';
import type { Guard, HandedCaller } from '../../submission/submission.ts';
import { ThreadPeer, Transferred } from './peer.ts';
import type { MainServices, SentContent, SentEntrant, SentRequest, ThreadServices } from './protocol.ts';
import { sentContent, transferOf } from './remote.ts';
import { QUIET } from './silence.ts';

type Seat = NonNullable<HandedCaller['place']>;
type LookUp = ReturnType<Places['lookUp']>;
type Slot = Extract<Awaited<ReturnType<Places['slots']['take']>>, { readonly hosts: string }>;
type Granted = Extract<Awaited<ReturnType<Pacing['enter']>>, { readonly number: number }>;

/** Places, and what is told of the sessions that are kept for the next message. */
export type PacedPlaces = Pick<Pacing, keyof Places | 'noteIdle' | 'hasRoom'>;

/** What is one for the machine. */
export type Machine = {
  readonly log: EventLog;
  readonly write: (lines: string) => void;
  readonly observe: (event: RelayEvent) => void;
  readonly sts: NonNullable<CourierOptions['sts']>;
  readonly results: NonNullable<CourierOptions['results']>;
  readonly senders: Pick<SenderVerdicts, 'fresh'>;
  readonly validatesNow: () => Promise<boolean>;
  readonly places: () => PacedPlaces;
  readonly guard: () => Guard;
  readonly queue: () => Pick<Queue, 'add'>;
  readonly notifyLimit: (user: QuotaUser, use: LimitUse, percent: 80 | 100) => void;
  readonly tellMisaligned: (problem: Misaligned) => void;
};

/** What a thread tells that concerns the others. */
type Neighbours = {
  readonly ready: () => void;
  readonly noteUse: (from: Member, use: Parameters<Quota['noteUse']>) => void;
  /** The host set of a destination. */
  readonly learn: (destination: string, hosts: string) => void;
};

export class Member {
  readonly thread: number;
  readonly peer: ThreadPeer<ThreadServices>;
  readonly #machine: Machine;
  readonly #neighbours: Neighbours;
  readonly #seats = new Map<number, Seat>();
  /** Clients that wait for a place. */
  readonly #outside = new Map<number, EventEmitter>();
  readonly #lookUps = new Map<number, LookUp>();
  readonly #entering = new Map<number, AbortController>();
  readonly #granted = new Map<number, Granted>();
  readonly #slots = new Map<number, Slot>();
  readonly #idle = new Map<string, number>();
  readonly #leaving = new Map<string, number>();
  #lastSeat = 0;
  #ended = false;
  /** Attempts under way. */
  attempts = 0;
  /** Questions in a row that it has not answered. */
  unanswered = 0;

  constructor(thread: number, worker: Worker, machine: Machine, neighbours: Neighbours) {
    this.thread = thread;
    this.#machine = machine;
    this.#neighbours = neighbours;
    this.peer = new ThreadPeer(worker, (error) => machine.log.emit('threadTrouble', { thread, error }));
    this.peer.serve(this.#services());
    worker.once('exit', () => this.#giveSlots());
  }

  get sessions(): number {
    return this.#seats.size;
  }

  /** It has not answered for some ticks. */
  get isQuiet(): boolean {
    return this.unanswered > QUIET;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sessions with these hosts, or with all, that wait for another message. */
  idle(hosts?: string): number {
    if (hosts !== undefined) return this.#idle.get(hosts) ?? 0;
    let sum = 0;
    for (const count of this.#idle.values()) sum += count;
    return sum;
  }

  /** The same, and those that are being closed and cannot be used any more. */
  waiting(hosts: string): number {
    return this.idle(hosts) + (this.#leaving.get(hosts) ?? 0);
  }

  /** @returns the number by which the thread names the place. */
  seat(place: Seat): number {
    const number = ++this.#lastSeat;
    this.#seats.set(number, place);
    return number;
  }

  unseat(number: number): void {
    const place = this.#seats.get(number);
    this.#seats.delete(number);
    place?.leave();
  }

  /** The thread has ended: nothing of it is taken any more. */
  release(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const number of [...this.#seats.keys()]) this.unseat(number);
    for (const client of this.#outside.values()) client.emit('close');
    for (const ending of this.#entering.values()) ending.abort();
    const { places } = this.#machine; // not there before delivery has started, when there is nothing to give back
    for (const lookUp of this.#lookUps.values()) places().lookedUp(lookUp);
    for (const place of this.#granted.values()) places().leave(place, 'none', '');
    for (const isLeaving of [false, true])
      for (const [hosts, count] of [...(isLeaving ? this.#leaving : this.#idle)])
        for (let i = 0; i < count; i++) this.#countIdle(hosts, -1, isLeaving);
    this.peer.end(new Error('The thread has ended'));
  }

  #services(): MainServices {
    const { write, observe, sts, results, senders, guard, places, notifyLimit, tellMisaligned, validatesNow } = this.#machine;
    return {
      ready: () => this.#neighbours.ready(),
      pong: () => {
        this.unanswered = 0;
      },
      admit: (...asked) => this.#admit(...asked),
      gone: (number) => void this.#outside.get(number)?.emit('close'),
      loggedIn: (number) => this.#seats.get(number)?.loggedIn(),
      left: (number) => this.unseat(number),
      nextHandshake: async (client) => guard().nextHandshake(client),
      repayHandshake: (client) => guard().repayHandshake(client),
      verify: (login, caller) => guard().verify(login, caller),
      recordFailure: (ip, name) => guard().recordFailure(ip, name),
      add: (request) => this.#add(request),
      noteUse: (...use) => this.#neighbours.noteUse(this, use),
      notifyLimit,
      senderVerdict: (sender) => senders.fresh(sender),
      tellMisaligned,
      lookUp: (number, destination) => void this.#lookUps.set(number, places().lookUp(destination)),
      lookedUp: (number) => this.#lookedUp(number),
      enter: (number, entrant) => this.#enter(number, entrant),
      makeRoom: async (number) => {
        const place = this.#granted.get(number);
        if (place !== undefined) await places().makeRoom(place);
      },
      leaveLine: (number) => this.#entering.get(number)?.abort(),
      leave: (number, effect, reason, heard) => {
        const place = this.#granted.get(number);
        this.#granted.delete(number);
        if (place !== undefined) places().leave(place, effect, reason, heard);
      },
      takeSlot: (...asked) => this.#takeSlot(...asked),
      giveSlot: (number) => this.#giveSlots([number]),
      idle: (...change) => this.#countIdle(...change),
      validatesNow,
      policyFor: (domain) => sts.policyFor(domain),
      heal: (domain, failed) => sts.heal(domain, failed),
      countSession: (result) => results.count(result),
      log: write,
      observe,
    };
  }

  async #admit(...[number, caller]: Parameters<MainServices['admit']>): ReturnType<MainServices['admit']> {
    const client = new EventEmitter();
    const waiting = this.#machine.guard().admit(caller, client);
    this.#outside.set(number, client);
    const entry = await waiting;
    this.#outside.delete(number);
    if (typeof entry === 'string') return entry;
    const seat = this.seat(entry);
    if (this.#ended) this.unseat(seat);
    return seat;
  }

  async #add({ message, discard, ...judged }: SentRequest): ReturnType<MainServices['add']> {
    const result = await this.#machine.queue().add({
      ...judged,
      message: { ...message, content: received(message.content) },
      discard: () => this.peer.call('discard', [discard]).catch(() => {}), // the next start removes what a thread leaves
    });
    if (!('denied' in result)) return result;
    const content = sentContent(result.content);
    return new Transferred({ ...result, content }, transferOf(content));
  }

  /** An attempt enters in the same message, or never. */
  #lookedUp(number: number): void {
    const lookUp = this.#lookUps.get(number);
    if (lookUp === undefined) return;
    this.#machine.places().lookedUp(lookUp);
    queueMicrotask(() => this.#lookUps.delete(number));
  }

  async #enter(number: number, { lookUp, destination, ...entrant }: SentEntrant): ReturnType<MainServices['enter']> {
    const places = this.#machine.places();
    const ending = new AbortController();
    this.#entering.set(number, ending);
    this.#neighbours.learn(destination, entrant.key);
    let place: Awaited<ReturnType<Pacing['enter']>>;
    try {
      place = await places.enter({
        ...{ ...entrant, home: this.thread, signal: ending.signal },
        lookUp: this.#lookUps.get(lookUp) ?? { destination, ways: -1 },
      });
    } finally {
      this.#entering.delete(number);
    }
    if ('verdict' in place) return place;
    const { permit } = place;
    const granted = { hasRoom: places.hasRoom(place), ...(permit === undefined ? {} : { permit }) };
    if (this.#ended) {
      places.leave(place, 'none', '');
      return granted;
    }
    this.#granted.set(number, place);
    return granted;
  }

  async #takeSlot(number: number, hosts: string, insists: boolean): ReturnType<MainServices['takeSlot']> {
    const { slots } = this.#machine.places();
    const ending = new AbortController();
    this.#entering.set(number, ending);
    const outcome = await slots.take(hosts, { signal: ending.signal, insists });
    this.#entering.delete(number);
    if (outcome === 'kept' || 'verdict' in outcome) return outcome;
    if (this.#ended) slots.give(outcome);
    else this.#slots.set(number, outcome);
    return 'taken';
  }

  /** The connections of a thread that has ended are closed when it is gone. */
  #giveSlots(numbers: Iterable<number> = this.#slots.keys()): void {
    for (const number of [...numbers]) {
      const slot = this.#slots.get(number);
      this.#slots.delete(number);
      if (slot !== undefined) this.#machine.places().slots.give(slot);
    }
  }

  #countIdle(hosts: string, change: 1 | -1, isLeaving: boolean): void {
    const counts = isLeaving ? this.#leaving : this.#idle;
    const count = (counts.get(hosts) ?? 0) + change;
    if (count > 0) counts.set(hosts, count);
    else counts.delete(hosts);
    this.#machine.places().noteIdle(hosts, change, isLeaving);
  }
}

/** The main thread stores a spooled body, and does not read it. */
function received(content: SentContent): Content {
  if (content.kind === 'inline') return content;
  const read = () => {
    throw new Error('Only a thread of sessions reads this body');
  };
  return { ...content, spool: { ...content.spool, read } };
}
