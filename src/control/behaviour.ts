/** Logins, and senders of mail servers, whose mail is held because of their behaviour. */
import { createHash, randomBytes } from 'node:crypto';
import { holdKey, loginKey, newOperatorStop, parseStop, type Stop, senderKey, stopName, TRUSTED_FOR } from '../policy/policy.ts';
import type { Credential, StoreData } from '../store/store.ts';
import { DAY, MINUTE } from '../system/clock.ts';
import { type HeldLogin, putTraits, readStops, stopShape, type TraitsChange, traitsOf } from './behaviour-view.ts';
import { ControlError, refuseFaults } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import { normalUserName } from './users.ts';

type Whose = {
  /** The envelope sender of a mail server; empty or `<>` for the null one. Absent: the login as a whole. */
  readonly sender?: string | undefined;
};

type ReleaseRequest = Whose & {
  /** Removes what is held. Otherwise it leaves, slowly at first. */
  readonly discard?: boolean | undefined;
  /** Milliseconds for which thresholds are higher by half. Default: 30 days, and none with `discard`. */
  readonly trust?: number | undefined;
};

/** `user release`. `discarded`: messages. `state` is `trusted` where nothing was held. */
export type ReleasedLogin = {
  readonly name: string;
  readonly sender: string | null;
  readonly state: 'releasing' | 'released' | 'trusted';
  readonly discarded: number;
  readonly trustedUntil: string | null;
};

/** Each function rejects with `not found` if there is no such user. */
export type BehaviourControl = {
  /** Rejects with `conflict` if nothing is held, and no trust is asked for. */
  release(name: string, request: ReleaseRequest): Promise<ReleasedLogin>;
  /** Keeps mail back. @param refuse takes no more of it: a mail server is put off, others are refused. */
  hold(name: string, request: Whose & { readonly refuse?: boolean | undefined }): Promise<HeldLogin>;
  /** What a one-time link would release; undefined: nothing (any more). */
  linked(token: string): Promise<{ readonly name: string; readonly sender: string | null } | undefined>;
  /** Releases by a one-time link. Undefined: it is used, too old or not ours. */
  releaseByLink(token: string): Promise<ReleasedLogin | undefined>;
  /** Only the given traits change; null: the default. */
  setTraits(name: string, change: TraitsChange): Promise<void>;
};

const PAGE = 1000;
const MOST_TRUST = 366 * DAY;

export function createBehaviourControl({ store, now, note }: Parts<unknown>): BehaviourControl {
  const { operation, messages, credentials } = store;

  async function existing(name: string): Promise<Credential> {
    const found = await credentials.get(await normalUserName(name));
    if (found === undefined) throw new ControlError('not found', 'user', `No credential named ${JSON.stringify(name)}.`);
    return found;
  }

  async function stopOf(whose: Pick<Stop, 'user' | 'sender'>): Promise<Stop | undefined> {
    const stored = await operation.value(stopName(whose));
    return stored === undefined ? undefined : parseStop(stored);
  }

  const keep = (stop: Stop, view: StoreData) => view.operation.setValue(stopName(stop), JSON.stringify(stop));
  const whoseOf = ({ name }: Credential, { sender }: Whose) => ({
    user: loginKey(name),
    sender: sender === undefined ? '' : senderKey(sender === '<>' ? '' : sender),
  });

  /** @returns how many messages were removed. */
  async function discard(user: string, stop: Stop, view: StoreData): Promise<number> {
    const key = holdKey(stop);
    let removed = 0;
    let after: string | undefined;
    do {
      const page = await messages.list({ user, limit: PAGE, ...(after === undefined ? {} : { after }) });
      const ids = page.filter(({ recipients }) => recipients.some(({ heldBy }) => heldBy === key)).map(({ id }) => id);
      if (ids.length > 0) await view.messages.remove({ ids }, now());
      removed += ids.length;
      after = page.length < PAGE ? undefined : page.at(-1)!.id;
    } while (after !== undefined);
    return removed;
  }

  async function release(credential: Credential, stop: Stop, request: ReleaseRequest): Promise<ReleasedLogin> {
    const { trust = request.discard ? 0 : TRUSTED_FOR } = request;
    const trustUntil = trust > 0 ? now() + trust : undefined;
    const state = request.discard ? 'released' : 'releasing';
    const after = stopSummary({ ...stop, state }, trustUntil);
    const gives = request.discard ? undefined : releasedShape(credential, stop, { state, discarded: 0, trustUntil });
    const view = note({ action: 'user.release', target: credential.name, before: stopSummary(stop), after, gives });
    const discarded = request.discard ? await discard(credential.name, stop, view) : 0;
    const { link: _, linkUntil: __, trustUntil: ___, ...rest } = stop;
    await keep({ ...rest, state, releasedAt: now(), ...(trustUntil === undefined ? {} : { trustUntil }) }, view);
    return releasedShape(credential, stop, { state, discarded, trustUntil });
  }

  /** Names the senders of which something is held. */
  async function nothingHeld({ name }: Credential, sender: string): Promise<ControlError> {
    const others = (await readStops(store)).filter(({ user, state }) => user === loginKey(name) && state !== 'released');
    const whose = others.map((stop) => (stop.sender === '' ? 'the login as a whole' : stop.sender)).join(', ');
    const hint = others.length === 0 ? '' : ` Held is: ${whose} (--sender).`;
    return new ControlError('conflict', 'user', `Nothing of ${nameOf(name, sender)} is held.${hint}`);
  }

  async function linkedStop(token: string): Promise<Stop | undefined> {
    const hash = createHash('sha256').update(token).digest('hex');
    const stop = (await readStops(store)).find(({ link }) => link === hash);
    return stop?.state === 'held' && (stop.linkUntil ?? 0) > now() ? stop : undefined;
  }

  return {
    async release(name, request) {
      if ((request.trust ?? 0) > MOST_TRUST) refuseFaults([{ at: 'trust', message: `is at most ${MOST_TRUST / DAY} days` }]);
      const credential = await existing(name);
      const whose = whoseOf(credential, request);
      const stop = await stopOf(whose);
      if (stop !== undefined && stop.state !== 'released') return release(credential, stop, request);
      if (request.trust === undefined || request.discard) throw await nothingHeld(credential, whose.sender);
      const trustUntil = now() + request.trust;
      const { profile } = await traitsOf(store, credential);
      const none = newOperatorStop({ ...whose, profile }, { id: newId(), state: 'released', since: 0 });
      const after = stopSummary({ ...whose, state: 'trusted' }, trustUntil);
      const gives = releasedShape(credential, none, { state: 'trusted', discarded: 0, trustUntil });
      await keep({ ...(stop ?? none), trustUntil }, note({ action: 'user.release', target: credential.name, after, gives }));
      return gives;
    },
    async hold(name, request) {
      const credential = await existing(name);
      const whose = whoseOf(credential, request);
      const known = await stopOf(whose);
      const { profile } = await traitsOf(store, credential);
      const state = request.refuse ? 'refused' : 'held';
      const fresh = () => newOperatorStop({ ...whose, profile }, { id: newId(), state, since: now() });
      const isStopped = known !== undefined && (known.state === 'held' || known.state === 'refused');
      const stop: Stop = isStopped ? { ...known, state } : fresh();
      const before = known && stopSummary(known);
      const waiting = (await messages.heldByProvider()).find(({ provider }) => provider === holdKey(stop));
      const held = stopShape(stop, waiting?.recipients ?? 0);
      await keep(stop, note({ action: 'user.hold', target: credential.name, before, after: stopSummary(stop), gives: held }));
      return held;
    },
    async linked(token) {
      const stop = await linkedStop(token);
      return stop && { name: stop.user, sender: stop.sender === '' ? null : stop.sender };
    },
    async releaseByLink(token) {
      const stop = await linkedStop(token);
      if (stop === undefined) return undefined;
      // Of two requests at the same time one releases.
      const lease = { name: `release.${stop.link}`, owner: newId(), until: now() + MINUTE };
      if (!(await operation.takeLease(lease.name, lease.owner, lease.until, now()))) return undefined;
      return release(await existing(stop.user), stop, {});
    },
    async setTraits(name, change) {
      await putTraits({ store, note }, (await existing(name)).name, change);
    },
  };
}

/** What `changes` shows of a stop. */
function stopSummary({ sender, state }: { readonly sender: string; readonly state: string }, trustUntil?: number) {
  return { sender: sender === '' ? null : sender, state, ...(trustUntil === undefined ? {} : { trustedUntil: iso(trustUntil) }) };
}

const newId = () => randomBytes(12).toString('hex');

function nameOf(user: string, sender: string): string {
  return sender === '' ? user : `${sender} at ${user}`;
}

type Released = Pick<ReleasedLogin, 'state' | 'discarded'> & { readonly trustUntil: number | undefined };

function releasedShape({ name }: Credential, { sender }: Stop, { state, discarded, trustUntil }: Released): ReleasedLogin {
  return { name, sender: sender === '' ? null : sender, state, discarded, trustedUntil: iso(trustUntil ?? null) };
}
