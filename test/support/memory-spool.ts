/** Large bodies of a store in memory. */
import { randomBytes } from 'node:crypto';
import type { SpoolWriter } from '../../src/store/store.ts';

const READ = 128 * 1024;

export async function createMemorySpool(): Promise<SpoolWriter> {
  let chunks: Buffer[] | undefined = [];
  const open = () => {
    if (chunks === undefined) throw new Error('This spool file was finished or given up');
    return chunks;
  };
  return {
    async write(chunk) {
      open().push(Buffer.from(chunk)); // the caller may use its memory again
    },
    async finish() {
      const body = Buffer.concat(open());
      chunks = undefined;
      return {
        name: randomBytes(16).toString('hex'),
        size: body.length,
        async *read(memory) {
          const length = memory?.byteLength ?? READ;
          for (let at = 0; at < body.length; at += length) {
            const part = body.subarray(at, at + length);
            if (memory === undefined) yield Buffer.from(part);
            else yield memory.subarray(0, part.copy(memory));
          }
        },
      };
    },
    async abort() {
      chunks = undefined;
    },
  };
}
