/**
 * Asks the resolvers of this machine over UDP, and over TCP if an answer is truncated (RFC 7766 §5). `node:dns` is not enough: it does not
 * say whether an answer was validated, nor how long most answers are valid.
 */
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCache } from '../system/cache.ts';
import { SECOND } from '../system/clock.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import { type DnsMessage, decodeMessage, describeFailure, nameOfRcode, type Question } from './message.ts';
import { createQuestionSockets, type Endpoint, type Exchanged } from './question-socket.ts';

type ResolverOptions = {
  /** `127.0.0.1:5300`, `[::1]:53`. If empty, those in /etc/resolv.conf at the time of the question. */
  readonly servers: readonly string[];
  /** Milliseconds that a server has for one answer. */
  readonly timeout: number;
  /** True for a server whose validation counts. Absent: for none. */
  readonly isTrusted?: (server: string) => boolean;
};

/** The result of a question: an answer (also a negative one), or the reason why there is none. */
export type ResolverReply =
  | { readonly kind: 'answered'; readonly message: DnsMessage; readonly server: string }
  /** A resolver responded with an error: SERVFAIL, REFUSED, a broken message. */
  | { readonly kind: 'failed'; readonly why: Phrase /** `REFUSED` */; readonly rcode?: string; readonly server: string }
  /** No resolver responded. */
  | { readonly kind: 'silent'; readonly why: Phrase };

type Resolver = {
  ask(question: Question): Promise<ResolverReply>;
  /** A question that every resolver with access to the internet can answer. */
  askRoot(): Promise<ResolverReply>;
  /** False if no question is answered at the moment, so that a failure says nothing about the name. */
  works(): Promise<boolean>;
};

const NXDOMAIN = 3;
const FORMERR = 1;
/** How many times each server is asked. */
const ROUNDS = 2;
/** Pause after SERVFAIL. A resolver that has just started, or has lost a packet, may answer the next time. */
const AFTER_SERVFAIL = SECOND;
/** Milliseconds. An answer within this time shows that look-ups work. */
const RECENT = 60 * SECOND;
/** Pause before the next test whether look-ups work. */
const TRY_AGAIN = 10 * SECOND;
const ROOT: Question = { name: '', type: 'SOA' };
/** Most questions at the same time. Each may use a socket. */
const MAX_QUESTIONS = 256;
/** Over TCP, two octets before a message give its length: RFC 1035 §4.2.2. */
const MAX_STREAM = 65_535 + 2;

/** Its questions never reject. */
export function createResolver({ servers, timeout, isTrusted = () => false }: ResolverOptions): Resolver {
  const gate = createGate(MAX_QUESTIONS);
  const sockets = createQuestionSockets();
  const configured = servers.length > 0 ? () => servers : createSystemServers();
  /** Monotonic, like `triedAt`. */
  let answeredAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let trying: Promise<void> | undefined;
  const sound = createCache<string, Promise<boolean>>(MAX_SERVERS, TRY_AGAIN);

  /** True if the server answers for the root, so that it is the name that it has no answer for. */
  function isSound(server: string): Promise<boolean> {
    const known = sound.get(server);
    if (known !== undefined) return known;
    const asked = askOne(ROOT, server, { timeout, sockets }).then(({ kind }) => kind === 'answered');
    sound.set(server, asked);
    return asked;
  }

  async function ask(question: Question): Promise<ResolverReply> {
    await gate.enter();
    try {
      const reply = await askAll(question, configured(), { timeout, isTrusted, isSound, sockets });
      if (reply.kind === 'answered') answeredAt = performance.now();
      return reply;
    } finally {
      gate.leave();
    }
  }

  async function tryRoot(): Promise<void> {
    await ask(ROOT);
    triedAt = performance.now();
    trying = undefined;
  }

  async function works(): Promise<boolean> {
    const answers = () => performance.now() - answeredAt < RECENT;
    if (answers()) return true;
    if (performance.now() - triedAt >= TRY_AGAIN) await (trying ??= tryRoot());
    return answers();
  }
  return { ask, askRoot: () => ask(ROOT), works };
}

type Asker = Pick<ResolverOptions, 'timeout'> & { readonly sockets: ReturnType<typeof createQuestionSockets> };
type Asking = Asker & Required<Pick<ResolverOptions, 'isTrusted'>> & { readonly isSound: (server: string) => Promise<boolean> };

/**
 * Asks one server after the other until one answers, in up to `ROUNDS` rounds. If a server that is trusted works and has no answer for a
 * name, only others that are trusted are asked: one that does not validate would pass on what is forged. RFC 7672 §2.1.1
 */
async function askAll(question: Question, all: readonly string[], asking: Asking) {
  const { timeout, isTrusted, isSound } = asking;
  let servers = all;
  let failed: ResolverReply | undefined;
  let silent: ResolverReply = { kind: 'silent', why: phrase`no resolver is configured` };
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of servers) {
      if (!servers.includes(server)) continue;
      const reply = await askOne(question, server, asking);
      if (reply.kind === 'answered') return reply;
      if (reply.kind === 'silent') silent = reply;
      else failed = reply;
      const isUnproven = reply.kind === 'silent' || reply.rcode === 'SERVFAIL';
      if (isUnproven && isTrusted(server) && !servers.every(isTrusted) && (await isSound(server)))
        servers = servers.filter(isTrusted);
    }
    const isPassing = failed?.kind === 'failed' && failed.rcode === 'SERVFAIL';
    if (isPassing && round + 1 < ROUNDS) await sleep(Math.min(AFTER_SERVFAIL, timeout), undefined, { ref: false });
    else if (failed !== undefined) break; // the servers would refuse again
  }
  return failed ?? silent;
}

async function askOne(question: Question, server: string, asker: Asker): Promise<ResolverReply> {
  const endpoint = endpointOf(server);
  let reply = await exchange(question, endpoint, { ...asker, edns: true });
  const knowsNoEdns = !('kind' in reply) && reply.rcode === FORMERR; // RFC 6891 §7
  if (knowsNoEdns) reply = await exchange(question, endpoint, { ...asker, edns: false });
  if ('kind' in reply) return reply;
  if (reply.rcode !== 0 && reply.rcode !== NXDOMAIN) {
    return { kind: 'failed', why: describeFailure(reply), rcode: nameOfRcode(reply.rcode), server };
  }
  return { kind: 'answered', message: reply, server };
}

type Failed = Exclude<ResolverReply, { kind: 'answered' }>;

/** Asks one server once. Uses TCP if the datagram was truncated. */
async function exchange(question: Question, endpoint: Endpoint, { sockets, ...manner }: Asker & { readonly edns: boolean }) {
  const exchanged = await sockets.ask(question, endpoint, manner);
  const { result } = exchanged;
  return 'kind' in result || !result.isTruncated ? result : overTcp(exchanged, endpoint, manner.timeout);
}

function overTcp({ packet, isAnswer }: Exchanged, { host, port, server }: Endpoint, timeout: number) {
  return new Promise<DnsMessage | Failed>((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    let held: Buffer = Buffer.alloc(0);
    const end = (result: DnsMessage | Failed) => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      resolve(result);
    };
    const failed = (how: Phrase) => end({ kind: 'failed', why: phrase`over TCP ${how}`, server });
    const timer = setTimeout(() => failed(phrase`${server} does not answer`), timeout);
    socket.on('error', (error: NodeJS.ErrnoException) => failed(phrase`${server}: ${error.code ?? error.message}`));
    socket.on('end', () => failed(phrase`${server} closed before its answer`));
    socket.on('data', (chunk: Buffer) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) {
        if (held.length > MAX_STREAM) failed(phrase`${server} sent too much`);
        return;
      }
      const message = decodeMessage(held.subarray(2, 2 + held.readUInt16BE(0)));
      if (message === undefined || message.isTruncated || !isAnswer(message)) failed(phrase`${server} sent no answer`);
      else end(message);
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(packet.length);
    socket.write(Buffer.concat([length, packet]));
  });
}

/** `127.0.0.1:5300`, `[::1]:53`, `192.0.2.1`, `2001:db8::1`. */
function endpointOf(server: string): Endpoint {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? [];
  return { host: bracketed ?? plain ?? server, port: Number(port ?? 53), server };
}

const RESOLV_CONF = '/etc/resolv.conf';
/** If the file names no server, the one on this machine is asked: resolv.conf(5). */
const NOBODY_NAMED = ['127.0.0.1'];
const MAX_SERVERS = 3;

/** Reads the file again after a change: the network or the operator may write it while the relay runs. */
export function createSystemServers(path = RESOLV_CONF): () => readonly string[] {
  let readAt = Number.NEGATIVE_INFINITY;
  let version = '';
  let servers: readonly string[] = NOBODY_NAMED;
  return () => {
    const now = performance.now();
    if (now - readAt < SECOND) return servers;
    readAt = now;
    try {
      const { mtimeMs, ino, size } = statSync(path);
      const found = `${mtimeMs} ${ino} ${size}`;
      if (found !== version) servers = parseServers(readFileSync(path, 'utf8'));
      version = found;
    } catch {
      version = ''; // the file is being replaced: the known servers stay
    }
    return servers;
  };
}

/** The `nameserver` lines of resolv.conf(5). */
export function parseServers(text: string): readonly string[] {
  const named = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address]) => address!);
  return named.length === 0 ? NOBODY_NAMED : named.slice(0, MAX_SERVERS);
}

/** Lets at most `places` tasks run at the same time. The others wait in order. */
function createGate(places: number) {
  const waiting: (() => void)[] = [];
  let free = places;
  return {
    enter(): Promise<void> | undefined {
      if (free === 0) return new Promise((enter) => waiting.push(enter));
      free--;
      return undefined;
    },
    leave(): void {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    },
  };
}
