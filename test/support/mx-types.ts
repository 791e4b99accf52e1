/** The instructions for the small MX, and what it remembers. */
import type { SecureVersion } from 'node:tls';

/**
 * `content`: when the first bytes after 354 arrive; `message`: after the final dot; `handshake`: when the
 * client's first bytes after the 220 to STARTTLS arrive.
 */
export type MxStage =
  | 'greeting'
  | 'EHLO'
  | 'HELO'
  | 'STARTTLS'
  | 'handshake'
  | 'AUTH'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'content'
  | 'message'
  | 'RSET'
  | 'NOOP'
  | 'QUIT';

/**
 * A string is the reply, CRLF is added. `hang`: no reply, nothing more is read; `close`: the connection is cut; `silent`: no
 * reply, but what comes is read. `raw`: these bytes and nothing else; `trickle`: byte by byte.
 */
export type MxAction =
  | string
  | { readonly raw: string | Buffer; readonly thenClose?: boolean }
  | { readonly reply: string; readonly thenClose: true }
  | { readonly trickle: string; readonly every: number }
  | undefined;

export type MxContext = {
  /** 1 for the first connection since the start. */
  readonly session: number;
  /** The address of the client. */
  readonly remote: string;
  /** The command line; empty for greeting, content and message. */
  readonly line: string;
  /** Of MAIL and RCPT. */
  readonly address: string;
  /** Of RCPT: its index in the transaction. Of message: the number of messages of this session before it. */
  readonly index: number;
  readonly tls: boolean;
  readonly message?: ReceivedMessage;
};

/** Undefined: what a well-behaved server says. A function may take its time. */
export type MxScript = {
  readonly [Stage in MxStage]?: MxAction | ((context: MxContext) => MxAction | Promise<MxAction>);
};

export type MxServerOptions = {
  readonly address?: string;
  /** 0: any free one. */
  readonly port?: number;
  readonly hostname: string;
  /** Offers STARTTLS, or speaks TLS from the first byte where `implicit`. PEM. */
  readonly tls?: {
    readonly key: string | Buffer;
    readonly cert: string | Buffer;
    readonly implicit?: boolean;
    readonly minVersion?: SecureVersion;
  };
  /** Lines of the EHLO reply besides STARTTLS and AUTH. Default: PIPELINING, SIZE 104857600, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, DSN. */
  readonly extensions?: readonly string[];
  /** Plays an upstream: MAIL needs a login. `clear` offers it without TLS too. */
  readonly auth?: {
    readonly user: string;
    readonly password: string;
    readonly mechanisms?: readonly ('PLAIN' | 'LOGIN')[];
    readonly clear?: boolean;
  };
  readonly script?: MxScript;
  /** Messages remembered, the oldest are forgotten first. */
  readonly keep?: number;
  readonly onMessage?: (message: ReceivedMessage) => void;
};

export type ReceivedMessage = {
  /** Without angle brackets; empty for the null reverse-path. */
  readonly mailFrom: string;
  /** As received: `SIZE=1000`, `BODY=8BITMIME`. */
  readonly mailParameters: readonly string[];
  readonly recipients: readonly { readonly address: string; readonly parameters: readonly string[] }[];
  /** The bytes between 354 and the final dot, dots unstuffed, nothing else touched. */
  readonly data: Buffer;
  /** `TLSv1.3`; absent in clear. */
  readonly tls?: string;
  /** The name in SNI, where one was given. */
  readonly servername?: string;
  /** Argument of EHLO or HELO. */
  readonly helo: string;
  readonly user?: string;
  readonly session: number;
  /** The address that the client came from. */
  readonly remoteAddress: string;
  readonly receivedAt: number;
};
