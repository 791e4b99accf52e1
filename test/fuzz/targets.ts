/** The parsers that meet bytes from outside, each with what must hold for any bytes at all. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { readClientHello } from '../../src/certificates/client-hello.ts';
import { formatConfig, parseConfig } from '../../src/config/config.ts';
import { parseExtensions } from '../../src/delivery/extensions.ts';
import { cleanReply, MalformedReply, type RemoteReply, ReplyReader, toReply } from '../../src/delivery/reply-reader.ts';
import { judgeSession, judgeTransaction } from '../../src/delivery/verdict.ts';
import { parseAddressList } from '../../src/preparation/address-list.ts';
import { readBrought } from '../../src/preparation/brought-signatures.ts';
import { complete } from '../../src/preparation/completion.ts';
import { authorOf } from '../../src/preparation/from.ts';
import { mendField, parseHeader } from '../../src/preparation/header.ts';
import { Lines } from '../../src/preparation/newlines.ts';
import { checkForm, withoutRemoved } from '../../src/preparation/prepared-header.ts';
import { relaxField } from '../../src/signing/header-hash.ts';
import { parseMailbox, parsePath } from '../../src/smtp/address.ts';
import { formatReply, Refusal } from '../../src/smtp/reply.ts';
import { decodeXtext, encodeXtext } from '../../src/smtp/xtext.ts';
import { beginExchange, continueExchange } from '../../src/submission/authentication.ts';
import { CommandReader, type LineProblem } from '../../src/submission/command-reader.ts';
import { DataReader } from '../../src/submission/data-reader.ts';
import { parseMailParameters, parseRecipientParameters } from '../../src/submission/mail-parameters.ts';
import { parseProxyHeader } from '../../src/submission/proxy-protocol.ts';
import { parseMail, parseRecipient } from '../../src/submission/transaction.ts';
import { acmeAnswers, dnsAnswers, dnsTexts, keyRecords, reportRecords, stsPolicies, stsRecords } from './targets-answers.ts';
import { certificateKeys, tlsaRecords } from './targets-certificates.ts';
import { dnsLookups } from './targets-dns.ts';
import { aggregateReports, feedbackFiles } from './targets-feedback.ts';

/**
 * Throws where a promise is broken. @returns a word for what the parser did: an input that gives a new one is worth keeping.
 * @param cut where the bytes are cut for those parsers that must not care
 */
export type Target = (input: Buffer, cut: number) => string | Promise<string>;

const CONTROL = /[\x00-\x1f\x7f]/;

/** What it refuses is a Refusal, and its reply is one line of text. */
function refusalOr(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    assert.match(formatReply(error.reply), /^(?:\d{3}[ -][^\r\n]*\r\n)+$/);
    return `${error.reply.code} ${error.reply.text.slice(0, 30)}`;
  }
}

const pieces = (input: Buffer, cut: number) => [input.subarray(0, cut), input.subarray(cut)];

function commands(input: Buffer, cut: number): string {
  const read = (chunks: readonly Buffer[]) => {
    const reader = new CommandReader();
    const lines: (string | LineProblem)[] = [];
    for (const chunk of chunks) {
      reader.push(chunk);
      for (let line = reader.next(); line !== undefined; line = reader.next()) lines.push(line);
      assert.ok(reader.pending <= 12_288, `keeps ${reader.pending} octets of one line`);
    }
    return lines;
  };
  const lines = read([input]);
  assert.deepEqual(read(pieces(input, cut)), lines);
  for (const line of lines) if (typeof line === 'string') assert.doesNotMatch(line, CONTROL);
  return lines
    .map((line) => (typeof line === 'string' ? line.slice(0, 4).toUpperCase() : line.problem))
    .slice(0, 4)
    .join();
}

function addresses(input: Buffer): string {
  const text = input.toString('utf8');
  const path = parsePath(text);
  for (const candidate of [text, path?.mailbox ?? '']) {
    const mailbox = parseMailbox(candidate);
    if (typeof mailbox === 'string') continue;
    const again = parseMailbox(mailbox.address);
    assert.ok(typeof again !== 'string', `${JSON.stringify(mailbox.address)} is taken once only: ${again}`);
    assert.equal(again.address, mailbox.address);
    assert.doesNotMatch(mailbox.address, CONTROL);
    assert.doesNotMatch(mailbox.address, /[\s<>]+[^"]*$/);
  }
  const result = parseMailbox(path?.mailbox ?? text);
  return `${path === undefined ? 'no path' : path.rest === '' ? 'path' : 'rest'} ${typeof result === 'string' ? result : `${result.needsUtf8} ${result.address.startsWith('"')}`}`;
}

function addressLists(input: Buffer): string {
  const text = input.toString('utf8').replaceAll(/[\r\n\0]/g, ' ');
  const list = parseAddressList(text);
  if (typeof list === 'string') return list;
  for (const { address } of list) assert.match(address, /.*@[^@]+$|@\[.*\]$/s);
  return `${Math.min(list.length, 5)} ${list.some(({ phrase }) => phrase !== '')} ${list[0]?.address.startsWith('"')}`;
}

function headers(input: Buffer): string {
  const { header, refusal } = lines([input], 'normalize');
  if (refusal !== undefined) return refusal;
  const section = parseHeader(header);
  if (section.brokenLine === undefined) assert.equal(section.fields.map(({ text }) => text).join(''), header.toString('latin1'));
  for (const { name } of section.fields) assert.match(name, /^[!-9;-~]+$/);
  withoutRemoved(section.fields, readBrought(section.fields, 0)?.fitting('').covered ?? new Map());
  const envelope = { reversePath: '', recipients: [], body: '7BIT', smtpUtf8: false } as const;
  complete({ fields: section.fields, covered: new Map(), hostname: 'b.test', request: { queueId: 'a', now: 0, envelope } });
  for (const field of section.fields) {
    const mended = mendField(field);
    assert.equal(relaxField(mended), relaxField(field));
    assert.doesNotMatch(mended.text, /\n[ \t]*\r/);
  }
  const form = refusalOr(() => `${checkForm(section, 'relay.example.net')}`);
  const author = section.fields.length === 0 ? '' : refusalOr(() => `${authorOf(section.fields, '').from.length > 1}`);
  return `${section.brokenLine !== undefined} ${form} ${author}`;
}

/** SIZE, BODY, SMTPUTF8, REQUIRETLS, RET, ENVID, NOTIFY and ORCPT, alone and behind their commands. */
function parameters(input: Buffer): string {
  const text = input.toString('utf8');
  const mail = refusalOr(() => {
    const { envid, ...others } = parseMailParameters(text, true);
    const limits = { maxMessageSize: Number.MAX_VALUE, requireTls: 'offer' } as const;
    assert.deepEqual(parseMail(`FROM:<> ${text}`, limits), { path: '', parameters: parseMailParameters(text.trim(), true) });
    if (envid !== undefined) holdsXtext(envid);
    return `${envid !== undefined} ${Object.keys(others).sort().join()}`;
  });
  const recipient = refusalOr(() => {
    const { notify, orcpt } = parseRecipientParameters(text);
    if (orcpt !== undefined) {
      assert.doesNotMatch(orcpt, /[^\x21-\x7e]/);
      holdsXtext(orcpt.slice(orcpt.indexOf(';') + 1));
    }
    return `${notify?.join()} ${orcpt?.split(';')[0]?.slice(0, 8)}`;
  });
  const whole = refusalOr(() => `${Object.keys(parseMail(text, { maxMessageSize: 1000, requireTls: 'off' }).parameters).length}`);
  return `${mail} | ${recipient} | ${whole} | ${refusalOr(() => Object.keys(parseRecipient(text, true, 'operator@x.test')).join())}`;
}

/** What was taken means the same when we say it ourselves. */
function holdsXtext(text: string): void {
  const meaning = decodeXtext(text);
  assert.ok(meaning !== undefined, `${text} is taken, and is no xtext`);
  assert.doesNotMatch(meaning, CONTROL);
  assert.equal(decodeXtext(encodeXtext(meaning)), meaning);
}

function logins(input: Buffer): string {
  const [first = '', ...answers] = input.toString('utf8').split('\r\n');
  return refusalOr(() => {
    let step = beginExchange(first);
    for (const answer of answers) {
      if (!('challenge' in step)) break;
      step = continueExchange(step.exchange, answer);
    }
    if ('challenge' in step) return `challenge ${step.exchange.mechanism} ${step.exchange.name === undefined}`;
    assert.ok(!step.login.name.includes('\0') && !step.login.password.includes('\0'));
    return `login ${step.login.mechanism} ${step.login.name === ''}`;
  });
}

/** Only a clear 5yz to an envelope or its text ends in failure: what a reply to each step leads to. */
function judge(reply: RemoteReply): string {
  for (const value of parseExtensions(reply).auth) assert.doesNotMatch(value, /[ =]/);
  const verdicts = [
    ...(['greeting', 'EHLO', 'AUTH'] as const).map((stage) => [stage, judgeSession(stage, reply)] as const),
    ...(['MAIL', 'RCPT', 'DATA', 'dot'] as const).map(
      (stage) => [stage, judgeTransaction(stage, reply, { tls: 'on', upstream: false })] as const,
    ),
  ];
  const kinds = verdicts.map(([stage, { kind, reply: said }]) => {
    const final = kind === 'relayed' || kind === 'failed' ? Math.floor(reply.code / 100) : 4;
    assert.match(said.status, new RegExp(`^${final}\\.`), `${stage} ${reply.code} ${said.status} ${kind}`);
    return kind[0];
  });
  return kinds.join('');
}

function remoteReplies(input: Buffer, cut: number): string {
  const judged = new Set<string>();
  const read = (chunks: readonly Buffer[]) => {
    const reader = new ReplyReader();
    const found: unknown[] = [];
    try {
      for (const chunk of chunks) {
        reader.push(chunk);
        for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
          const { text, words = '', status } = toReply(reply);
          assert.doesNotMatch(text + words, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
          assert.ok(text.length <= 2001 && cleanReply(text).length <= 2001);
          assert.match(status, /^[2345]\.\d{1,3}\.\d{1,3}$/);
          judged.add(judge(reply));
          found.push(reply);
        }
      }
    } catch (error) {
      if (!(error instanceof MalformedReply)) throw error;
      found.push(error.message.slice(0, 20));
    }
    return found;
  };
  const whole = read([input]);
  // a line without end is noticed earlier where it comes in more pieces
  if (input.length < 60_000) assert.deepEqual(read(pieces(input, cut)), whole);
  const last = whole.at(-1);
  return `${[...judged].slice(0, 2)} ${Math.min(whole.length, 4)} ${typeof last === 'string' ? last.slice(0, 14) : Math.floor(((last as { code: number } | undefined)?.code ?? 0) / 100)}`;
}

function lines(chunks: readonly Buffer[], bareNewlines: 'normalize' | 'reject') {
  let header = Buffer.alloc(0);
  const body: Buffer[] = [];
  let refusal: string | undefined;
  const reader = new Lines(
    {
      header: (section) => {
        header = Buffer.from(section);
      },
      body: (piece) => body.push(Buffer.from(piece)),
      refuse: (one) => {
        refusal ??= one.reply.text;
      },
    },
    { bareNewlines, maxHeaderSize: Number.POSITIVE_INFINITY },
  );
  for (const chunk of chunks) reader.write(Buffer.from(chunk));
  reader.end();
  return { header, body: Buffer.concat(body), refusal, bare: reader.bareNewlines };
}

/** DATA as the session reads it: unstuffed, then made clean. */
function content(input: Buffer, cut: number): string {
  const read = (chunks: readonly Buffer[]) => {
    const reader = new DataReader();
    const found: Buffer[] = [];
    for (const chunk of chunks) {
      if (reader.rest === undefined) found.push(Buffer.from(reader.read(Buffer.from(chunk))));
    }
    return { text: Buffer.concat(found), ended: reader.rest !== undefined, loneDot: reader.loneDot };
  };
  const whole = read([input]);
  assert.deepEqual(read(pieces(input, cut)), whole);
  const end = Buffer.concat([Buffer.from('\r\n'), input]).indexOf('\r\n.\r\n');
  assert.equal(whole.ended, end !== -1, 'ends at CRLF.CRLF and nowhere else');
  for (const mode of ['normalize', 'reject'] as const) {
    const once = lines([whole.text], mode);
    const twice = lines(pieces(whole.text, Math.min(cut, whole.text.length)), mode);
    assert.equal(twice.refusal, once.refusal);
    if (once.refusal !== undefined) continue;
    assert.deepEqual(twice, once);
    const cleanReply = Buffer.concat([once.header, once.body]).toString('latin1');
    assert.doesNotMatch(cleanReply, /\0|\r(?!\n)|(?<!\r)\n/);
  }
  const { refusal, bare, body } = lines([whole.text], 'normalize');
  return `${whole.ended} ${whole.loneDot} ${refusal?.slice(0, 20)} ${bare} ${body.length > 0}`;
}

/** The YAML package takes some 8 microseconds for each bracket: with more of them one input would seem to hang. */
const MAX_YAML = 32 * 1024;
const configuration = (input: Buffer) =>
  configured({ path: '/etc/smarthost.yaml', text: input.toString('utf8', 0, MAX_YAML) }, {});

/** A variable a line; `SMARTHOST_` stands before all of them. Files are not read: theirs do not exist. */
function environment(input: Buffer): Promise<string> {
  const variables = input
    .toString('utf8')
    .split('\n')
    .map((line) => line.split(/=(.*)/s))
    .map(([name = '', value = '']) => [`SMARTHOST_${name}`, name.endsWith('_FILE') ? '/nowhere/at/all' : value] as const);
  return configured(undefined, Object.fromEntries(variables));
}

async function configured(file: { path: string; text: string } | undefined, env: Record<string, string>): Promise<string> {
  const loaded = await parseConfig(file, { env, cwd: '/' });
  if ('config' in loaded) {
    assert.ok((await formatConfig(loaded.config)).length > 0);
    return `ok ${loaded.warnings.length}`;
  }
  assert.ok(loaded.problems.length > 0);
  for (const { message } of loaded.problems) assert.ok(message.length > 0);
  const [first] = loaded.problems;
  return `${first!.path.split(/[.[]/)[0]!.slice(0, 12)} ${first!.message.replace(/".*"|\d+/g, '').slice(0, 24)}`;
}

function proxyHeaders(input: Buffer): string {
  const header = parseProxyHeader(input);
  if (header.kind !== 'header') return header.kind;
  assert.ok(header.length <= input.length);
  if (header.address !== undefined) assert.notEqual(isIP(header.address), 0, header.address);
  for (let length = 0; length < header.length; length++)
    assert.equal(parseProxyHeader(input.subarray(0, length)).kind, 'incomplete');
  return `header ${isIP(header.address ?? '')} ${input[0]}`;
}

function clientHellos(input: Buffer): string {
  const hello = readClientHello(input);
  if (hello === undefined || hello === 'more') return String(hello);
  assert.ok(hello.protocols.length <= 16_384);
  return `hello ${hello.serverName === undefined} ${Math.min(hello.protocols.length, 4)}`;
}

export const TARGETS: Readonly<Record<string, Target>> = {
  ...{ commands, addresses, addressLists, headers, parameters, logins },
  ...{ remoteReplies, content, configuration, environment, proxyHeaders, clientHellos },
  ...{
    dnsAnswers,
    dnsLookups,
    dnsTexts,
    keyRecords,
    stsRecords,
    stsPolicies,
    reportRecords,
    acmeAnswers,
    tlsaRecords,
    certificateKeys,
    aggregateReports,
    feedbackFiles,
  },
};
