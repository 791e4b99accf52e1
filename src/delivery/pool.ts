/** Sessions that wait for another message: a connection that is kept costs a tenth of a new one. RFC 5321 §3.3, RFC 3207. */
import { type Clock, SECOND } from '../system/clock.ts';
import { type DeliverySession, isUsable, type Target } from './session.ts';

/** The sessions of attempts that go by the same options. */
export type Kept = {
  /** The session to this target that was used last; it may be dead without our knowing. */
  take(target: Target): DeliverySession | undefined;
  /**
   * Keeps a session, or leaves it where it is worn out or broken, or was opened under options that hold no more.
   * @param hosts the key of the host set that it was opened for.
   */
  give(session: DeliverySession, hosts: string): void;
};

export type Pool = {
  /** For attempts that begin from now on, until `clear`. */
  begin(): Kept;
  /** Leaves all sessions; after that none is kept. Resolves when the hosts have been told. */
  close(): Promise<void>;
  /** Leaves what waits now, and what is in use as soon as it is given back: targets or policies have changed. */
  clear(): void;
  /** Leaves old ones until no more than `count` wait. */
  trim(count: number): void;
  /** Leaves the oldest one of a host set. Resolves when it, or one that was being left, is closed, or there is none. Never rejects. */
  drop(hosts: string): Promise<void>;
};

/** Told how many sessions of a host set wait, or are being left: one more or one less. A session that is left counts until it is closed. */
export type OnIdle = (hosts: string, change: 1 | -1, isLeaving: boolean) => void;

const MAX_IDLE = 10 * SECOND;

type Idle = { readonly session: DeliverySession; readonly since: number; readonly hosts: string };

export function createPool(now: Clock, onIdle: OnIdle = () => {}): Pool {
  const idle = new Map<string, Idle[]>();
  /** Each with its host set. */
  const leaving = new Map<Promise<void>, string>();
  let sweeping: NodeJS.Timeout | undefined;
  let closed = false;
  /** Counts what `clear` has ended. */
  let era = 0;
  let size = 0;

  function leave({ connection }: DeliverySession, hosts: string): Promise<void> {
    connection.onIdleEnd = undefined;
    if (connection.failure !== undefined) return Promise.resolve();
    onIdle(hosts, 1, true);
    const left = connection.quit().finally(() => {
      leaving.delete(left);
      onIdle(hosts, -1, true);
    });
    leaving.set(left, hosts);
    return left;
  }

  async function leaveIdle({ session, hosts }: Idle): Promise<void> {
    size--;
    const left = leave(session, hosts);
    onIdle(hosts, -1, false);
    await left;
  }

  /** The oldest come first in each list. */
  function sweep(before: number): void {
    for (const [key, list] of idle) {
      while (list.length > 0 && list[0]!.since <= before) void leaveIdle(list.shift()!);
      if (list.length === 0) idle.delete(key);
    }
    if (idle.size > 0 || sweeping === undefined) return;
    clearInterval(sweeping);
    sweeping = undefined;
  }

  function forget(key: string, session: DeliverySession): void {
    const list = idle.get(key) ?? [];
    const rest = list.filter((entry) => entry.session !== session);
    size -= list.length - rest.length;
    for (const entry of list) if (entry.session === session) onIdle(entry.hosts, -1, false);
    if (rest.length > 0) idle.set(key, rest);
    else idle.delete(key);
  }

  function take(target: Target): DeliverySession | undefined {
    const key = keyOf(target);
    const list = idle.get(key);
    const entry = list?.pop();
    if (list?.length === 0) idle.delete(key);
    if (entry === undefined) return undefined;
    const { session, hosts } = entry;
    size--;
    onIdle(hosts, -1, false);
    session.connection.onIdleEnd = undefined;
    return session;
  }

  function give(session: DeliverySession, hosts: string): void {
    const { connection, target, standing } = session;
    // In clear for want of working TLS: the next message may find it working.
    if (closed || !isUsable(session) || standing.tls === 'failed') {
      void leave(session, hosts);
      return;
    }
    const key = keyOf(target);
    connection.onIdleEnd = () => forget(key, session);
    const list = idle.get(key);
    const entry = { session, since: now(), hosts };
    size++;
    onIdle(hosts, 1, false);
    if (list === undefined) idle.set(key, [entry]);
    else list.push(entry);
    sweeping ??= setInterval(() => sweep(now() - MAX_IDLE), SECOND).unref();
  }

  return {
    begin() {
      const mine = era;
      return {
        take: (target) => (mine === era ? take(target) : undefined),
        give: (session, hosts) => (mine === era ? give(session, hosts) : void leave(session, hosts)),
      };
    },
    clear() {
      era++;
      sweep(Number.POSITIVE_INFINITY);
    },
    trim(count) {
      // Those that were used first come first in the map, by and large.
      for (const [key, list] of idle) {
        if (size <= count) return;
        while (list.length > 0 && size > count) void leaveIdle(list.shift()!);
        if (list.length === 0) idle.delete(key);
      }
    },
    async drop(hosts) {
      for (const [key, list] of idle) {
        const at = list.findIndex((entry) => entry.hosts === hosts);
        if (at < 0) continue;
        const [entry] = list.splice(at, 1);
        if (list.length === 0) idle.delete(key);
        await leaveIdle(entry!).catch(() => {});
        return;
      }
      // One that is being left makes room too.
      const closing = [...leaving].flatMap(([left, of]) => (of === hosts ? [left] : []));
      if (closing.length > 0) await Promise.race(closing).catch(() => {});
    },
    async close() {
      closed = true;
      sweep(Number.POSITIVE_INFINITY);
      await Promise.all(leaving.keys());
    },
  };
}

/** Sessions are alike only in all of this: none serves a target that demands more of TLS, or something else. */
function keyOf({ mx, ip, port, source, tls, login }: Target): string {
  // the password too: after it was changed, no session may go on under the old one
  const as = login === undefined ? '' : JSON.stringify([login.user, login.password]);
  return `${ip} ${port} ${mx} ${tls.key} ${source ?? ''} ${as}`;
}
