/** The conversation with a destination is kept only for messages that ask for it. */
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../src/commands/commands.ts';
import { startRig } from '../support/delivery-rig.ts';
import { startMx } from '../support/mx.ts';
import { makePair, type Pair } from '../support/pair.ts';
import { startTestRelay, type TestRelayOptions } from '../support/relay.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await makePair('mx0.good.test');
});

/** Without the times. */
const words = (conversation = '') => conversation.split('\n').map((line) => line.replace(/^\d+\.\d{3} /, ''));

test('the transcript has the whole conversation with an MX, with its TLS, and of the text only the size', async () => {
  const { relay, mx } = await startRig({ hosts: [{ tls: pair }] });
  await relay.send('a@good.test'); // leaves a connection behind that another message could use
  const [outcome] = await relay.send('a@good.test', { recorded: true, text: 'Subject: secret\r\n\r\nof the text\r\n' });
  const said = words(outcome!.conversation);
  expect(said[0]).toMatch(/^\* connecting to mx0\.good\.test \[127\.0\.\d\.\d\] port \d+$/);
  expect(said.slice(1, 4)).toEqual(['< 220 mx0.good.test ESMTP ready', '> EHLO relay.example.net', '< 250-mx0.good.test']);
  expect(said).toContain('> STARTTLS');
  expect(said.find((line) => /TLS_/.test(line))).toMatch(
    /^\* TLSv1\.3 with TLS_AES_\w+; certificate of mx0\.good\.test by mx0\.good\.test until .* GMT, not trusted: DEPTH_ZERO_SELF_SIGNED_CERT$/,
  );
  expect(said.filter((line) => line.startsWith('> '))).toEqual([
    '> EHLO relay.example.net',
    '> STARTTLS',
    '> EHLO relay.example.net',
    '> MAIL FROM:<alice@sender.test> SIZE=32',
    '> RCPT TO:<a@good.test>',
    '> DATA',
    '> QUIT',
  ]);
  expect(said.slice(-3)).toEqual(['* … 32 bytes of message …', '< 250 2.0.0 Ok: taken as 2.0', '> QUIT']);
  expect(outcome!.conversation).not.toMatch(/secret|of the text/);
  expect(mx.messages).toHaveLength(2);
});

test('another message has no transcript', async () => {
  const { relay } = await startRig();
  const [outcome] = await relay.send('a@good.test');
  expect(outcome).not.toHaveProperty('conversation');
});

test('each host that was tried, and how it failed', async () => {
  const { relay } = await startRig({
    hosts: [{ script: { greeting: '554 5.3.2 Not today' } }, { script: { EHLO: { reply: '250 mx', thenClose: true } } }],
  });
  const [outcome] = await relay.send('a@good.test', { recorded: true });
  const said = words(outcome!.conversation);
  expect(said.filter((line) => line.startsWith('* '))).toEqual([
    expect.stringMatching(/connecting to mx0/),
    expect.stringMatching(/connecting to mx1/),
    expect.stringMatching(/lost \(MAIL\)/),
  ]);
  expect(said).toContain('< 554 5.3.2 Not today');
});

test('the password is sent to the upstream, and is not in the trace', async () => {
  const login = { user: 'us@up.test', password: 'geheim é' };
  const up = await startMx({ address: '127.0.4.2', hostname: 'up.test', tls: pair, auth: { ...login, mechanisms: ['LOGIN'] } });
  onTestFinished(() => up.close());
  const routes = [{ hosts: [`up.test:${up.port}`], login, tls: 'encrypt' }] as const;
  const { relay } = await startRig({ zone: { 'up.test': { A: ['127.0.4.2'] } }, delivery: { routes } });
  const [outcome] = await relay.send('a@any.test', { recorded: true });
  expect(outcome!.kind).toBe('relayed');
  const said = words(outcome!.conversation).filter((line) => line.startsWith('> '));
  expect(said.slice(3, 6)).toEqual(['> AUTH LOGIN', '> ***', '> ***']);
  for (const word of [login.user, login.password])
    expect(outcome!.conversation).not.toContain(Buffer.from(word).toString('base64'));
});

/** A command beside the relay, as a process of its own would run it. */
async function command(relay: { readonly file: string }, ...args: string[]) {
  let [out, err] = ['', ''];
  const code = await runCommand([...args, '--config', relay.file], {
    env: {},
    cwd: '/',
    out: async (text) => void (out += text),
    err: (text) => void (err += `${text}\n`),
    stdin: (async function* () {})(),
    interactive: false,
  });
  return { code, out, err };
}

async function startRelay(options?: TestRelayOptions) {
  const relay = await startTestRelay(options);
  onTestFinished(() => relay.close());
  return relay;
}

test('send --verbose follows a message through the relay, and prints what was said; trace --verbose does so later', async () => {
  const relay = await startRelay();
  const sent = await command(relay, 'send', '--to', 'bob@dest.test', '--verbose');
  expect(sent).toMatchObject({ code: 0 });
  expect(sent.err).toMatch(/^ {2}Subject: Test message from relay\.test$/m);
  expect(sent.err).toMatch(
    /relayed mx\.dest\.test .*\n(?: {6}\d\.\d{3} [*<>] .*\n)* {6}\d\.\d{3} > EHLO relay\.test\n {6}\d\.\d{3} < 250-mx\.dest\.test\n/,
  );
  expect(sent.err).toMatch(/^ {6}\d\.\d{3} < 250 2\.0\.0 Ok/m);
  const id = /Queued as (\S+)\./.exec(sent.err)![1]!;
  expect((await command(relay, 'trace', id)).out).not.toContain('EHLO');
  expect((await command(relay, 'trace', id, '--verbose')).out).toMatch(/^ {6}\d\.\d{3} > EHLO relay\.test$/m);
  const [message] = JSON.parse((await command(relay, 'trace', id, '--json')).out);
  expect(message.recipients[0].attempts[0].conversation[1]).toMatch(/^\d\.\d{3} < 220 /);
});

test('send without --verbose keeps it too, and says where it is when the message was not taken', async () => {
  const relay = await startRelay({ mx: { script: { RCPT: '550 5.1.1 No such user here' } } });
  const sent = await command(relay, 'send', '--to', 'bob@dest.test');
  expect(sent.code).toBe(1);
  expect(sent.err).not.toContain('EHLO');
  const hint = /What was said: smarthost (trace \S+ --verbose)$/m.exec(sent.err)![1]!;
  expect((await command(relay, ...hint.split(' '))).out).toMatch(/^ {6}\d\.\d{3} < 550 5\.1\.1 No such user here$/m);
});

test('send asks the routes whether to sign', async () => {
  const yaml = "routes: [{ recipientDomain: plain.test, hosts: ['127.0.0.1:MX_PORT'], tls: none, sign: false }]";
  const relay = await startRelay({ yaml });
  for (const to of ['bob@plain.test', 'bob@dest.test'])
    expect(await command(relay, 'send', '--to', to, '--from', 'app@sender.test')).toMatchObject({ code: 0 });
  const [plain, signed] = await relay.mx.received(2);
  expect(plain!.data.toString()).not.toMatch(/^DKIM-Signature:/m);
  expect(signed!.data.toString().match(/^DKIM-Signature:/gm)).toHaveLength(2);
});
