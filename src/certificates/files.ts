/** Certificates from files that are watched for changes. A new pair that is not valid is not served until it is. */
import { readFile, stat } from 'node:fs/promises';
import type { EventLog } from '../events/events.ts';
import { SECOND } from '../system/clock.ts';
import { CertificateError, type Pair, toPair } from './pair.ts';

export type PairFiles = { readonly certificate: string; readonly key: string };

type FilePairs = {
  /** @throws CertificateError if a pair that is loaded for the first time is not valid. */
  load(files: readonly PairFiles[], how?: { readonly force: boolean }): Promise<readonly Pair[]>;
  /** The reason why a changed pair is not served. */
  errorOf(pair: Pair): string | null;
};

type Entry = { readonly files: PairFiles; pair: Pair; seen: string; readAt: number; error: string | null };

/** Two writes within one tick of the file system's clock look the same, so a file that is younger than this is read again. */
const SETTLED = 2 * SECOND;

export function createFilePairs({ log, now }: { log: EventLog; now: () => number }): FilePairs {
  const entries = new Map<string, Entry>();

  async function look(files: PairFiles, force: boolean): Promise<Pair> {
    const name = `${files.certificate}\n${files.key}`;
    const entry = entries.get(name);
    const { text: seen, newest } = await signature(files);
    if (entry === undefined) {
      const pair = await readPair(files);
      entries.set(name, { files, pair, seen, readAt: Date.now(), error: null });
      return pair;
    }
    const settled = seen === entry.seen && entry.error === null && newest < entry.readAt - SETTLED;
    if (settled && !force) return entry.pair;
    try {
      const readAt = Date.now();
      entry.pair = refuseEnded(await readPair(files), entry.pair, now());
      Object.assign(entry, { seen, readAt, error: null });
    } catch (error) {
      const { message } = error as Error;
      if (message !== entry.error) log.certificate({ action: 'kept', keyType: entry.pair.keyType, error: message });
      entry.error = message;
    }
    return entry.pair;
  }
  return {
    load: (files, { force } = { force: false }) => Promise.all(files.map((pair) => look(pair, force))),
    errorOf: (pair) => [...entries.values()].find((entry) => entry.pair === pair)?.error ?? null,
  };
}

/** An expired certificate does not replace a valid one. */
function refuseEnded(next: Pair, before: Pair, now: number): Pair {
  if (next.notAfter <= now && before.notAfter > now)
    throw new CertificateError(`tls.files: the new certificate ended on ${new Date(next.notAfter).toISOString()}`);
  return next;
}

/** Changes when a file changes. Links are followed, because renewal tools point them at new files. */
async function signature(files: PairFiles): Promise<{ text: string; newest: number }> {
  const facts = await Promise.all(
    [files.certificate, files.key].map((path) =>
      stat(path).then(
        ({ ino, size, mtimeMs, ctimeMs }) => ({
          text: `${ino} ${size} ${mtimeMs} ${ctimeMs}`,
          newest: Math.max(mtimeMs, ctimeMs),
        }),
        (error: NodeJS.ErrnoException) => ({ text: String(error.code), newest: 0 }), // the read that follows reports the error
      ),
    ),
  );
  return { text: facts.map(({ text }) => text).join(), newest: Math.max(...facts.map(({ newest }) => newest)) };
}

async function readPair({ certificate, key }: PairFiles): Promise<Pair> {
  const [chain, secret] = await Promise.allSettled([readText(certificate, 'certificate'), readText(key, 'key')]);
  if (chain.status === 'rejected' || secret.status === 'rejected') {
    const causes = [chain, secret].flatMap((read) => (read.status === 'rejected' ? [read.reason as CertificateError] : []));
    throw new CertificateError(causes.map(({ message }) => message).join('; '), { cause: causes[0] }); // reports both problems together
  }
  try {
    return toPair({ certificate: chain.value, key: secret.value });
  } catch (cause) {
    throw new CertificateError(`tls.files: ${certificate} and ${key}: ${(cause as Error).message}`, { cause });
  }
}

async function readText(path: string, what: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CertificateError(`tls.files: the ${what} ${path} cannot be read (${cause.code})`, { cause });
  });
}
