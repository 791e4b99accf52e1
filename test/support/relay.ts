/** A whole relay in the test's own process, on free ports, with a fake DNS and a fake MX beside it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { formatProblem, loadConfig } from '../../src/config/config.ts';
import { hashPassword, normalizeName } from '../../src/credentials/credentials.ts';
import { startRelay as start } from '../../src/relay/relay.ts';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import { type Credential, openStore, type Store } from '../../src/store/store.ts';
import { credentialWith } from './credential.ts';
import { startDnsServer, type ZoneRecords } from './dns-server.ts';
import { type MxServerOptions, startMxServer } from './mx-server.ts';
import { testStore } from './test-store.ts';
import { testThreads } from './threads.ts';

export type TestRelayOptions = {
  /** YAML that is put behind the defaults of the tests; top-level keys must not repeat. */
  readonly yaml?: string;
  readonly zone?: Readonly<Record<string, ZoneRecords>>;
  readonly mx?: Partial<MxServerOptions>;
  readonly user?: Partial<Credential>;
  /** Domains with DKIM keys, published in the fake DNS. Default: sender.test. */
  readonly domains?: readonly string[];
  /** Takes the place of reading the file again. */
  readonly reload?: Parameters<typeof start>[0]['reload'];
  /** The result of the check of port 25 at the start. */
  readonly probe?: Parameters<typeof start>[0]['probe'];
  /** Keep: the data directory of an earlier relay. */
  readonly dataDir?: string;
};

export type LogLine = Readonly<Record<string, any>> & { readonly event: string };
export const PASSWORD = 'correct horse battery staple';
export const USER = 'app@sender.test';

export type TestRelay = Awaited<ReturnType<typeof startTestRelay>>;

export async function startTestRelay(options: TestRelayOptions = {}) {
  const folder = options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'smarthost-test-')) : undefined;
  const dataDir = options.dataDir ?? join(folder!, 'data');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const mx = await startMxServer({ hostname: 'mx.dest.test', ...options.mx });
  const dns = await startDnsServer({
    zone: {
      'dest.test': { MX: ['10 mx.dest.test'] },
      'mx.dest.test': { A: ['127.0.0.1'] },
      'sender.test': { MX: ['10 mx.dest.test'] },
      ...options.zone,
    },
  });
  const file = join(folder ?? dataDir, 'test.yaml');
  const yaml = options.yaml ?? '';
  await writeFile(file, configuration({ dataDir, mxPort: mx.port, dns: dns.server, yaml, store: await testStore(dataDir) }));
  const store = await openStore(await load(file));
  await fill(store, options, dns);
  await store.close();
  const log: LogLine[] = [];
  const waiting = new Set<() => void>();
  const relay = await start({
    config: await load(file),
    source: { file, env: {} },
    ...(options.probe === undefined ? {} : { probe: options.probe }),
    reload:
      options.reload ??
      (async () => {
        const result = await loadConfig({ file, env: {} });
        return 'problems' in result ? { problems: result.problems.map(formatProblem) } : result;
      }),
    write(lines) {
      for (const line of lines.split('\n')) if (line !== '') log.push(JSON.parse(line));
      for (const look of waiting) look();
    },
  });
  const portOf = (name: string) => relay.listening.find((entry) => entry.name === name)!.port;
  return {
    ...relay,
    mx,
    dns,
    dataDir,
    file,
    log,
    ports: { submissions: portOf('submissions'), submission: portOf('submission'), admin: portOf('admin') },
    /** Resolves with the first log line that fits, past or future. */
    logged(event: string, fits: (line: LogLine) => boolean = () => true, timeout = 90_000): Promise<LogLine> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`no ${event} within ${timeout} ms; seen: ${log.map((line) => line.event).join(' ')}`));
        }, timeout);
        const look = () => {
          const found = log.find((line) => line.event === event && fits(line));
          if (found === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    },
    async close() {
      await relay.close('test');
      await Promise.all([mx.close(), dns.close()]);
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function load(file: string) {
  const result = await loadConfig({ file, env: {} });
  if ('problems' in result) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.config;
}

async function fill(
  store: Store,
  options: TestRelayOptions,
  dns: { set(name: string, records: ZoneRecords): void },
): Promise<void> {
  const own = { name: normalizeName(USER), hash: await hashPassword(PASSWORD), senders: ['@sender.test'], createdAt: Date.now() };
  await store.credentials.add(credentialWith({ ...own, ...options.user }));
  for (const domain of options.domains ?? ['sender.test']) {
    if ((await store.operation.dkimKeys(domain)).length > 0) continue;
    const keys = (await createDkimKeys({ domain, now: Date.now() })).map((key) => ({ ...key, state: 'active' as const }));
    await store.operation.addDkimKeys(keys);
    for (const record of keys.map(dkimRecord)) dns.set(record.name, { TXT: [record.value] });
  }
}

type Configured = {
  readonly dataDir: string;
  readonly mxPort: number;
  readonly dns: string;
  readonly yaml: string;
  readonly store: object | undefined;
};

function configuration({ dataDir, mxPort, dns, yaml, store }: Configured): string {
  const own = new Set([...yaml.matchAll(/^(\w+):/gm)].map(([, key]) => key));
  const defaults = {
    hostname: 'relay.test',
    dataDir,
    listen: "{ submissions: ['127.0.0.1:0'], submission: ['127.0.0.1:0'], admin: ['127.0.0.1:0'], console: [] }",
    tls: '{ mode: self-signed }',
    delivery: `{ port: ${mxPort}, allowPrivate: [127.0.0.0/8], ip: v4-only }`,
    dns: `{ servers: ['${dns}'] }`,
    queue: '{ minFree: 1MiB }',
    threads: testThreads(),
    ...(store === undefined ? {} : { store: JSON.stringify(store) }),
  };
  const lines = Object.entries(defaults).filter(([key]) => !own.has(key));
  return `${lines.map(([key, value]) => `${key}: ${value}\n`).join('')}${yaml.replaceAll('MX_PORT', String(mxPort))}\n`;
}

/** A client that sends given lines and returns complete replies. */
export async function openClient(port: number, { tls = false }: { tls?: boolean } = {}) {
  let socket: Socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1');
  let held = '';
  let ended = false;
  const waiting: (() => void)[] = [];
  const listen = () => {
    socket.on('data', (chunk) => {
      held += chunk.toString('latin1');
      for (const look of waiting.splice(0)) look();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      ended = true;
      for (const look of waiting.splice(0)) look();
    });
  };
  listen();
  const client = {
    get socket() {
      return socket;
    },
    async reply(): Promise<string> {
      for (;;) {
        const whole = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3} [^\r\n]*\r\n/.exec(held);
        if (whole !== null) {
          held = held.slice(whole[0].length);
          return whole[0].trimEnd();
        }
        if (ended) return 'closed';
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    send(text: string | Buffer): void {
      socket.write(text);
    },
    command(line: string): Promise<string> {
      socket.write(`${line}\r\n`);
      return client.reply();
    },
    async startTls(): Promise<void> {
      await client.command('STARTTLS');
      socket.removeAllListeners();
      socket = connectTls({ socket, rejectUnauthorized: false });
      listen();
      await new Promise((resolve) => socket.once('secureConnect', resolve));
    },
    /** EHLO and AUTH PLAIN. */
    async login(user = USER, password = PASSWORD): Promise<string> {
      await client.command('EHLO client.test');
      return client.command(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`);
    },
    /** One message, whose text ends with CRLF; the last reply. */
    async message({
      from = USER,
      to = ['anna@dest.test'],
      text,
      parameters = '',
    }: {
      from?: string;
      to?: readonly string[];
      text: string | Buffer;
      /** Behind the path of MAIL, with a blank in front. */
      parameters?: string;
    }): Promise<string> {
      for (const line of [`MAIL FROM:<${from}>${parameters}`, ...to.map((address) => `RCPT TO:<${address}>`), 'DATA']) {
        const reply = await client.command(line);
        if (!/^[23]/.test(reply)) return reply;
      }
      client.send(text);
      return client.command('.');
    },
    close(): void {
      socket.destroy();
    },
  };
  await client.reply();
  return client;
}
