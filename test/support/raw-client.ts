/** A client that sends exactly the bytes it is told to, and reads whole replies. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

const PATIENCE = 10_000;

export class RawClient {
  socket: Socket | TLSSocket;
  #received = '';
  #closed = false;
  /** Replies that came, whole. */
  readonly transcript: string[] = [];
  #wake = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    this.#listen(socket);
  }

  static clear(port: number, localAddress = '127.0.0.1'): RawClient {
    return new RawClient(connectTcp({ port, host: '127.0.0.1', localAddress }));
  }

  static async tls(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes);
  }

  /** The next reply with all its lines, joined by `\n`, without the last CRLF. Rejects where the connection closes first. */
  async reply(): Promise<string> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const found = /^(?:[0-9]{3}-[^\r\n]*\r\n)*[0-9]{3}(?: [^\r\n]*)?\r\n/.exec(this.#received);
      if (found !== null) {
        this.#received = this.#received.slice(found[0].length);
        const reply = found[0].slice(0, -2).replaceAll('\r\n', '\n');
        this.transcript.push(reply);
        return reply;
      }
      if (this.#closed)
        throw new Error(`closed, after ${JSON.stringify(this.transcript.at(-1))}, with ${JSON.stringify(this.#received)}`);
      await this.#change(deadline);
    }
  }

  /** Sends a line and reads its reply. */
  async ask(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return this.reply();
  }

  /** Sends lines one after the other; the code and status of each reply. */
  async askAll(lines: readonly string[]): Promise<string[]> {
    const codes: string[] = [];
    for (const line of lines) codes.push(codeOf(await this.ask(line)));
    return codes;
  }

  /** Received data that are no complete reply yet. */
  get unread(): string {
    return this.#received;
  }

  async closed(): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!this.#closed) await this.#change(deadline);
  }

  async startTls(): Promise<void> {
    const reply = await this.ask('STARTTLS');
    if (!reply.startsWith('220')) throw new Error(reply);
    await this.upgrade();
  }

  async upgrade(options: ConnectionOptions = {}): Promise<void> {
    this.socket.removeAllListeners('data');
    this.socket.removeAllListeners('close');
    const secured = connectTls({ socket: this.socket, rejectUnauthorized: false, ...options });
    this.socket = secured;
    this.#listen(secured);
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      secured.once('close', () => reject(new Error('closed during the handshake')));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #change(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came, after ${this.transcript.at(-1)}`)), deadline - Date.now());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** `250 2.1.0` of `250 2.1.0 Ok`; only the code where no status follows. */
export function codeOf(reply: string): string {
  return /^[0-9]{3}(?:[ -][245]\.[0-9]+\.[0-9]+)?/.exec(reply)?.[0].replace('-', ' ') ?? reply;
}
