/** One entry of the table of routes: what may be asked, by whom, in which shape, and what is answered. The OpenAPI document is made from it. */
import type * as v from 'valibot';
import type { Actor, Control, TOKEN_SCOPES } from '../control/control.ts';
import type { Access } from './access/access.ts';
import type { Arrival } from './access/arrival.ts';
import type { OpenSession } from './access/authentication.ts';
import type { ConsoleParts } from './console.ts';

/** What an account may do. Each role may do all that the ones before it may. */
export const ROLES = ['reader', 'operator', 'admin'] as const;
type Role = (typeof ROLES)[number];

/** What a token may do. */
type Scope = (typeof TOKEN_SCOPES)[number];

/** Who asks. `name` is that of an account, or of a token. */
export type ApiCaller = {
  readonly name: string;
  /** Of the token or the account. Names are no ids: another token may have the same, and an account may be made again with it. */
  readonly id: string;
  /** The account, also that of a token. */
  readonly account: string;
  readonly way: 'session' | 'token';
  readonly role: Role;
  /** The address of the client. */
  readonly address: string;
  /** The only credentials whose mail may be seen. null: all. */
  readonly credentials: readonly string[] | null;
  /** What the caller may repeat without its being done twice. */
  readonly request?: Actor['request'];
};

/** Whose a thing is that only its maker may ask for, and who is counted. All sessions of an account are one. */
export const makerOf = ({ way, id }: Pick<ApiCaller, 'way' | 'id'>): string => `${way} ${id}`;

type Schema = v.GenericSchema<any, any>;
type Output<S> = S extends Schema ? v.InferOutput<S> : undefined;
/** `/messages/:id` has the parameter `id`. */
type Parameters<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? { readonly [K in Name]: string } & Parameters<`/${Rest}`>
  : P extends `${string}:${infer Name}`
    ? { readonly [K in Name]: string }
    : unknown;

/** A request that has passed all checks. */
type Ask<P extends string = string, Q = unknown, B = unknown> = {
  readonly params: Parameters<P>;
  readonly query: Output<Q>;
  readonly body: Output<B>;
  /** undefined only for routes of access `public`. */
  readonly by: ApiCaller | undefined;
  readonly session: OpenSession | undefined;
  readonly arrival: Arrival;
  readonly access: Access;
  /** Header fields of the answer. */
  readonly headers: Map<string, string>;
  /** The actions of an operator, noted as those of the caller. */
  readonly control: Control;
  readonly parts: ConsoleParts;
  /**
   * Of a change of a thing whose GET has a `tag`: throws if this is not what the caller saw (If-Match). The change looks at the thing by it
   * each time that it reads it, and is made only if that has not changed since.
   */
  readonly match?: (seen: any) => void;
  /** Ends when the client goes away or the relay stops. */
  readonly signal: AbortSignal;
};

type RouteShape<P extends string, Q extends Schema | undefined, B extends Schema | undefined, A extends Schema | undefined> = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/api/v1`. */
  readonly path: P;
  /** Below this instead. */
  readonly below?: '/api';
  /** `public`: without login. `account`: any account. Otherwise the least role. */
  readonly access: 'public' | 'account' | Role;
  /** The scope that a token needs. null: no token may ask. */
  readonly scope: Scope | null;
  /** Of a route for roles: who is confined to some credentials may ask too, because the answer is about their mail alone. */
  readonly confined?: true;
  /** When it exists. Default: while a relay runs. */
  readonly when?: 'firstRun' | 'always';
  /** Asks for the password again if the last one is more than 10 minutes old; a function says for which requests. */
  readonly confirm?: true | ((ask: Ask<P, Q, B>) => Promise<boolean>);
  /** One sentence for the document. */
  readonly about: string;
  readonly query?: Q;
  readonly body?: B;
  /** The content types of the body. Default: application/json alone. */
  readonly takes?: readonly string[];
  /** Only the fields that it names leave. Absent: the route answers 204, or a stream. */
  readonly answer?: A;
  /** Of a GET: what changes with the thing, and with nothing else. Changes of it can then ask for it by If-Match. */
  readonly tag?: (result: any) => unknown;
  /** Where the answer says that more is to be asked. The field Location. */
  readonly location?: (answer: any) => string;
  /**
   * Of a POST that is done in steps, each of them whole by itself: what is left is done where the request is repeated because the relay was
   * killed meanwhile. Says whether the work of an answer that was kept ended so too.
   */
  readonly goesOn?: (answer: any, parts: ConsoleParts) => boolean;
  /** Default: 200 with an answer, 204 without. */
  readonly status?: 200 | 201 | 202 | 204;
  /** The content type of a stream that the handler returns. */
  readonly streams?: 'text/event-stream' | 'text/csv' | 'text/plain' | 'message/rfc822';
};

export type ApiRoute = Omit<RouteShape<string, Schema | undefined, Schema | undefined, Schema | undefined>, 'confirm'> & {
  readonly confirm?: true | ((ask: Ask<any, any, any>) => Promise<boolean>);
  handle(ask: Ask<any, any, any>): Promise<unknown>;
};

/** A text, or its pieces as they come. Each piece is sent at once. What pieces hold or note, they do so when the first one is asked for: HEAD asks for none. */
export type Stream = string | AsyncIterable<string | Uint8Array>;

/** What control returns may be read-only. */
type Answered<T> = T extends readonly (infer E)[]
  ? readonly Answered<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Answered<T[K]> }
    : T;

/** Checks that a handler fits its schemas. */
export function route<
  const P extends string,
  Q extends Schema | undefined = undefined,
  B extends Schema | undefined = undefined,
  A extends Schema | undefined = undefined,
>(
  shape: RouteShape<P, Q, B, A> & {
    handle(
      ask: Ask<P, Q, B>,
    ): A extends Schema ? Promise<Answered<v.InferInput<A>>> : Promise<Stream | undefined> | Promise<void>;
  },
): ApiRoute {
  return shape as unknown as ApiRoute;
}
