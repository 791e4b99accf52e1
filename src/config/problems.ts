/** What is wrong with a configuration: all of it at once, each with its place and what to do. */
import type { ValuePlace } from './types.ts';

export type Problem = {
  /** The key: `submission.maxMessageSize`; empty where the file as a whole is meant. */
  readonly path: string;
  /** Reads on after the key: "must be a size such as 50MiB, not …". */
  readonly message: string;
  /** Warnings stop nothing. */
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
