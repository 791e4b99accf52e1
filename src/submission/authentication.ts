/** The steps of AUTH PLAIN and AUTH LOGIN, as pure functions: RFC 4954 §4, RFC 4616, and [MS-XLOGIN]. */
import { refusal } from '../smtp/replies.ts';

type Mechanism = 'PLAIN' | 'LOGIN';
export type ClientLogin = { readonly mechanism: Mechanism; readonly name: string; readonly password: string };

/** A challenge that waits for its answer. `name` is known where LOGIN asks for the password. */
export type AuthExchange = { readonly mechanism: Mechanism; readonly name?: string };

/** The next challenge in base64, or the login that the client has named. */
export type ExchangeStep = { readonly challenge: string; readonly exchange: AuthExchange } | { readonly login: ClientLogin };

const USERNAME = 'VXNlcm5hbWU6';
const PASSWORD = 'UGFzc3dvcmQ6';

/** @param argument what stands behind AUTH: `PLAIN`, `plain AGEAYg==`, `LOGIN YQ==`. @throws Refusal 501, 504 or 535. */
export function beginExchange(argument: string): ExchangeStep {
  const [name = '', initial, ...more] = argument.trim().split(/ +/);
  const mechanism = name.toUpperCase();
  if (mechanism === '') throw refusal('noMechanism');
  if (mechanism !== 'PLAIN' && mechanism !== 'LOGIN') {
    throw refusal('unknownMechanism');
  }
  if (more.length > 0) throw malformed();
  const exchange = { mechanism } as const;
  if (initial === undefined) return { challenge: mechanism === 'LOGIN' ? USERNAME : '', exchange };
  return answer(exchange, initial === '=' ? '' : initial);
}

/** @param line the client's answer to the last challenge. @throws Refusal 501 or 535, which ends the exchange. */
export function continueExchange(exchange: AuthExchange, line: string): ExchangeStep {
  const response = line.trim();
  if (response === '*') throw refusal('loginCancelled');
  return answer(exchange, response === '=' ? '' : response);
}

function answer(exchange: AuthExchange, response: string): ExchangeStep {
  const { mechanism, name } = exchange;
  const text = decode(response);
  if (mechanism === 'PLAIN') return { login: plainLogin(text) };
  if (text.includes('\0')) throw malformed();
  if (name === undefined) return { challenge: PASSWORD, exchange: { mechanism, name: text } };
  return { login: { mechanism, name, password: text } };
}

/** `[authzid] NUL authcid NUL passwd`. An authzid other than the login is refused. */
function plainLogin(text: string): ClientLogin {
  const [authorization, name, password, ...more] = text.split('\0');
  if (authorization === undefined || name === undefined || password === undefined || more.length > 0) throw malformed();
  if (authorization !== '' && authorization !== name) {
    throw refusal('foreignLogin');
  }
  return { mechanism: 'PLAIN', name, password };
}

/**
 * Canonical base64 only: no blanks, no missing padding, no stray bits. RFC 4616 §2 asks for UTF-8 inside. Other bytes become a
 * character that no name and no password has, so that the login is wrong.
 */
function decode(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw malformed();
  return bytes.toString('utf8');
}

const malformed = () => refusal('malformedResponse');
