/** What the pictures show: a relay of nobody, at one minute of one day. Each answer is checked against the table of routes. */

/** The clock of the pictures. */
export const PICTURE_TIME = Date.parse('2026-11-28T09:42:10Z');

const ago = (minutes: number) => new Date(PICTURE_TIME - minutes * 60_000).toISOString();
const HOUR = 60;
const DAY = 24 * HOUR;

const shop = {
  ...{ name: 'shop', senders: ['noreply@shop.example', '@news.shop.example'], mailServer: false },
  limits: [
    { kind: 'messages', count: 5000, per: 'day' },
    { kind: 'newRecipients', count: 300, per: 'hour' },
  ],
  used: [
    { kind: 'messages', count: 5000, per: 'day', used: 4105, resetsAt: ago(-8 * HOUR) },
    { kind: 'newRecipients', count: 300, per: 'hour', used: 41, resetsAt: ago(-18) },
  ],
  ...{ disabled: false, expiresAt: null, stops: [], trustedUntil: null },
  lastLogin: { at: ago(0.4), ip: '198.51.100.7', tls: 'TLSv1.3', mechanism: 'PLAIN' },
  ...{ defaultLimits: false, rewrite: null, createdAt: ago(61 * DAY), revision: 4, profile: 'app', bulk: true, contact: null },
};

/** A day as a shop has it. */
function history(name: string) {
  const hours = Array.from({ length: 24 }, (_, back) => {
    const from = new Date(Math.floor((PICTURE_TIME - back * 3_600_000) / 3_600_000) * 3_600_000);
    const busy = Math.max(8, Math.round(150 + 130 * Math.sin(((from.getUTCHours() - 8) / 24) * 2 * Math.PI)));
    const rest = {
      delayed: back % 5 === 1 ? 9 : 2,
      failed: back % 4,
      expired: 0,
      refused: back === 3 ? 31 : back % 6 === 2 ? 6 : 0,
    };
    return { from: from.toISOString(), name, accepted: busy, relayed: busy, ...rest, bytes: busy * 41_000 };
  });
  return { items: hours.reverse() };
}

const refusals = [
  { until: ago(184), count: 31, verb: 'MAIL', code: 553, status: '5.7.1', reversePath: 'root@web1', recipient: null },
  {
    until: ago(1022),
    count: 2,
    verb: 'RCPT',
    code: 450,
    status: '4.7.1',
    reversePath: 'noreply@shop.example',
    recipient: 'a@x.example',
  },
].map((one, at) => ({
  ...{ seq: 40 - at, at: one.until, session: `s${at}`, ip: '198.51.100.7', user: 'shop' },
  reply:
    one.verb === 'MAIL'
      ? '553 5.7.1 <root@web1> is not allowed for shop: it may send as noreply@shop.example, @news.shop.example'
      : '450 4.7.1 shop has used 300 new recipients an hour; try again in 18 minutes',
  ...one,
}));

const KEY =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwJ8l3Qv0mN7xTt5yB2dKz1sPqR4uVhYcG9aE6iW0oXfLkZbM3nDjCtHgUqSrOe7wYvPx'.repeat(3);
const dkim = `v=DKIM1; k=rsa; p=${KEY}IDAQAB`;
const lineOf = (name: string, value: string) =>
  `${name}. 3600 IN TXT ${value
    .match(/.{1,255}/g)!
    .map((piece) => `"${piece}"`)
    .join(' ')}`;
const txt = (purpose: string, name: string, wanted: string) => ({
  purpose,
  name,
  type: 'TXT',
  ttl: 3600,
  wanted,
  line: lineOf(name, wanted),
  phrase: null,
  answerer: { server: '192.0.2.53', name: 'ns1.dns.example', authoritative: true },
});

const domain = {
  domain: 'shop.example',
  credentials: ['shop'],
  keys: [
    { selector: 's20260927r', algorithm: 'rsa-sha256', state: 'active', createdAt: ago(62 * DAY), published: 'published' },
    { selector: 's20260927e', algorithm: 'ed25519-sha256', state: 'pending', createdAt: ago(62 * DAY), published: 'absent' },
  ],
};
const ed25519 = 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';
const check = {
  ...{ domain: 'shop.example', at: ago(0), asked: ['ns1.dns.example [192.0.2.53]'], findings: [] },
  records: [
    { ...txt('dkim', 's20260927r._domainkey.shop.example', dkim), found: [dkim], result: 'ok', advice: '' },
    {
      ...txt('dkim', 's20260927e._domainkey.shop.example', ed25519),
      ...{ found: [], result: 'warning', advice: 'Publish the record: until then this key signs nothing.' },
    },
    {
      ...txt('spf', 'shop.example', 'v=spf1 include:_spf.site.example a:relay.example.net ~all'),
      ...{
        found: ['v=spf1 include:_spf.site.example ~all'],
        result: 'error',
        advice: 'Put a:relay.example.net into the record.',
      },
    },
    { ...txt('dmarc', '_dmarc.shop.example', 'v=DMARC1; p=none'), found: ['v=DMARC1; p=none'], result: 'ok', advice: '' },
  ],
};

const recipient = (more: object) => ({ expiresAt: ago(-5 * DAY), nextAttemptAt: null, lastReply: null, attempts: [], ...more });
const attempt = (more: object) => ({ tls: 'TLSv1.3', outcome: 'relayed', code: 250, status: '2.0.0', seconds: 0.4, ...more });
const message = {
  ...{
    id: '1m80c1e7zdvtr',
    messageId: '<4711.offer@corp.example>',
    user: 'exchange',
    reversePath: 'max@corp.example',
    size: 49_152,
  },
  ...{ acceptedAt: ago(31), client: { ip: '203.0.113.9', tls: 'TLSv1.3', mechanism: 'LOGIN' }, subject: 'Offer 4711' },
  ...{ signatures: ['s20260927r._domainkey.corp.example', 's20260927e._domainkey.corp.example'], about: null },
  ...{ states: { relayed: 1, delayed: 1, failed: 1 }, next: null },
  recipients: [
    recipient({
      ...{ recipient: 'anna@alpha.test', state: 'relayed', lastReply: '250 2.0.0 Ok: queued as 4F2K9' },
      attempts: [attempt({ at: ago(30.9), mx: 'mx.alpha.test', ip: '192.0.2.5', reply: '250 2.0.0 Ok: queued as 4F2K9' })],
    }),
    recipient({
      ...{ recipient: 'bob@beta.test', state: 'delayed', nextAttemptAt: ago(-14), lastReply: '451 4.3.2 Please come back later' },
      attempts: [
        attempt({
          ...{
            at: ago(30.9),
            mx: 'mx1.beta.test',
            ip: '192.0.2.7',
            tls: 'TLSv1.2',
            outcome: 'delayed',
            code: 450,
            status: '4.2.1',
          },
          ...{ reply: '450 4.2.1 The mailbox is busy', seconds: 0.9 },
        }),
        attempt({
          ...{ at: ago(16), mx: 'mx2.beta.test', ip: '192.0.2.8', tls: null, outcome: 'delayed', code: 451, status: '4.3.2' },
          ...{ reply: '451 4.3.2 Please come back later', seconds: 1.2 },
        }),
      ],
    }),
    recipient({
      ...{ recipient: 'eve@gamma.test', state: 'failed', lastReply: '550 5.1.1 No such user here' },
      attempts: [
        attempt({
          ...{ at: ago(30.8), mx: 'mx.gamma.test', ip: '192.0.2.9', outcome: 'failed', code: 550, status: '5.1.1' },
          ...{ reply: '550 5.1.1 No such user here', seconds: 0.3 },
        }),
      ],
    }),
  ],
  reports: [{ id: '1m80c1gp04xyz', acceptedAt: ago(30.8), recipient: 'max@corp.example', state: 'relayed' }],
};

const use = (name: string, accepted24Hours: number, percent?: number) => ({
  ...{ name, accepted24Hours, disabled: false },
  limit:
    percent === undefined
      ? null
      : { kind: 'messages', count: 5000, per: 'day', used: percent * 50, percent, resetsAt: ago(-8 * HOUR) },
});

const status = {
  ...{ hostname: 'relay.example.net', version: '0.2.0', startedAt: ago(12 * DAY), at: ago(0) },
  verdict: {
    ...{ flowing: true, reason: null, more: 0 },
    needs: [
      {
        ...{ kind: 'destination', level: 'warning', subject: 'outlook.com', count: 312, until: ago(-9), since: ago(90) },
        ...{ reply: '451 4.7.500 Server busy', text: 'outlook.com rests.' },
      },
    ],
  },
  lastHour: { since: ago(60), accepted: 1204, relayed: 1180, delayed: 22, failed: 2, expired: 0, refused: 4, loginsFailed: 0 },
  latency: { since: ago(60), count: 1180, half: 1.1, most: 4 },
  last24Hours: { accepted: 18_310, relayed: 18_100, delayed: 301, failed: 44, expired: 0, refused: 61 },
  queue: { waiting: 334, held: 3, oldestAcceptedAt: ago(130) },
  destinations: { resting: 1, known: 210 },
  credentials: [use('exchange', 10_200), use('shop', 4105, 82), use('printer', 4, 4)],
  disk: { free: 41 * 2 ** 30, wanted: 2 ** 30 },
  certificates: [{ keyType: 'ecdsa', notAfter: ago(-61 * DAY), days: 61 }],
  ...{ port25: 'open', clockSkew: null, sessions: 3 },
  failures: [
    { at: ago(11), id: '1m80c1gp04xyz', recipient: 'bob@x.example', user: 'shop', reply: '550 5.1.1 No such user' },
    { at: ago(40), id: '1m80c1e7zdvtr', recipient: 'eve@gamma.test', user: 'exchange', reply: '550 5.1.1 No such user here' },
  ],
};

/** Method and path below `/api/v1` → the answer. */
export const PICTURE_ANSWERS: Readonly<Record<string, unknown>> = {
  'GET /session': {
    ...{
      signedIn: true,
      name: 'anna',
      role: 'admin',
      credentials: null,
      csrf: 'x',
      firstRun: false,
      secondFactor: true,
      secondFactorNeeded: false,
      recoveryCodes: 8,
    },
    ...{ createdAt: ago(50), confirmedAt: ago(50), endsAt: ago(-7 * DAY) },
  },
  'GET /status': status,
  'GET /history': history('shop'),
  'GET /refusals': { items: refusals, next: null },
  'GET /credentials/shop': shop,
  'GET /domains/shop.example': domain,
  'POST /domains/shop.example/check': check,
  'GET /messages/1m80c1e7zdvtr': message,
};
