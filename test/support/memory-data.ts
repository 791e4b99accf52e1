/** A whole Store that keeps everything in memory, for any number of clients of the same data. */

import { randomBytes } from 'node:crypto';
import type {
  Change,
  ChangeNote,
  Credential,
  CredentialStore,
  DkimKey,
  FailureCount,
  Lease,
  OperationStore,
  Pace,
  SeenCredential,
  Store,
  StoredCertificate,
  TlsPolicyStore,
  TracedRefusal,
  WhichDkimKey,
} from '../../src/store/store.ts';
import { systemClock } from '../../src/system/clock.ts';
import { led, ledParts } from './led.ts';
import { createMemoryActivity } from './memory-activity.ts';
import { createMemoryAlignment } from './memory-alignment.ts';
import { createMemoryAudit } from './memory-audit.ts';
import { createMemoryBehaviour } from './memory-behaviour.ts';
import { createMemoryConsole } from './memory-console.ts';
import { createMemoryFeedback } from './memory-feedback.ts';
import { createMemoryStore, type MemoryMessages, type MemoryStore, newMemoryMessages, type Tell } from './memory-store.ts';
import { createMemoryTlsPolicies } from './memory-tls-policies.ts';
import { createMemoryTlsResults } from './memory-tls-results.ts';

/** More destinations than this at once are told as all. */
const MOST_DESTINATIONS = 100;

export type MemoryData = {
  /** Another client of the data, which stands for another process. */
  client(): Store & { readonly messages: MemoryStore };
};

export function createMemoryData(): MemoryData {
  const shared = newMemoryMessages();
  const operation = new Operation();
  const policies = createMemoryTlsPolicies();
  const activity = createMemoryActivity();
  const behaviour = createMemoryBehaviour();
  const tlsResults = createMemoryTlsResults(createMemoryStore(shared, () => {}));
  const alignment = createMemoryAlignment();
  const feedback = createMemoryFeedback();
  const people = createMemoryConsole();
  const audit = createMemoryAudit(people.requests);
  const clients: ((changes: ReadonlySet<Change>) => void)[] = [];
  const failures = new Map<string, FailureCount>();
  return {
    client() {
      const listeners: ((changes: ReadonlySet<Change>) => void)[] = [];
      const hear = (changes: ReadonlySet<Change>) => {
        for (const listener of listeners) listener(changes);
      };
      clients.push(hear);
      const tell: Tell = (...changes) => {
        const told = bounded(new Set(changes));
        if (told.size === 0) return;
        hear(told);
        for (const other of clients) if (other !== hear) setImmediate(() => other(told));
      };
      const data = {
        messages: createMemoryStore(shared, tell),
        credentials: credentialStore(shared, failures, tell),
        operation: operationStore(operation, shared, tell),
        tlsPolicies: tlsPolicyStore(policies, tell),
        tlsResults,
        now: systemClock,
        activity,
        alignment,
        feedback,
        behaviour,
        suppression: shared.suppression.store(() => tell('suppression')),
        console: people.store(tell),
        audit: audit.store(tell),
        noted: (note: ChangeNote) => audit.noted(data, note, tell),
        underLease: (lease: Lease) => ledParts(data, operation.holder, lease),
        onChange: (listener: (changes: ReadonlySet<Change>) => void) => void listeners.push(listener),
        ping: async () => {},
        close: async () => {},
      };
      return data;
    },
  };
}

function bounded(changes: ReadonlySet<Change>): ReadonlySet<Change> {
  const rest = [...changes].filter((change) => !change.startsWith('queue:'));
  return changes.size - rest.length <= MOST_DESTINATIONS ? changes : new Set<Change>([...rest, 'queue:*']);
}

const keyOf = (name: string) => name.toLowerCase();

function credentialStore(
  { credentials, limits }: MemoryMessages,
  failures: Map<string, FailureCount>,
  tell: Tell,
): CredentialStore {
  const generation = () => randomBytes(9).toString('hex');
  const isAsSeen = (old: SeenCredential, seen: SeenCredential = old) =>
    old.generation === seen.generation && old.revision === seen.revision;
  return {
    get: async (name) => credentials.get(keyOf(name)),
    list: async () => [...credentials.keys()].sort().map((key) => credentials.get(key)!),
    async add(credential) {
      if (credentials.has(keyOf(credential.name))) return false;
      credentials.set(keyOf(credential.name), { ...credential, generation: generation(), revision: 0 });
      tell('credentials');
      return true;
    },
    async update(name, change, seen) {
      const old = credentials.get(keyOf(name));
      if (old === undefined || !isAsSeen(old, seen)) return false;
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const next: Credential = { ...old, ...given, revision: old.revision + 1 };
      credentials.set(keyOf(name), next.hash === old.hash ? next : { ...next, generation: generation() });
      tell('credentials', 'limits');
      return true;
    },
    async renewHash(name, from, to) {
      const old = credentials.get(keyOf(name));
      if (old?.hash !== from) return false;
      credentials.set(keyOf(name), { ...old, hash: to });
      return true;
    },
    async remove(name, seen) {
      const old = credentials.get(keyOf(name));
      if (old !== undefined && !isAsSeen(old, seen)) return false;
      limits.forget(name);
      const removed = credentials.delete(keyOf(name));
      tell('credentials', 'limits');
      return removed;
    },
    async putFailures(counts) {
      for (const count of counts) failures.set(count.key, count);
      return counts;
    },
    failures: async (now) => [...failures.values()].filter(({ dayEndsAt }) => dayEndsAt > now),
    forgetFailures: async (key) => void failures.delete(key),
  };
}

class Operation {
  keys: readonly DkimKey[] = [];
  readonly certificates = new Map<string, StoredCertificate>();
  readonly paces = new Map<string, Pace>();
  readonly values = new Map<string, string>();
  readonly leases = new Map<string, { readonly owner: string; readonly until: number }>();
  readonly holder = (name: string) => this.leases.get(name)?.owner;
}

function operationStore(
  data: Operation,
  { shaping, messages }: Pick<MemoryMessages, 'shaping' | 'messages'>,
  tell: Tell,
): OperationStore {
  const isNamed = (named: WhichDkimKey) => (key: DkimKey) =>
    key.domain === named.domain &&
    key.selector === named.selector &&
    key.createdAt === named.createdAt &&
    key.state === (named.state ?? key.state);
  return {
    dkimKeys: async (domain) => data.keys.filter((key) => domain === undefined || key.domain === domain),
    async addDkimKeys(keys) {
      const taken = ({ domain, selector }: DkimKey) =>
        data.keys.some((key) => key.domain === domain && key.selector === selector);
      if (keys.some(taken)) return false;
      data.keys = [...data.keys, ...keys];
      tell('keys');
      return true;
    },
    async setDkimKeyState(named, state) {
      const isThere = data.keys.some(isNamed(named));
      data.keys = data.keys.map((key) => (isNamed(named)(key) ? { ...key, state } : key));
      tell('keys');
      return isThere;
    },
    async removeDkimKey(named) {
      const isThere = data.keys.some(isNamed(named));
      data.keys = data.keys.filter((key) => !isNamed(named)(key));
      tell('keys');
      return isThere;
    },
    certificates: async () => [...data.certificates.values()],
    async putCertificate(certificate) {
      data.certificates.set(certificate.keyType, certificate);
      tell('certificates');
    },
    paces: async () => [...data.paces.values()],
    putPace: async (pace) => void data.paces.set(pace.key, pace),
    removePace: async (key) => void data.paces.delete(key),
    shaping: async () => shaping.all(),
    putShaping: async (row) => shaping.put(row),
    async refusals(since, limit) {
      const found = new Map<string, TracedRefusal>();
      for (const { at, mx, code, status, reply, judged: given } of [...messages.values()].flatMap(({ recipients }) =>
        recipients.flatMap(({ trace }) => trace),
      )) {
        if (at < since || code < 400) continue;
        const judged = given === undefined ? null : JSON.stringify(given);
        const key = JSON.stringify([mx, code, status, reply, judged]);
        found.set(key, { mx, code, status, reply, judged, count: (found.get(key)?.count ?? 0) + 1 });
      }
      return [...found.values()].sort((a, b) => b.count - a.count || (a.reply < b.reply ? -1 : 1)).slice(0, limit);
    },
    value: async (name) => data.values.get(name),
    async keepValue(name, value) {
      if (!data.values.has(name)) data.values.set(name, value);
      return data.values.get(name)!;
    },
    async setValue(name, value) {
      if (value === null) data.values.delete(name);
      else data.values.set(name, value);
      tell(`value:${name}`);
    },
    values: async (prefix) =>
      [...data.values].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => ({ name, value })),
    async takeLease(name, owner, until, now) {
      const held = data.leases.get(name);
      if (held !== undefined && held.until > now && held.owner !== owner) return false;
      if (until <= now) data.leases.delete(name);
      else data.leases.set(name, { owner, until });
      return true;
    },
    underLease: (lease) => led(operationStore(data, { messages, shaping }, tell), data.holder, lease),
  };
}

/** Tells what the others must forget. */
function tlsPolicyStore(policies: TlsPolicyStore, tell: Tell): TlsPolicyStore {
  return {
    ...policies,
    async putStsPolicy(policy, by) {
      await policies.putStsPolicy(policy, by);
      if (by === 'operator') tell('policies');
    },
    async forgetStsPolicy(domain) {
      const forgotten = await policies.forgetStsPolicy(domain);
      tell('policies');
      return forgotten;
    },
  };
}
