/** Scripts for hosts that hang, send slowly, lie, flood and split replies, at every stage, with the right result for mail to them. */
import type { MxAction, MxScript, MxServerOptions, MxStage } from './mx-server.ts';

/** One destination. `expected` is matched against `relayed 2.0.0`, `delayed 4.4.2`, `failed 5.1.1` or `uncertain 4.4.2`. */
export type Hostile = {
  readonly row: string;
  readonly name: string;
  readonly script: MxScript;
  readonly expected: RegExp;
  /** Which deadline of ours decides: that of a reply before the text, or those of the text and of its reply. Absent: what the host sends. */
  readonly deadline?: 'command' | 'text';
  readonly host?: Partial<MxServerOptions>;
  /** True if a well-behaved host with worse preference exists too. */
  readonly backup?: boolean;
  /** Speaks TLS. */
  readonly tls?: boolean;
};

const DELAYED = (status: string) => new RegExp(`^delayed ${status.replaceAll('.', '\\.')}$`);
const RELAYED = /^relayed 2\./;
/** After the final dot a meaningless reply counts as no reply: RFC 1047. */
const senseless = (stage: MxStage) => (stage === 'message' ? /^uncertain 4\.5\.0$/ : DELAYED('4.5.0'));
const COMMANDS = ['EHLO', 'MAIL', 'RCPT', 'DATA'] as const;
const ENVELOPE = ['MAIL', 'RCPT', 'DATA'] as const;
const PLAIN = { extensions: ['SIZE 1000000'] };

/** Each script with PIPELINING and without; the result must be the same. */
const bothWays = (one: Hostile): Hostile[] => [
  one,
  { ...one, name: `${one.name}, without PIPELINING`, host: { ...PLAIN, ...one.host } },
];
const at = (stage: MxStage, action: MxAction): MxScript => ({ [stage]: action });
const raw = (bytes: string | Buffer): MxAction => ({ raw: bytes });

const hangs: Hostile[] = [
  ...(['greeting', ...COMMANDS] as const).flatMap((stage) =>
    bothWays({
      row: 'R01',
      name: `hang at ${stage}`,
      script: at(stage, 'hang'),
      expected: DELAYED('4.4.2'),
      deadline: 'command',
    }),
  ),
  ...bothWays({
    row: 'R01',
    name: 'hang after 354',
    script: at('content', 'hang'),
    expected: /^uncertain 4\.4\.2$/,
    deadline: 'text',
  }),
  ...bothWays({
    row: 'R01',
    name: 'hang after the dot',
    script: at('message', 'hang'),
    expected: /^uncertain 4\.4\.2$/,
    deadline: 'text',
  }),
  ...bothWays({ row: 'R01', name: 'hang at QUIT', script: at('QUIT', 'hang'), expected: RELAYED }),
  {
    row: 'R01',
    name: 'hang at STARTTLS',
    script: at('STARTTLS', 'hang'),
    tls: true,
    expected: DELAYED('4.4.2'),
    deadline: 'command',
  },
  {
    row: 'R01',
    name: 'hang in the handshake',
    script: at('handshake', 'hang'),
    tls: true,
    expected: DELAYED('4.4.2'),
    deadline: 'command',
  },
];

/** Four minutes: longer than a test waits for the outcome, and shorter than what ends a reply for its size. */
const slow = (text: string): MxAction => ({ trickle: text, every: 60 });
const trickles: Hostile[] = [
  {
    row: 'R02',
    name: 'a greeting byte by byte',
    script: at('greeting', slow(`220 ${'x'.repeat(4000)}\r\n`)),
    expected: DELAYED('4.4.2'),
    deadline: 'command',
  },
  // What is answered by bytes is not the only reply under way with PIPELINING: then the host is out of step besides.
  ...COMMANDS.map(
    (stage): Hostile => ({
      row: 'R02',
      name: `the reply to ${stage} byte by byte`,
      script: at(stage, slow(`${stage === 'DATA' ? 354 : 250} ${'x'.repeat(4000)}\r\n`)),
      host: PLAIN,
      expected: DELAYED('4.4.2'),
      deadline: 'command',
    }),
  ),
  ...ENVELOPE.map(
    (stage): Hostile => ({
      row: 'R02',
      name: `the reply to ${stage} byte by byte, among others`,
      script: at(stage, slow(`${stage === 'DATA' ? 354 : 250} ${'x'.repeat(4000)}\r\n`)),
      expected: /^delayed 4\.(4\.2|5\.0)$/,
      deadline: 'command',
    }),
  ),
  {
    row: 'R02',
    name: 'the last reply byte by byte',
    script: at('message', slow(`250 ${'x'.repeat(4000)}\r\n`)),
    expected: /^uncertain/,
    deadline: 'text',
  },
  {
    row: 'R02',
    name: 'lines without end, one now and then',
    script: at('EHLO', slow('250-x\r\n'.repeat(600))),
    expected: DELAYED('4.4.2'),
    deadline: 'command',
  },
];

const BOMBS: readonly (readonly [string, string])[] = [
  ['a million lines', '250-x\r\n'.repeat(1_000_000)],
  ['one line of 4 MB', `250 ${'x'.repeat(4 * 1024 * 1024)}\r\n`],
  ['a line of 4 MB without an end', 'x'.repeat(4 * 1024 * 1024)],
];
const floods: Hostile[] = BOMBS.flatMap(([what, bytes]) =>
  (['greeting', ...COMMANDS, 'message'] as const).map(
    (stage): Hostile => ({ row: 'R03', name: `${what} at ${stage}`, script: at(stage, raw(bytes)), expected: senseless(stage) }),
  ),
);

const GARBAGE: readonly (readonly [string, string | Buffer])[] = [
  ['binary', Buffer.from('00ff80fe0a0d0a01', 'hex')],
  ['25', '25\r\n'],
  ['999', '999 what\r\n'],
  ['a code and a letter', '250x ok\r\n'],
  ['mixed codes in one reply', '250-ok\r\n550 no\r\n'],
  ['an empty line', '\r\n'],
  ['HTTP', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['a code out of place', '334 dXNlcg==\r\n'],
];
const garbage: Hostile[] = [
  ...GARBAGE.flatMap(([what, bytes]) =>
    (['greeting', ...COMMANDS, 'message'] as const).map(
      (stage): Hostile => ({
        row: 'R04',
        name: `${what} at ${stage}`,
        script: at(stage, raw(bytes)),
        expected: senseless(stage),
      }),
    ),
  ),
  ...ENVELOPE.slice(0, 2).map(
    (stage): Hostile => ({
      row: 'R04',
      name: `250 without a text at ${stage}`,
      script: at(stage, raw('250\r\n')),
      expected: RELAYED,
    }),
  ),
  { row: 'R04', name: 'a bare LF at MAIL', script: at('MAIL', raw('250 ok\n')), expected: /^relayed|^delayed 4\.5\.0$/ },
  {
    row: 'R04',
    name: 'a reply more with the greeting',
    script: at('greeting', raw('220 hi\r\n250 ok\r\n')),
    expected: DELAYED('4.5.0'),
  },
  {
    row: 'R04',
    name: 'replies in advance',
    script: at('greeting', raw(`220 hi\r\n${'250 ok\r\n'.repeat(3)}354 go\r\n250 ok\r\n`)),
    expected: DELAYED('4.5.0'),
  },
];

const CODES: readonly Hostile[] = [
  ['greeting', '421 4.3.2 Busy', '4.3.2'],
  ['greeting', '450 4.3.2 Busy', '4.3.2'],
  ['greeting', '554 5.7.1 Not you', '4.7.1'],
  ['EHLO', '421 4.3.2 Busy', '4.3.2'],
  ['EHLO', '450 4.3.2 Busy', '4.3.2'],
].map(
  ([stage, reply, status]): Hostile => ({
    row: 'R05',
    name: `${reply} at ${stage}`,
    script: at(stage as MxStage, reply),
    expected: DELAYED(status!),
  }),
);
const codes: Hostile[] = [
  ...CODES,
  ...CODES.map((one): Hostile => ({ ...one, name: `${one.name}, with another host`, backup: true, expected: RELAYED })),
  { row: 'R05', name: '502 to EHLO, HELO taken', script: at('EHLO', '502 5.5.1 What?'), expected: RELAYED },
  ...([...ENVELOPE, 'message'] as const).flatMap((stage) => [
    ...bothWays({ row: 'R05', name: `421 at ${stage}`, script: at(stage, '421 4.3.2 Busy'), expected: DELAYED('4.3.2') }),
    {
      row: 'R05',
      name: `421 at ${stage}, with another host`,
      script: at(stage, '421 4.3.2 Busy'),
      backup: true,
      expected: RELAYED,
    },
    ...bothWays({ row: 'R05', name: `451 at ${stage}`, script: at(stage, '451 4.3.0 Later'), expected: DELAYED('4.3.0') }),
    ...bothWays({ row: 'R05', name: `550 at ${stage}`, script: at(stage, '550 5.7.1 No'), expected: /^failed 5\.7\.1$/ }),
    { row: 'R05', name: `550 without a status at ${stage}`, script: at(stage, '550 No'), expected: /^failed 5\./ },
    { row: 'R05', name: `451 with a status of 5 at ${stage}`, script: at(stage, '451 5.7.1 No'), expected: /^delayed 4\./ },
    {
      row: 'R05',
      name: `close at ${stage}`,
      script: at(stage, 'close'),
      expected: stage === 'message' ? /^uncertain 4\.4\.2$/ : DELAYED('4.4.2'),
    },
  ]),
  ...['251 2.1.5 Forwarded', '252 2.1.5 Perhaps', '250 ok'].map(
    (reply): Hostile => ({ row: 'R05', name: `${reply} at RCPT`, script: at('RCPT', reply), expected: RELAYED }),
  ),
  { row: 'R05', name: '552 at RCPT', script: at('RCPT', '552 5.5.3 Too many'), expected: DELAYED('4.5.3') },
];

const orders: Hostile[] = [
  {
    row: 'R06',
    name: '354, then a close',
    script: at('DATA', { reply: '354 go', thenClose: true }),
    expected: /^(uncertain|delayed) 4\.4\.2$/,
  },
  {
    row: 'R06',
    name: '354, then a close at the first bytes',
    script: at('content', 'close'),
    expected: /^(uncertain|delayed) 4\.4\.2$/,
  },
  {
    row: 'R06',
    name: '354, then 554 and a close',
    script: at('content', { reply: '554 5.7.1 No', thenClose: true }),
    expected: /^(failed 5\.7\.1|uncertain 4\.4\.2|delayed 4\.)/,
  },
  {
    row: 'R06',
    name: '250 with the 354',
    script: at('DATA', raw('354 go\r\n250 ok\r\n')),
    expected: /^(delayed 4\.5\.0|uncertain)/,
  },
  ...bothWays({ row: 'R06', name: '250 instead of 354', script: at('DATA', '250 2.0.0 What?'), expected: DELAYED('4.5.0') }),
];

const byteByByte = (text: string): MxAction => ({ trickle: text, every: 2 });
const splits: Hostile[] = [
  {
    row: 'R07',
    name: 'each reply byte by byte',
    script: {
      greeting: byteByByte('220 hi\r\n'),
      EHLO: byteByByte('250-mx\r\n250 SIZE\r\n'),
      MAIL: byteByByte('250 ok\r\n'),
      RCPT: byteByByte('250 ok\r\n'),
      DATA: byteByByte('354 go\r\n'),
      message: byteByByte('250 2.0.0 ok\r\n'),
    },
    expected: RELAYED,
  },
  {
    row: 'R07',
    name: 'three replies in one, at the first command',
    script: { MAIL: raw('250 ok\r\n250 ok\r\n354 go\r\n'), RCPT: 'silent', DATA: 'silent' },
    expected: /^(delayed|uncertain|failed)/,
    deadline: 'command',
  },
  { row: 'R07', name: 'a reply too few', script: { DATA: 'silent' }, expected: DELAYED('4.4.2'), deadline: 'command' },
  { row: 'R07', name: 'a reply too many', script: { RCPT: raw('250 ok\r\n250 ok\r\n') }, expected: /^delayed 4\.5\.0$/ },
  {
    row: 'R07',
    name: 'a reply too many, without PIPELINING',
    script: { RCPT: raw('250 ok\r\n250 ok\r\n') },
    host: PLAIN,
    expected: /^delayed 4\.5\.0$/,
  },
];

const starttls: Hostile[] = [
  ['454', '454 4.7.0 Not now'],
  ['502', '502 5.5.1 What?'],
  ['garbage', raw('hello\r\n')],
  ['a close', 'close'],
].map(
  ([name, action]): Hostile => ({
    row: 'R08',
    name: `${name} to STARTTLS`,
    script: at('STARTTLS', action as MxAction),
    tls: true,
    expected: /^delayed 4/,
  }),
);
const handshakes: Hostile[] = [
  { row: 'R08', name: 'a close in the handshake', script: at('handshake', 'close'), tls: true, expected: DELAYED('4.7.5') },
  {
    row: 'R08',
    name: 'garbage in the handshake',
    script: { handshake: raw('this is no TLS record at all\r\n') },
    tls: true,
    expected: DELAYED('4.7.5'),
  },
];

export const HOSTILE: readonly Hostile[] = [
  ...hangs,
  ...trickles,
  ...floods,
  ...garbage,
  ...codes,
  ...orders,
  ...splits,
  ...starttls,
  ...handshakes,
];
