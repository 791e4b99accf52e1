/** The types of settings: how each is read, shown and described. */

import { resolve } from 'node:path';
import { formatLimit, type Limit } from '../smtp/limit.ts';
import { suggest } from './suggest.ts';
import * as values from './values.ts';

/** The place of a value, for reading it and for error messages. */
export type ValuePlace = {
  /** `routes[0].hosts` */
  readonly path: string;
  /** Relative paths count from this folder. */
  readonly base: string;
  report(path: string, message: string): void;
};

export type ValueType<T> = {
  /** For the reference. */
  readonly name: string;
  /** How the environment can set it: as a scalar, as a comma-separated list, or not at all (`records`). */
  readonly form: 'scalar' | 'list' | 'records';
  /** @returns undefined if the value does not have the type. It reports the problem itself. */
  read(value: unknown, place: ValuePlace): T | undefined;
  /** As an operator writes it. */
  write(value: T): unknown;
  /** As `--json` prints it: durations in seconds, sizes in bytes. */
  json(value: T): unknown;
  /** The fields of records, for the reference. */
  readonly fields?: Readonly<Record<string, Field>>;
};

/** One field of a record in a list. */
export type Field = { readonly type: ValueType<any>; readonly required?: true; readonly about: string };

type ScalarOptions<T> = { readonly write?: (value: T) => unknown; readonly json?: (value: T) => unknown; readonly strict?: true };

/** A type that is written as one word. `strict` accepts only strings of YAML, because `1e3` and `0123` without quotes change. */
function scalar<T>(name: string, parse: (text: string, base: string) => T, options: ScalarOptions<T> = {}): ValueType<T> {
  const write = options.write ?? ((value: T) => value);
  return {
    name,
    form: 'scalar',
    write,
    json: options.json ?? write,
    read(value, { path, base, report }) {
      if (typeof value === 'object' || (options.strict && typeof value !== 'string')) {
        report(path, typeof value === 'object' ? `must be a single value (${name})` : 'must be text: put it in quotes');
        return undefined;
      }
      try {
        return parse(String(value), base);
      } catch (error) {
        if (!(error instanceof values.ValueError)) throw error;
        report(path, error.message);
        return undefined;
      }
    },
  };
}

export function listOf<T>(item: ValueType<T>): ValueType<readonly T[]> {
  return {
    name: `list of ${item.name}`,
    form: 'list',
    write: (list) => list.map(item.write),
    json: (list) => list.map(item.json),
    read(value, place) {
      const items = Array.isArray(value) ? value : [value];
      const read = items.map((one, i) =>
        item.read(one, { ...place, path: Array.isArray(value) ? `${place.path}[${i}]` : place.path }),
      );
      return read.some((one) => one === undefined) ? undefined : (read as T[]);
    },
  };
}

/** A mapping with known fields. Fields that are not given are absent. */
export function record<T>(name: string, fields: Readonly<Record<string, Field>>): ValueType<T> {
  const map = (how: 'write' | 'json') => (value: T) =>
    Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, fields[key]!.type[how](one)]));
  return {
    name,
    form: 'records',
    fields,
    write: map('write'),
    json: map('json'),
    read(value, place) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        place.report(place.path, `must be a mapping with ${Object.keys(fields).join(', ')}`);
        return undefined;
      }
      return readFields(value, fields, place) as T | undefined;
    },
  };
}

function readFields(value: object, fields: Readonly<Record<string, Field>>, place: ValuePlace): object | undefined {
  const result: Record<string, unknown> = {};
  let good = true;
  for (const [key, given] of Object.entries(value)) {
    const path = `${place.path}.${key}`;
    if (!Object.hasOwn(fields, key)) {
      place.report(path, unknownKey(suggest(key, Object.keys(fields))));
      good = false;
    } else if (given !== null) {
      result[key] = fields[key]!.type.read(given, { ...place, path });
      good &&= result[key] !== undefined;
    }
  }
  for (const [key, field] of Object.entries(fields)) {
    if (!field.required || Object.hasOwn(result, key)) continue;
    place.report(`${place.path}.${key}`, 'is required');
    good = false;
  }
  return good ? result : undefined;
}

export function unknownKey(meant: string | undefined): string {
  return meant === undefined ? 'is not a setting' : `is not a setting; did you mean ${meant}?`;
}

export function listOfRecords<T>(fields: Readonly<Record<string, Field>>): ValueType<readonly T[]> {
  return { ...listOf(record<T>('mapping', fields)), form: 'records', fields };
}

/** One of these words, or a mapping, which the environment gives in braces. */
export function wordOrRecord<const W extends string, T>(word: ValueType<W>, mapping: ValueType<T>): ValueType<W | T> {
  const typeOf = (value: unknown) => (typeof value === 'object' ? mapping : word) as ValueType<any>;
  return {
    name: `${word.name} \\| ${mapping.name}`,
    form: 'scalar',
    ...(mapping.fields === undefined ? {} : { fields: mapping.fields }),
    read: (value, place) => typeOf(value).read(value, place),
    write: (value) => typeOf(value).write(value),
    json: (value) => typeOf(value).json(value),
  };
}

/** A setting that may be absent. */
export function optional<T>(type: ValueType<T>): ValueType<T | undefined> {
  return type as ValueType<T | undefined>;
}

export function oneOf<const T extends string>(...choices: readonly T[]): ValueType<T> {
  return scalar(choices.join(' \\| '), (text) => {
    if ((choices as readonly string[]).includes(text)) return text as T;
    const meant = suggest(text, choices);
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw new values.ValueError(`must be one of ${choices.join(', ')}, not ${values.quote(text)}${hint}`);
  });
}

/** A whole number. */
export function count(least: number, most = 1_000_000): ValueType<number> {
  return scalar('number', (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new values.ValueError(`must be a whole number from ${least} to ${most}, not ${values.quote(text)}`);
  });
}

const MOST_THREADS = 64;

export const threadCount = scalar<number | 'auto'>('number \\| auto', (text) => {
  const value = text === 'auto' ? text : Number(text);
  if (value === 'auto' || (Number.isInteger(value) && value >= 1 && value <= MOST_THREADS)) return value;
  throw new values.ValueError(`must be auto or a whole number from 1 to ${MOST_THREADS}, not ${values.quote(text)}`);
});

export const boolean = scalar('true \\| false', (text) => {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new values.ValueError(`must be true or false, not ${values.quote(text)}`);
});
export const text = scalar('text', (value) => value, { strict: true });
export const secret = scalar('secret', (value) => value, { strict: true, write: () => '***' });
export const path = scalar('path', (value, base) => resolve(base, value), { strict: true });
export const size = scalar('size', values.parseSize, { write: values.formatSize, json: (bytes) => bytes });
export const duration = scalar('duration', values.parseDuration, { write: values.formatDuration, json: (ms) => ms / 1000 });
export const hostname = scalar('host name', values.parseHostname, { strict: true });
export const domain = scalar('domain', values.parseDomain, { strict: true });
export const domainPattern = scalar('domain pattern', values.parseDomainPattern, { strict: true });
export const mailbox = scalar('mail address', values.parseMailAddress, { strict: true });
export const address = scalar('address', values.parseAddress, { strict: true });
export const network = scalar('network', values.parseNetwork, { strict: true });
export const hostAndPort = scalar('host:port', values.parseHostAndPort, { strict: true });
export const dnsServer = scalar('address[:port]', values.parseDnsServer, { strict: true });
export const listenAddress = scalar('address:port', values.parseListenAddress, {
  strict: true,
  write: values.formatListenAddress,
});
export const date = scalar('date', values.parseDate, { strict: true, write: values.formatMoment });
export const url = scalar(
  'URL',
  (value) => {
    if (URL.canParse(value) && /^https:/.test(value)) return value;
    throw new values.ValueError(`must be an https URL, not ${values.quote(value)}`);
  },
  { strict: true },
);
export const origin = scalar(
  'origin',
  (value) => {
    if (/^https:/.test(value) && URL.parse(value)?.origin === value) return value;
    throw new values.ValueError(`must be https:// and a name, without a path, not ${values.quote(value)}`);
  },
  { strict: true },
);
export const limits = (kind: Limit['kind']): ValueType<readonly Limit[]> => ({
  ...listOf(scalar('limit', (value) => values.parseLimit(value, kind), { strict: true, write: formatLimit })),
  name: 'list of N/minute, N/hour, N/day',
});
