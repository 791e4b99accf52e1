/** A console over a store of its own, asked over loopback as an administrator who has logged in, or as somebody else. */
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request as send } from 'node:http';
import { secretHash } from '../../src/console/access/cookie.ts';
import { csrfOf } from '../../src/console/access/csrf.ts';
import { type ConsoleParts, type ConsoleSettings, startConsole } from '../../src/console/console.ts';
import { type ClientEvent, type Configuration, createDoctor, createWorks } from '../../src/control/control.ts';
import { createConsolePasswords } from '../../src/credentials/credentials.ts';
import { createEventLog } from '../../src/events/events.ts';
import type { ConsoleAccount, ConsoleSession, ConsoleToken, Store } from '../../src/store/store.ts';
import { createLog } from '../../src/system/log.ts';
import { VERSION } from '../../src/system/version.ts';
import { checkDeclared } from './api-document.ts';
import { testControl } from './control.ts';
import { quietFacts } from './live-facts.ts';
import { NOW } from './store-rig.ts';

type Answer = {
  readonly status: number;
  readonly type: string | null;
  readonly headers: Headers;
  /** Parsed, if it is JSON. */
  readonly body: any;
};

/** `none`: without a login. `both`: the session of an administrator, and a token. */
type Asker = 'admin' | 'operator' | 'reader' | 'none' | 'both' | { readonly token: string } | { readonly session: string };

type AskOptions = {
  /** Default: admin. */
  readonly as?: Asker;
  /** Added, or in the place of those that are sent otherwise. undefined: left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
};

const OURS = { 'sec-fetch-site': 'same-origin' };

export async function startTestConsole(changes: Partial<ConsoleParts> = {}, settings: Partial<ConsoleSettings> = {}) {
  const { store, control, controlAs, set } = await testControl();
  const clientEvents: ClientEvent[] = [];
  const people = createPeople(store);
  const failures: { ip: string; name: string }[] = [];
  const blocked = new Set<string>();
  const lines: string[] = [];
  const events: { event: string; [field: string]: unknown }[] = [];
  const log = createEventLog(
    createLog({ level: 'debug', format: 'json', write: (text) => lines.push(text) }),
    ({ event, fields }) => events.push({ event, ...fields }),
  );
  const console = await startConsole({
    listen: [{ address: '127.0.0.1', port: 0 }],
    version: VERSION,
    startedAt: Date.now(),
    clientEvents: () => clientEvents,
    hostname: () => 'relay.example.net',
    control: (by) => controlAs(by === undefined ? { name: 'nobody', way: 'session' } : by),
    store,
    passwords: createConsolePasswords(60_000), // a busy machine refuses nobody
    guard: {
      isBlocked: (ip, name) => blocked.has(ip) || blocked.has(`${ip} ${name}`),
      async recordFailure(ip, name) {
        failures.push({ ip, name });
        return 0;
      },
    },
    works: createWorks(),
    doctor: createDoctor(async () => [], store.console),
    configuration: noConfiguration,
    settings: () => ({ ...SETTINGS, ...settings }),
    tls: { current: () => ({}), onChange: () => {} },
    log,
    now: () => NOW,
    live: quietFacts().live,
    ...changes,
  });
  const { port } = console.listening[0]!;
  const origin = `http://127.0.0.1:${port}`;
  const cookie = (secret: string) => ({ cookie: `smarthost-${port}=${secret}`, 'x-smarthost-csrf': csrfOf(secret) });
  for (const role of ['admin', 'operator', 'reader'] as const) await people.account(role, { role });
  for (const role of ['admin', 'operator', 'reader'] as const) await people.session(role, `session of ${role}`);
  await people.token('token of both', { scopes: ['messages:read'] });

  function headersOf(as: Asker): Record<string, string> {
    if (as === 'none') return OURS;
    if (as === 'both') return { ...OURS, ...cookie('session of admin'), authorization: 'Bearer token of both' };
    if (typeof as === 'string') return { ...OURS, ...cookie(`session of ${as}`) };
    return 'token' in as ? { authorization: `Bearer ${as.token}` } : { ...OURS, ...cookie(as.session) };
  }

  return {
    origin,
    store,
    control,
    set,
    clientEvents,
    people,
    failures,
    blocked,
    events,
    lines,
    /** Each answer must be one that the document of the API declares. */
    async ask(method: string, path: string, body?: unknown, { as = 'admin', headers = {} }: AskOptions = {}): Promise<Answer> {
      const json = body === undefined ? {} : { 'content-type': 'application/json' };
      const text = body === undefined ? undefined : JSON.stringify(body);
      const answer = await askOnce(`${origin}/api/v1${path}`, method, { ...headersOf(as), ...json, ...headers }, text);
      checkDeclared(method, `/api/v1${path}`, answer);
      return answer;
    },
    /** An answer that does not end. Each piece is a text as it came. */
    async open(path: string, as: Asker = 'admin') {
      const request = send({ host: '127.0.0.1', port, path: `/api/v1${path}`, headers: headersOf(as), agent: false });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.setEncoding('utf8');
      return { status: response.statusCode, pieces: response as AsyncIterable<string>, close: () => request.destroy() };
    },
    [Symbol.asyncDispose]: () => console.close(),
  };
}

/** Makes accounts, sessions and tokens without the console. */
function createPeople({ console }: Pick<Store, 'console'>) {
  return {
    async account(
      name: string,
      { role = 'reader', credentials = null, createdAt = NOW, ...change }: Partial<ConsoleAccount> = {},
    ) {
      const link = { id: name, hash: name, account: name, expiresAt: 0, triesLeft: 0 };
      await console.addAccount({ name, role, credentials, createdAt }, link);
      await console.changeAccount(name, change);
    },
    async session(account: string, secret: string, change: Partial<ConsoleSession> = {}) {
      const times = { createdAt: NOW, lastSeenAt: NOW, confirmedAt: NOW };
      const session = { hash: secretHash(secret), account, ip: '127.0.0.1', userAgent: '', ...times, ...change };
      const { passwordHash = null, totpSecret = null } = (await console.account(account)) ?? {};
      if (!(await console.addSession(session, { passwordHash, totpSecret }))) throw new Error(`no session for ${account}`);
    },
    async token(value: string, change: Partial<ConsoleToken> = {}) {
      const ends = { expiresAt: null, lastUsedAt: null, lastUsedIp: null };
      const token = { id: value, hash: secretHash(value), name: value, account: 'admin', scopes: [], credential: null, ...ends };
      await console.addToken({ ...token, networks: [], createdAt: NOW, ...change });
    },
  };
}
const noConfiguration: Configuration = {
  show: async () => ({ file: null, problems: [], settings: [] }),
  check: async () => [],
  reload: async () => ({ result: 'reloaded', restartNeeded: [] }),
};

const SETTINGS: ConsoleSettings = {
  names: ['relay.example.net'],
  origin: undefined,
  proxyTrust: [],
  secondFactor: 'offered',
  content: false,
  idle: 12 * 3_600_000,
  lifetime: 7 * 86_400_000,
};

/** fetch sends no Host, no Origin and no Sec-Fetch-Site of one's own. */
export function askOnce(
  url: string,
  method: string,
  headers: Readonly<Record<string, string | undefined>>,
  body?: string,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<string, string>;
  const path = url.slice(url.indexOf('/', 'https://'.length));
  return new Promise((resolve, reject) => {
    const request = send({ host: hostname, port, method, path, headers: given, agent: false }, async (response) => {
      try {
        const pieces: Buffer[] = [];
        for await (const piece of response) pieces.push(piece as Buffer);
        resolve(answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(pieces).toString()));
      } catch (error) {
        reject(error);
      }
    });
    request.once('error', reject);
    request.end(body);
  });
}

function answerOf(status: number, fields: IncomingHttpHeaders, text: string): Answer {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) for (const one of [value ?? []].flat()) headers.append(name, one);
  const type = headers.get('content-type');
  return { status, type, headers, body: type?.includes('json') && text !== '' ? JSON.parse(text) : text };
}
