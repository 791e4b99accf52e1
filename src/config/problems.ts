/** The problems of a configuration, collected so that all are reported at once. Each has its place and says what to do. */
import type { ValuePlace } from './types.ts';

export type Problem = {
  /** The key, such as `submission.maxMessageSize`. Empty if the problem is about the whole file. */
  readonly path: string;
  /** Continues the sentence after the key: "must be a size such as 50MiB, not …". */
  readonly message: string;
  /** Only errors prevent the start. */
  readonly level: 'error' | 'warning';
  /** The file or the environment variable. */
  readonly source: string;
};

/** Collects problems of one source. */
export function createPlace(problems: Problem[], source: string, base: string): ValuePlace {
  return {
    path: '',
    base,
    report: (path, message) => void problems.push({ path, message, level: 'error', source }),
  };
}

/** One line for people. */
export function formatProblem({ path, message, level, source }: Problem): string {
  const parts = [source, level === 'warning' ? 'warning' : '', path].filter((part) => part !== '');
  return `${parts.join(': ')}${path === '' ? ': ' : ' '}${message}`;
}
