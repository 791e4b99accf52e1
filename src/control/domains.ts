/** Domains whose mail is signed with DKIM, and the DNS records that go with their keys. RFC 6376. */
import { parseDomain } from '../config/config.ts';
import type { Dns } from '../dns/dns.ts';
import type { DkimKey, MessageStore } from '../store/store.ts';
import { ControlError, type Fault, refuseFaults } from './control-error.ts';
import type { DomainCheckSettings, DomainLook } from './domain-check.ts';
import type { Parts } from './parts.ts';
import { type KeyRecord, keyShape, type SigningDomain, type SigningKey } from './shapes.ts';

/** `published` says whether the DNS has the record of the key. */
type PublishedKey = SigningKey & { readonly published: 'published' | 'absent' | 'different' | 'unknown' };

/** A domain is given as lower-case A-labels. Without keys for it, all functions but `add`, `takeOver` and `ensure` reject with `not found`. */
export type DomainControl = {
  list(): Promise<readonly SigningDomain[]>;
  /** Also asks the DNS which records are published. */
  show(domain: string): Promise<{ readonly domain: string; readonly keys: readonly PublishedKey[] }>;
  /** The records to publish, the newest first. They include those of retiring keys, which must stay until no queued mail needs them. */
  records(domain: string): Promise<readonly KeyRecord[]>;
  /**
   * Makes the first pair of keys. They sign at once: a signature that cannot be checked yet does no more harm than a missing one.
   * @param selector its name in the DNS; default: made from the date. @returns the records to publish. Rejects with `exists` if other keys sign.
   */
  add(domain: string, selector?: string): Promise<readonly KeyRecord[]>;
  /** Adds a key that exists already. @param pem PKCS#1 or PKCS#8. */
  takeOver(domain: string, selector: string, pem: string): Promise<readonly KeyRecord[]>;
  /** Makes new keys. The old ones sign until the DNS has the new records. @returns the records to publish. */
  rotate(domain: string): Promise<readonly KeyRecord[]>;
  /** Makes keys for each domain that has none. @returns the records of all domains, and the domains that got keys. */
  ensure(domains: readonly string[]): Promise<{ readonly records: readonly KeyRecord[]; readonly made: readonly string[] }>;
  /** Asks the DNS afresh about all records that mail of the domain needs, also one without keys here. */
  check(domain: string): Promise<DomainLook>;
  /** The wanted records as lines of a zone file, by the answers of the DNS now. */
  zone(domain: string): Promise<string>;
  /** The credentials that may send as it. */
  senders(domain: string): Promise<readonly string[]>;
  /**
   * Stops signing. A key whose signature is on queued mail becomes retiring; the running relay removes it when the last of that mail
   * has ended. @returns `removed` false if there are such keys. @param force Without it, it rejects with `conflict` if there are such keys.
   */
  remove(
    domain: string,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly domain: string; readonly removed: boolean; readonly retiring: readonly SigningKey[] }>;
};

type DomainParts = Parts<DomainCheckSettings> & { readonly dns: Pick<Dns, 'txt'> };

export function createDomainControl({ store, settings, dns, now, note }: DomainParts): DomainControl {
  const { operation, messages } = store;

  async function keysOf(domain: string): Promise<readonly DkimKey[]> {
    const keys = await operation.dkimKeys(domain);
    if (keys.length === 0) throw new ControlError('not found', 'domain', `No domain named ${domain}.`);
    return keys;
  }

  /** @throws ControlError if keys of the domain still sign. Retiring keys do not prevent new ones. */
  async function addable(domain: string): Promise<readonly DkimKey[]> {
    const there = await operation.dkimKeys(domain);
    if (there.some(({ state }) => state !== 'retiring'))
      throw new ControlError('exists', 'domain', `${domain} exists already.`, { named: domain });
    return there;
  }

  async function keep(action: 'add' | 'rotate', keys: readonly DkimKey[]): Promise<readonly KeyRecord[]> {
    const records = await recordsOf(keys);
    if (!(await added(action, keys, { items: records }))) {
      const names = keys.map(({ selector }) => selector).join(', ');
      throw new ControlError('exists', 'selector', `${keys[0]!.domain} has a key with the selector ${names} already`);
    }
    return records;
  }

  /** False if one of the names is taken. */
  async function added(action: 'add' | 'rotate', keys: readonly DkimKey[], gives?: unknown): Promise<boolean> {
    const target = keys[0]!.domain;
    const before = (await operation.dkimKeys(target)).map(keyShape);
    const view = note({ action: `domain.${action}`, target, before, after: [...before, ...keys.map(keyShape)], gives });
    return view.operation.addDkimKeys(keys);
  }

  /** The default selector is the date. A second pair on the same day needs another name. */
  function nameFor(there: readonly DkimKey[]): { selector?: string } {
    const today = `s${new Date(now()).toISOString().slice(0, 10).replaceAll('-', '')}`;
    const sameDay = there.filter((key) => key.selector.startsWith(today)).length;
    return sameDay === 0 ? {} : { selector: `${today}-${Math.floor(sameDay / 2) + 1}` };
  }

  async function check(domain: string): Promise<DomainLook> {
    const { lookAtDomain } = await import('./domain-check.ts');
    return lookAtDomain(domain, { settings: settings(), keys: await operation.dkimKeys(), now });
  }

  async function stillNeeded(domain: string, keys: readonly SigningKey[]): Promise<ControlError> {
    const names = new Set(keys.map(({ selector }) => `${selector}._domainkey.${domain}`));
    const { ids, isAll } = await signedMail(messages, names);
    const which = `${ids.slice(0, MOST_NAMED).join(', ')}${ids.length > MOST_NAMED || !isAll ? ' and more' : ''}`;
    const sentence = `Queued mail has signatures of ${domain}: ${which}. Its keys would sign no more, and their DNS records must stay until this mail has ended.`;
    return new ControlError('conflict', 'domain', sentence, { named: domain });
  }

  return {
    async list() {
      const keys = await operation.dkimKeys();
      return [...Map.groupBy(keys, ({ domain }) => domain)].map(([domain, own]) => ({ domain, keys: own.map(keyShape) }));
    },
    async show(domain) {
      const { checkPublished } = await import('../signing/signing.ts');
      const keys = await keysOf(domain);
      const published = await Promise.all(keys.map((key) => checkPublished(key, dns)));
      return { domain, keys: keys.map((key, i) => ({ ...keyShape(key), published: published[i]! })) };
    },
    async records(domain) {
      return recordsOf([...(await keysOf(domain))].sort((a, b) => b.createdAt - a.createdAt));
    },
    async add(domain, selector) {
      const { createDkimKeys } = await import('../signing/signing.ts');
      const there = await addable(domain);
      const name = selector === undefined ? nameFor(there) : { selector };
      const keys = await createDkimKeys({ domain, now: now(), state: 'active', ...name }).catch(invalid('selector'));
      return keep('add', keys);
    },
    async takeOver(domain, selector, pem) {
      const { importDkimKey } = await import('../signing/signing.ts');
      await addable(domain);
      const taken = async () => importDkimKey({ domain, selector, pem, now: now(), state: 'active' });
      return keep('add', [await taken().catch(invalid('key'))]);
    },
    async rotate(domain) {
      const { createDkimKeys } = await import('../signing/signing.ts');
      return keep('rotate', await createDkimKeys({ domain, now: now(), ...nameFor(await keysOf(domain)) }));
    },
    async ensure(domains) {
      const { createDkimKeys } = await import('../signing/signing.ts');
      const records: KeyRecord[] = [];
      const made: string[] = [];
      for (const domain of new Set(domains)) {
        if ((await operation.dkimKeys(domain)).length === 0) {
          const keys = await createDkimKeys({ domain, now: now(), state: 'active' });
          if (await added('add', keys)) made.push(domain); // else another process made some meanwhile
        }
        records.push(...(await recordsOf(await operation.dkimKeys(domain))));
      }
      return { records, made };
    },
    check,
    async zone(domain) {
      const { records } = await check(domain);
      return records.flatMap(({ line }) => (line === null ? [] : [`${line}\n`])).join('');
    },
    async senders(domain) {
      const { coversSender } = await import('../policy/policy.ts');
      const all = await store.credentials.list();
      const speaks = (rule: string) => coversSender([rule], `x@${domain}`) || rule.toLowerCase().endsWith(`@${domain}`);
      return all.filter(({ senders }) => senders.some(speaks)).map(({ name }) => name);
    },
    async remove(domain, { force = false } = {}) {
      const keys = await keysOf(domain);
      const isUsed = await Promise.all(keys.map(({ selector }) => messages.signatureInUse(`${selector}._domainkey.${domain}`)));
      const retiring = keys.filter((_, i) => isUsed[i]).map((key) => keyShape({ ...key, state: 'retiring' }));
      if (!force && retiring.length > 0) throw await stillNeeded(domain, retiring);
      const view = note({ action: 'domain.remove', target: domain, before: keys.map(keyShape), after: retiring });
      for (const [i, { selector, createdAt }] of keys.entries()) {
        const which = { domain, selector, createdAt }; // without `state`: the relay may have changed it meanwhile
        if (isUsed[i]) await view.operation.setDkimKeyState(which, 'retiring');
        else await view.operation.removeDkimKey(which);
      }
      return { domain, removed: retiring.length === 0, retiring };
    },
  };
}

const MOST_NAMED = 10;
const PAGE = 1000;
const MOST_READ = 20_000;

/** The messages that wait with one of these signatures, of the oldest 20,000. */
async function signedMail(messages: Pick<MessageStore, 'list'>, names: ReadonlySet<string>) {
  const ids: string[] = [];
  let after: string | undefined;
  for (let read = 0; read < MOST_READ; read += PAGE) {
    const page = await messages.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    ids.push(...page.filter(({ signatures }) => signatures.some((name) => names.has(name))).map(({ id }) => id));
    if (page.length < PAGE) return { ids, isAll: true };
    after = page.at(-1)!.id;
  }
  return { ids, isAll: false };
}

/** A domain of a request, as lower-case A-labels. @throws ControlError with every mistake of the request. */
export function readDomain(
  text: string,
  { selector, pem }: { readonly selector?: string | undefined; readonly pem?: string | undefined } = {},
): string {
  const faults: Fault[] = [];
  if (pem !== undefined && selector === undefined) faults.push({ at: 'key', message: 'needs a selector' });
  try {
    const domain = parseDomain(text);
    refuseFaults(faults);
    return domain;
  } catch (error) {
    if (error instanceof ControlError) throw error;
    refuseFaults([{ at: 'domain', message: (error as Error).message }, ...faults]);
    throw error;
  }
}

async function recordsOf(keys: readonly DkimKey[]): Promise<readonly KeyRecord[]> {
  const { dkimRecord } = await import('../signing/signing.ts');
  return keys.map((key) => {
    const { name, type, ttl, value } = dkimRecord(key);
    return { name, type, ttl, value };
  });
}

/** Turns an error of `signing` about a value of the operator into a ControlError. */
function invalid(subject: 'selector' | 'key'): (cause: Error) => never {
  return (cause) => {
    throw new ControlError('invalid', subject, cause.message, { cause });
  };
}
