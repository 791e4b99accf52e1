/** How the fields of an event are declared: their types for the code, and their words for the page. */

/** One field: its type for the code, and the word for the page. */
type Field<T, Optional extends boolean = false> = {
  readonly holds: string;
  readonly isOptional: Optional;
  readonly type?: T;
};
const field = <T>(holds: string): Field<T> => ({ holds, isOptional: false });
const optional = <T>({ holds }: Field<T>): Field<T, true> => ({ holds, isOptional: true });

const text = field<string>('text');
const count = field<number>('number');
const seconds = field<number>('seconds');
const time = field<string>('ISO 8601, UTC');
const texts = field<readonly string[]>('list of texts');
const error = field<unknown>('message, code, stack, cause');
const maybe = field<string | null>('text or null');
const flag = field<boolean>('true or false');
const listening =
  field<readonly { readonly name: string; readonly address: string; readonly port: number }[]>('list of name, address, port');

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type EventDefinition = {
  readonly level: Level;
  readonly about: string;
  readonly fields: Readonly<Record<string, Field<any, boolean>>>;
};

const define = <F extends EventDefinition['fields']>(level: Level, about: string, fields: F) => ({ level, about, fields });

/** The values of declared fields. */
export type FieldValues<F> = {
  readonly [K in keyof F as F[K] extends Field<any, true> ? never : K]: F[K] extends Field<infer T, boolean> ? T : never;
} & {
  readonly [K in keyof F as F[K] extends Field<any, true> ? K : never]?:
    | (F[K] extends Field<infer T, boolean> ? T : never)
    | undefined;
};

/** How events are declared, by short names. */
export const FIELDS = { define, optional, text, count, seconds, time, texts, error, maybe, flag, listening, field };
