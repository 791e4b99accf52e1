/** Parameters that all lists have, and their texts. */
import * as v from 'valibot';

const MOST = 500;
const USUAL = '50';

/** How many entries one answer has. */
export const pageLimit = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^[1-9]\d{0,2}$/, `limit is a whole number from 1 to ${MOST}.`),
    v.transform(Number),
    v.maxValue(MOST, `limit is a whole number from 1 to ${MOST}.`),
    v.description(`Entries of one answer, 1 to ${MOST}.`),
  ),
  USUAL,
);

/** An instant. Handlers get milliseconds since the epoch. */
export function instant(name: string, about: string) {
  return v.optional(
    v.pipe(
      v.string(),
      v.check((text) => !Number.isNaN(Date.parse(text)), `${name} is a time such as 2026-11-28T09:00:00Z.`),
      v.transform((text) => Date.parse(text)),
      v.description(about),
    ),
  );
}

/** A text to look for, or a name. */
export const shortText = (about: string) => v.optional(v.pipe(v.string(), v.maxLength(500), v.description(about)));

/** The `next` of the last answer. */
export const pageBefore = v.optional(v.pipe(v.string(), v.maxLength(100), v.description('The `next` of the answer before.')));

/** What a list has beside its entries. */
export const nextPage = v.pipe(
  v.nullable(v.string()),
  v.description('The `before` of the next page. null: there is nothing older.'),
);

/** Without parameters that were not given, for queries in which an absent one has another meaning than undefined. */
export function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
