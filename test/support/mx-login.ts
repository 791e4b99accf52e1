/** AUTH as the small MX answers it when it plays an upstream: PLAIN of RFC 4616, and LOGIN. */
import type { MxServerOptions } from './mx-types.ts';

/** One AUTH command and the lines that follow it. */
export class MxLogin {
  /** Set after 235. */
  user: string | undefined;
  readonly #auth: MxServerOptions['auth'];
  /** What the next line is; undefined: nothing is asked for. */
  #expects: 'response' | 'user' | 'password' | undefined;
  #name = '';

  constructor(auth: MxServerOptions['auth']) {
    this.#auth = auth;
  }

  get asks(): boolean {
    return this.#expects !== undefined;
  }

  /** @returns the reply to `AUTH MECHANISM [initial]`. */
  begin(line: string): string {
    const [, mechanism = '', initial] = line.split(' ');
    const name = mechanism.toUpperCase();
    if (!(this.#auth?.mechanisms ?? ['PLAIN', 'LOGIN']).some((allowed) => allowed === name)) return '504 5.5.4 Unknown mechanism';
    this.#expects = name === 'PLAIN' ? 'response' : 'user';
    if (initial !== undefined) return this.next(initial);
    return name === 'PLAIN' ? '334 ' : '334 VXNlcm5hbWU6';
  }

  /** @returns the reply to a line that was asked for. */
  next(line: string): string {
    const expected = this.#expects;
    this.#expects = undefined;
    const text = Buffer.from(line, 'base64').toString('utf8');
    if (expected === 'user') {
      this.#name = text;
      this.#expects = 'password';
      return '334 UGFzc3dvcmQ6';
    }
    const [, user = '', password = ''] = expected === 'password' ? ['', this.#name, text] : text.split('\0');
    if (this.#auth?.user !== user || this.#auth.password !== password) return '535 5.7.8 Wrong user name or password';
    this.user = user;
    return '235 2.7.0 Welcome';
  }
}
