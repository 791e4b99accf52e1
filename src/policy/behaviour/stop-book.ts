/** All stops, in memory and in the store: each relay with this store obeys them. */
import { randomBytes } from 'node:crypto';
import type { OperationStore } from '../../store/store.ts';
import { type Clock, MINUTE } from '../../system/clock.ts';
import {
  isOver,
  loginKey,
  parseStop,
  parseTraits,
  STOP_PREFIX,
  type Stop,
  stopName,
  TRAITS_PREFIX,
  type UserTraits,
} from './stop.ts';

type Operation = Pick<OperationStore, 'value' | 'setValue' | 'values' | 'takeLease' | 'underLease'>;
const STRICTNESS: readonly Stop['state'][] = ['released', 'releasing', 'held', 'refused'];
const NO_TRAITS: UserTraits = {};
const keyOf = (user: string, sender: string) => (sender === '' ? user : `${user} ${sender}`);

export class StopBook {
  readonly #operation: Operation;
  readonly #now: Clock;
  readonly #owner = randomBytes(8).toString('hex');
  #stops = new Map<string, Stop>();
  #traits = new Map<string, UserTraits>();
  /** They are obeyed before they are stored. */
  readonly #beginning = new Map<string, Stop>();

  constructor(operation: Operation, now: Clock) {
    this.#operation = operation;
    this.#now = now;
  }

  /** Reads the store again. Rejects when it fails; what was known stays. */
  async load(): Promise<void> {
    const [stops, traits] = await Promise.all([this.#operation.values(STOP_PREFIX), this.#operation.values(TRAITS_PREFIX)]);
    const found = stops.flatMap(({ value }) => parseStop(value) ?? []);
    this.#stops = new Map(found.map((stop) => [keyOf(stop.user, stop.sender), stop]));
    this.#traits = new Map(
      traits.map(({ name, value }) => [decodeURIComponent(name.slice(TRAITS_PREFIX.length)), parseTraits(value) ?? {}]),
    );
  }

  get isEmpty(): boolean {
    return this.#stops.size === 0 && this.#beginning.size === 0;
  }

  get(user: string, sender = ''): Stop | undefined {
    const key = keyOf(user, sender);
    return this.#beginning.get(key) ?? this.#stops.get(key);
  }

  /** What concerns a message of this login: a stop of the sender or of the whole login, the stricter one. */
  of(user: string, sender: string): Stop | undefined {
    if (this.isEmpty) return undefined;
    const ofSender = this.get(user, sender);
    const ofLogin = this.get(user);
    if (ofSender === undefined || ofLogin === undefined) return ofSender ?? ofLogin;
    return STRICTNESS.indexOf(ofLogin.state) > STRICTNESS.indexOf(ofSender.state) ? ofLogin : ofSender;
  }

  traits(user: string): UserTraits {
    return (this.#traits.size === 0 ? undefined : this.#traits.get(loginKey(user))) ?? NO_TRAITS;
  }

  isTrusted(user: string, sender: string): boolean {
    if (this.isEmpty) return false;
    const until = Math.max(this.get(user)?.trustUntil ?? 0, this.get(user, sender)?.trustUntil ?? 0);
    return until > this.#now();
  }

  all(): readonly Stop[] {
    return [...this.#stops.values(), ...this.#beginning.values()];
  }

  /**
   * Obeys the stop at once, and stores it, unless another relay has stopped the same. Rejects when the store fails. Until it is stored, it
   * is in `unstored`.
   * @returns whether it was stored now.
   */
  async begin(stop: Stop): Promise<boolean> {
    const key = keyOf(stop.user, stop.sender);
    this.#beginning.set(key, stop);
    const name = stopName(stop);
    if (!(await this.#operation.takeLease(name, this.#owner, this.#now() + MINUTE, this.#now()))) return false;
    const stored = await this.#operation.value(name);
    const known = stored === undefined ? undefined : parseStop(stored);
    const isStopped = known !== undefined && (known.state === 'held' || known.state === 'refused');
    const led = this.#operation.underLease({ name, owner: this.#owner });
    if (!isStopped) await led.setValue(name, JSON.stringify(stop));
    await this.load();
    this.#beginning.delete(key);
    return !isStopped;
  }

  unstored(): readonly Stop[] {
    return [...this.#beginning.values()];
  }

  /**
   * Replaces a stop that is stored. Does nothing if another one, or none, is stored now.
   * @param led by which the change is stored, where it is part of the work of a lease.
   */
  async change(stop: Stop, change: Partial<Stop>, led: Pick<OperationStore, 'setValue'> = this.#operation): Promise<void> {
    const name = stopName(stop);
    const stored = await this.#operation.value(name);
    const known = stored === undefined ? undefined : parseStop(stored);
    if (known?.id !== stop.id || known.state !== stop.state) return;
    await led.setValue(name, JSON.stringify({ ...known, ...change }));
    await this.load();
  }

  /** Removes what has no effect any more. */
  async trim(): Promise<void> {
    for (const stop of this.#stops.values()) if (isOver(stop, this.#now())) await this.#operation.setValue(stopName(stop), null);
  }
}
