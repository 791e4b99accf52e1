/** AUTH at an upstream: RFC 4954, PLAIN of RFC 4616, and LOGIN. */
import type { Connection, Replies } from './connection.ts';
import type { RemoteReply } from './reply-reader.ts';
import type { SessionFailure } from './verdict.ts';

export type UpstreamLogin = { readonly user: string; readonly password: string };
type LoginResult = 'ok' | { readonly reply: RemoteReply } | { readonly failure: SessionFailure };

/** A mechanism that the server announces and does not take after all: RFC 4954 §4 and §6, and what servers say instead. */
const OTHER_MECHANISM: ReadonlySet<number> = new Set([500, 501, 502, 504, 534]);

/** @param offered mechanisms in upper case. The password leaves only over TLS: the caller sees to that. */
export async function logInUpstream(
  connection: Connection,
  offered: readonly string[],
  login: UpstreamLogin,
): Promise<LoginResult> {
  const known = (['PLAIN', 'LOGIN'] as const).filter((mechanism) => offered.includes(mechanism));
  let result: LoginResult = {
    failure: {
      kind: 'login',
      stage: 'AUTH',
      detail: `the host offers neither PLAIN nor LOGIN (${offered.join(' ') || 'no AUTH'})`,
    },
  };
  for (const mechanism of known) {
    result = mechanism === 'PLAIN' ? await plain(connection, login) : await inSteps(connection, login);
    if (result === 'ok' || 'failure' in result || !OTHER_MECHANISM.has(result.reply.code)) return result;
  }
  return result;
}

async function plain(connection: Connection, { user, password }: UpstreamLogin): Promise<LoginResult> {
  const response = base64(`\0${user}\0${password}`);
  return judge(await connection.exchange(`AUTH PLAIN ${response}\r\n`, ['AUTH']));
}

async function inSteps(connection: Connection, { user, password }: UpstreamLogin): Promise<LoginResult> {
  for (const line of ['AUTH LOGIN', base64(user)]) {
    const exchange = await connection.exchange(`${line}\r\n`, ['AUTH']);
    if (exchange.replies[0]?.code !== 334) return judge(exchange);
  }
  return judge(await connection.exchange(`${base64(password)}\r\n`, ['AUTH']));
}

function judge({ replies: [reply], failure }: Replies): LoginResult {
  if (reply === undefined) return { failure: failure! };
  return reply.code === 235 ? 'ok' : { reply };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
