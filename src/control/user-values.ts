/** The values of a credential as an operator writes them, on the command line or in a request. All mistakes are told at once. */
import { parseLimit, parseMailAddress, parseSenderRule } from '../config/config.ts';
import type { Limit } from '../smtp/limit.ts';
import type { TraitsChange } from './behaviour-view.ts';
import { ControlError, type Fault, refuseFaults } from './control-error.ts';
import { checkPassword, type NewUser, newUser, type UserChange } from './users.ts';

/** What sends: it chooses the values that nobody gave. */
export const USER_KINDS = ['exchange', 'mailServer', 'application', 'device', 'person'] as const;

/** Only the given values change. */
export type WrittenUser = {
  readonly senders?: readonly string[] | undefined;
  readonly mailServer?: boolean | undefined;
  /** `1000/day`, `recipients=500/hour`; `none` or `default` alone. null: the default. */
  readonly limits?: readonly (string | Limit)[] | null | undefined;
  /** A date, a time, or `never`. null: never. */
  readonly expiresAt?: string | null | undefined;
  /** An address, or `none`. null: none. */
  readonly rewrite?: string | null | undefined;
  /** `app`, `person`, `server`, or `default`. null: default. */
  readonly profile?: string | null | undefined;
  readonly bulk?: boolean | undefined;
  /** An address, or `none`. null: none. */
  readonly contact?: string | null | undefined;
};

type UserValues = { readonly change: Omit<UserChange, 'disabled'>; readonly traits: TraitsChange };

/** @throws ControlError with every mistake. */
export function readUserValues(written: WrittenUser): UserValues {
  const faults: Fault[] = [];
  const values = readValues(written, faults);
  refuseFaults(faults);
  return values;
}

type WrittenNewUser = WrittenUser & {
  readonly name: string;
  readonly kind?: (typeof USER_KINDS)[number] | undefined;
  readonly password?: string | undefined;
};

/** @throws ControlError with every mistake. */
export async function readNewUser(written: WrittenNewUser): Promise<{ readonly user: NewUser; readonly traits: TraitsChange }> {
  const { name, kind, password, ...given } = written;
  const faults: Fault[] = [];
  const { change, traits } = readValues({ ...(kind === undefined ? {} : PRESETS[kind]), ...withoutAbsent(given) }, faults);
  if (password !== undefined) collect(faults, 'password', () => checkPassword(password));
  const senders = faults.some(({ at }) => at.startsWith('senders')) ? { senders: ['*'] } : {};
  const user = await newUser(name, { ...change, ...senders }).catch((error: unknown) => note(faults, error));
  refuseFaults(faults);
  return { user: user!, traits };
}

/** A server of mail has no limits of ours, because it would return mail of others. */
const PRESETS: Readonly<Record<(typeof USER_KINDS)[number], WrittenUser>> = {
  exchange: { mailServer: true, profile: 'server' },
  mailServer: { mailServer: true, profile: 'server' },
  application: { mailServer: false, profile: 'app' },
  device: { mailServer: false, profile: 'app', limits: ['100/day'] },
  person: { mailServer: false, profile: 'person' },
};

function withoutAbsent<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

function readValues(written: WrittenUser, faults: Fault[]): UserValues {
  const { senders, mailServer, limits, expiresAt, rewrite, profile, bulk, contact } = written;
  const orNone = (at: string, text: string | null) =>
    text === null || text === 'none' ? null : collect(faults, at, () => parseMailAddress(text));
  return {
    change: withoutAbsent({
      senders: senders && [...new Set(senders.map((rule, i) => collect(faults, `senders/${i}`, () => parseSenderRule(rule))!))],
      mailServer,
      limits: limits === undefined ? undefined : readLimits(limits, faults),
      expiresAt: expiresAt === undefined ? undefined : collect(faults, 'expiresAt', () => parseExpiry(expiresAt)),
      rewrite: rewrite === undefined ? undefined : orNone('rewrite', rewrite),
    }) as UserValues['change'],
    traits: withoutAbsent({
      profile: profile === undefined ? undefined : collect(faults, 'profile', () => parseProfile(profile)),
      bulk: bulk === undefined ? undefined : bulk || null,
      contact: contact === undefined ? undefined : orNone('contact', contact),
    }) as TraitsChange,
  };
}

/** @returns undefined where the value is wrong, which is then in `faults`. */
function collect<T>(faults: Fault[], at: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    return note(faults, error, at);
  }
}

/** Parsers say what a value must be. Any other error is a fault of ours. */
function note(faults: Fault[], error: unknown, at?: string): undefined {
  if (!(error instanceof Error)) throw error;
  const where = at ?? (error instanceof ControlError ? error.subject : undefined);
  if (where === undefined) throw error;
  faults.push({ at: where, message: error.message, ...(error instanceof ControlError ? { isWhole: true } : {}) });
  return undefined;
}

const KINDS: readonly Limit['kind'][] = ['messages', 'recipients', 'newRecipients'];

/** @returns null if the defaults of the configuration should apply. */
function readLimits(limits: readonly (string | Limit)[] | null, faults: Fault[]): readonly Limit[] | null {
  if (limits === null) return null;
  const word = limits.find((one) => one === 'none' || one === 'default');
  if (word === undefined) return limits.flatMap((one, i) => collect(faults, `limits/${i}`, () => readLimit(one)) ?? []);
  if (limits.length > 1) faults.push({ at: 'limits', message: `${word} stands alone` });
  return word === 'none' ? [] : null;
}

function readLimit(limit: string | Limit): Limit {
  if (typeof limit !== 'string') return limit;
  const at = limit.indexOf('=');
  const kind = at < 0 ? 'messages' : KINDS.find((known) => known === limit.slice(0, at));
  if (kind === undefined) throw new Error(`counts ${KINDS.join(', ')}, not "${limit.slice(0, at)}"`);
  return parseLimit(limit.slice(at + 1), kind);
}

/** A date means the start of that day. A time without a zone is UTC. @returns milliseconds since the epoch, or null for never. */
export function parseExpiry(text: string | null): number | null {
  if (text === null || text === 'never' || text === 'none') return null;
  const [, day, clock, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  const at = Date.parse(`${day}T${clock ?? '00:00'}${zone ?? 'Z'}`);
  // Compares the parsed day with the typed one, because 2027-02-31 would become the 3rd of March without an error.
  const real = !Number.isNaN(at) && new Date(Date.parse(`${day}T00:00Z`)).toISOString().startsWith(String(day));
  if (!real) throw new Error(`must be a date such as 2027-12-31 or 2027-12-31T18:00Z, not "${text}"`);
  return at;
}

const PROFILES = ['app', 'person', 'server'] as const;

/** @returns null for the default: it says what is unusual by `mailServer`. */
function parseProfile(text: string | null): (typeof PROFILES)[number] | null {
  const known = PROFILES.find((one) => one === text);
  if (known === undefined && text !== null && text !== 'default')
    throw new Error(`is one of ${PROFILES.join(', ')}, default, not "${text}"`);
  return known ?? null;
}
