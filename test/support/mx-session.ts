/** One session of the small MX. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { ehloReply, parsePath } from './mx-commands.ts';
import { MxContent } from './mx-content.ts';
import { MxLogin } from './mx-login.ts';
import type { MxAction, MxContext, MxServerOptions, MxStage, ReceivedMessage } from './mx-types.ts';

export type MxSessionOptions = {
  readonly number: number;
  readonly options: MxServerOptions;
  readonly context: SecureContext | undefined;
  readonly script: () => NonNullable<MxServerOptions['script']>;
  readonly heard: (line: string) => void;
  readonly took: (message: ReceivedMessage) => void;
};

export class MxSession {
  readonly #given: MxSessionOptions;
  #socket: Socket;
  #input: Buffer = Buffer.alloc(0);
  #busy = false;
  #deaf = false;
  #content: MxContent | undefined;
  #helo = '';
  readonly #login: MxLogin;
  #mail: { address: string; parameters: string[] } | undefined;
  #recipients: { address: string; parameters: string[] }[] = [];
  #tried = 0;
  #messages = 0;

  constructor(socket: Socket, given: MxSessionOptions) {
    this.#socket = socket;
    this.#given = given;
    this.#login = new MxLogin(given.options.auth);
  }

  start(): void {
    if (this.#given.options.tls?.implicit === true) this.#startTls(() => this.#greet());
    else {
      this.#listen();
      this.#greet();
    }
  }

  destroy(): void {
    this.#deaf = true;
    this.#socket.destroy();
  }

  #greet(): void {
    void this.#reply('greeting', `220 ${this.#given.options.hostname} ESMTP ready`).then(() => this.#pump());
  }

  #listen(): void {
    this.#socket.on('error', () => this.destroy());
    this.#socket.on('data', (chunk: Buffer) => {
      if (this.#deaf) return;
      if (this.#content !== undefined && !this.#busy) this.#content.push(chunk);
      else this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
      void this.#pump();
    });
  }

  /** One command after the other; replies of one segment leave together. */
  async #pump(): Promise<unknown> {
    if (this.#busy) return;
    this.#busy = true;
    this.#socket.cork();
    while (!this.#deaf) {
      if (this.#content !== undefined) {
        if (this.#input.length > 0) this.#content.push(this.#take(this.#input.length));
        if (!(await this.#contentEnded(this.#content))) break;
        continue;
      }
      const end = this.#input.indexOf('\r\n');
      if (end < 0) break;
      const line = this.#take(end + 2).toString('utf8', 0, end);
      if (this.#login.asks) this.#write(this.#login.next(line));
      else await this.#command(line);
    }
    this.#socket.uncork();
    this.#busy = false;
  }

  #take(length: number): Buffer {
    const taken = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return taken;
  }

  async #command(line: string): Promise<unknown> {
    const verb = (line.split(/[ :]/, 1)[0] ?? '').toUpperCase();
    this.#given.heard(`${this.#given.number} ${verb === 'AUTH' ? line.split(' ', 2).join(' ') : line}`);
    switch (verb) {
      case 'EHLO':
        this.#helo = line.slice(5);
        return this.#reply('EHLO', ehloReply(this.#given.options, this.#encrypted), line);
      case 'HELO':
        this.#helo = line.slice(5);
        return this.#reply('HELO', `250 ${this.#given.options.hostname}`, line);
      case 'STARTTLS':
        return this.#starttls(line);
      case 'AUTH':
        return this.#auth(line);
      case 'MAIL':
        return this.#mailFrom(line);
      case 'RCPT':
        return this.#rcptTo(line);
      case 'DATA':
        return this.#data(line);
      case 'RSET':
        this.#reset();
        return this.#reply('RSET', '250 2.0.0 Reset', line);
      case 'NOOP':
        return this.#reply('NOOP', '250 2.0.0 Ok', line);
      case 'QUIT':
        await this.#reply('QUIT', '221 2.0.0 Bye', line);
        if (!this.#deaf) this.#socket.end();
        return;
      default:
        return this.#write('500 5.5.1 Unknown command');
    }
  }

  get #encrypted(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  async #starttls(line: string): Promise<unknown> {
    if (this.#given.context === undefined || this.#encrypted) return this.#reply('STARTTLS', '454 4.7.0 No TLS here', line);
    if (!(await this.#reply('STARTTLS', '220 2.0.0 Go ahead', line, '220'))) return undefined;
    this.#socket.uncork();
    const action = await this.#scripted('handshake', line);
    if (action !== undefined) {
      if (this.#input.length === 0) await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')]);
      return this.#act(action);
    }
    this.#input = Buffer.alloc(0); // RFC 3207 §4.2
    this.#helo = '';
    this.#reset();
    this.#socket.removeAllListeners('data');
    return this.#startTls(() => {});
  }

  #startTls(secured: () => void): void {
    const plain = this.#socket;
    plain.on('error', () => plain.destroy());
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: this.#given.context!,
      SNICallback: (_name, done) => done(null),
    });
    this.#socket = secure;
    this.#listen();
    secure.once('secure', secured);
  }

  async #auth(line: string): Promise<unknown> {
    const action = await this.#scripted('AUTH', line);
    if (action !== undefined) return this.#act(action);
    return this.#write(this.#login.begin(line));
  }

  async #mailFrom(line: string): Promise<unknown> {
    const path = parsePath(line, /^MAIL FROM:/i);
    const refusal =
      path === undefined
        ? '501 5.5.4 Syntax'
        : this.#helo === ''
          ? '503 5.5.1 EHLO first'
          : this.#mail !== undefined
            ? '503 5.5.1 Nested MAIL'
            : this.#given.options.auth !== undefined && this.#login.user === undefined
              ? '530 5.7.0 Log in first'
              : undefined;
    if (refusal !== undefined) return this.#write(refusal);
    if (await this.#reply('MAIL', '250 2.1.0 Ok', line, '2', path!.address)) this.#mail = path;
  }

  async #rcptTo(line: string): Promise<unknown> {
    const path = parsePath(line, /^RCPT TO:/i);
    if (this.#mail === undefined) return this.#write('503 5.5.1 MAIL first');
    if (path === undefined || path.address === '') return this.#write('501 5.5.4 Syntax');
    const accepted = await this.#reply('RCPT', '250 2.1.5 Ok', line, '2', path.address);
    this.#tried++;
    if (accepted) this.#recipients.push(path);
  }

  async #data(line: string): Promise<void> {
    const usual = this.#recipients.length > 0 ? '354 End data with <CR><LF>.<CR><LF>' : '554 5.5.1 No valid recipients';
    if (await this.#reply('DATA', usual, line, '3')) this.#content = new MxContent();
  }

  /** False while the final dot has not come. */
  async #contentEnded(content: MxContent): Promise<boolean> {
    if (content.fresh && content.size > 0) {
      content.fresh = false;
      const early = await this.#scripted('content', '');
      if (early !== undefined) await this.#act(early);
      if (this.#deaf) return false;
    }
    const ended = content.end();
    if (ended === undefined) return false;
    this.#content = undefined;
    this.#input = Buffer.concat([ended.rest, this.#input]);
    const message = this.#describe(ended.data);
    this.#reset();
    if (await this.#reply('message', `250 2.0.0 Ok: taken as ${this.#given.number}.${this.#messages}`, '', '2', '', message)) {
      this.#given.took(message);
    }
    this.#messages++;
    return true;
  }

  #describe(data: Buffer): ReceivedMessage {
    const tls = this.#socket instanceof TLSSocket ? this.#socket : undefined;
    const servername = (tls as unknown as { servername?: string | false } | undefined)?.servername;
    return {
      mailFrom: this.#mail?.address ?? '',
      mailParameters: this.#mail?.parameters ?? [],
      recipients: this.#recipients,
      data,
      ...(tls && { tls: tls.getProtocol() ?? 'unknown' }),
      ...(typeof servername === 'string' && { servername }),
      helo: this.#helo,
      ...(this.#login.user !== undefined && { user: this.#login.user }),
      session: this.#given.number,
      remoteAddress: this.#socket.remoteAddress ?? '',
      receivedAt: Date.now(),
    };
  }

  #reset(): void {
    this.#mail = undefined;
    this.#recipients = [];
    this.#tried = 0;
  }

  /** Sends what the script says, or the usual reply. True where the reply began with `good`. */
  async #reply(stage: MxStage, usual: string, line = '', good = '2', address = '', message?: ReceivedMessage): Promise<boolean> {
    const action = (await this.#scripted(stage, line, address, message)) ?? usual;
    this.#act(action);
    const text =
      typeof action === 'string'
        ? action
        : 'reply' in action
          ? action.reply
          : 'raw' in action
            ? String(action.raw)
            : action.trickle;
    return text.startsWith(good);
  }

  async #scripted(stage: MxStage, line: string, address = '', message?: ReceivedMessage): Promise<MxAction> {
    const entry = this.#given.script()[stage];
    if (typeof entry !== 'function') return entry;
    const index = stage === 'RCPT' ? this.#tried : this.#messages;
    const context: MxContext = {
      session: this.#given.number,
      remote: this.#socket.remoteAddress ?? '',
      line,
      address,
      index,
      tls: this.#encrypted,
      ...(message && { message }),
    };
    return entry(context);
  }

  #act(action: NonNullable<MxAction>): void {
    if (action === 'silent') return;
    if (action === 'hang') this.#deaf = true;
    else if (action === 'close') this.destroy();
    else if (typeof action === 'string') this.#write(action);
    else if ('trickle' in action) this.#trickle(action.trickle, action.every);
    else {
      this.#socket.write('raw' in action ? action.raw : `${action.reply}\r\n`);
      if (action.thenClose !== true) return;
      this.#deaf = true;
      this.#socket.uncork();
      this.#socket.end();
    }
  }

  #write(reply: string): void {
    this.#socket.write(`${reply}\r\n`);
  }

  #trickle(text: string, every: number): void {
    let sent = 0;
    const timer = setInterval(() => {
      if (this.#socket.destroyed || sent === text.length) return clearInterval(timer);
      this.#socket.write(text.charAt(sent++));
    }, every);
  }
}
