/** No answer and no line of the log has what must never leave: hashes, keys, cookies, tokens. */
import { expect, test } from 'vitest';
import { secretHash } from '../../../src/console/access/cookie.ts';
import { csrfOf } from '../../../src/console/access/csrf.ts';
import { ROUTES } from '../../../src/console/routes.ts';
import { TOKEN_SCOPES } from '../../../src/control/control.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';

const PASSWORD_HASH = '$argon2id$v=19$m=19456,t=2,p=1$bWFya2VyOm9mYWhhc2g$bWFya2VyOm9mYWhhc2g6bWFya2VyOm9mYWhhc2g';
const TOTP_SECRET = 'MARKEROFASECONDFACTOR222222222222';
const CREDENTIAL_HASH = 'marker-of-a-credential-hash';
const TOKEN = 'marker-of-a-token';
const COOKIE = 'marker-of-a-cookie';
const CODE = secretHash('marker of a recovery code');
const MARKERS = [
  PASSWORD_HASH,
  TOTP_SECRET,
  CREDENTIAL_HASH,
  TOKEN,
  COOKIE,
  CODE,
  secretHash(`${TOKEN}-1`),
  secretHash(`${COOKIE}-0`),
  'wrong-password-of-a-login',
];

test('planted hashes, keys, cookies and tokens are in no answer and no line', async () => {
  await using console = await startTestConsole({}, { proxyTrust: ['127.0.0.0/8'] });
  const { store, people, origin } = console;
  const port = new URL(origin).port;
  await people.account('marked', { role: 'admin', passwordHash: PASSWORD_HASH, totpSecret: TOTP_SECRET, recoveryCodes: [CODE] });
  await store.credentials.add({
    ...{ name: 'shop', hash: CREDENTIAL_HASH, senders: ['*'], mailServer: false, limits: null, disabled: false },
    ...{ expiresAt: null, rewrite: null, createdAt: 0 },
  });
  await console.control.domains.add('example.org');
  const keys = (await store.operation.dkimKeys()).map(({ privateKey }) => String(privateKey).split('\n')[1]!);
  const texts: string[] = [];
  let asked = 0;
  /** Each request has a session or a token of its own, so that no limit of requests decides. */
  const callers = [
    async () => {
      const secret = `${COOKIE}-${asked}`;
      await people.session('marked', secret);
      return { cookie: `smarthost-${port}=${secret}`, 'x-smarthost-csrf': csrfOf(secret), 'sec-fetch-site': 'same-origin' };
    },
    async () => {
      const token = { id: `id${asked}`, account: 'marked', scopes: TOKEN_SCOPES, name: `token ${asked}` };
      await people.token(`${TOKEN}-${asked}`, token);
      return { authorization: `Bearer ${TOKEN}-${asked}` };
    },
  ];
  for (const route of ROUTES.filter(({ when, method }) => when !== 'firstRun' && method !== 'DELETE'))
    for (const name of route.path.includes(':') ? ['marked', 'shop', 'example.org'] : ['']) {
      const path = `${route.below ?? '/api/v1'}${route.path.replaceAll(/:\w+/g, name)}`;
      const method = route.streams === 'text/event-stream' ? 'HEAD' : route.method;
      const json = route.body === undefined ? {} : { 'content-type': route.takes?.[0] ?? 'application/json' };
      const body = route.body === undefined ? undefined : JSON.stringify({ password: 'wrong-password-of-a-login', code: 1 });
      for (const caller of callers) {
        const address = { 'x-forwarded-for': `198.51.${++asked >> 8}.${asked & 255}` };
        const answer = await askOnce(`${origin}${path}`, method, { ...(await caller()), ...address, ...json }, body);
        expect(answer.status, path).not.toBe(429);
        texts.push(JSON.stringify([answer.body, [...answer.headers]]));
      }
    }
  await console.ask('POST', '/session', { name: 'marked', password: 'wrong-password-of-a-login' }, { as: 'none' });
  const all = [
    ...texts,
    ...console.lines,
    JSON.stringify(console.events),
    JSON.stringify(await console.control.changes.list({ limit: 500 })),
  ];
  expect(texts.length).toBeGreaterThan(100);
  expect(keys.length).toBeGreaterThan(0);
  for (const marker of [...MARKERS, ...keys])
    expect(
      all.filter((text) => text.includes(marker)).map((text) => text.slice(0, 300)),
      marker,
    ).toEqual([]);
});
