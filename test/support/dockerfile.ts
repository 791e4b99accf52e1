/** Runs the steps of a Dockerfile in Debian roots, for machines without a container engine: FROM, RUN, COPY, WORKDIR and others. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { copyRoot, type DebianRoot } from './debian-root.ts';

const MINUTE = 60_000;

export type Instruction = { readonly word: string; readonly rest: string };
export type Image = {
  readonly root: DebianRoot;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly health: readonly string[];
  readonly volumes: readonly string[];
};

/** Comments and empty lines are gone, continued lines are one. */
export function readDockerfile(path: string): readonly Instruction[] {
  const text = readFileSync(path, 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      return { word, rest: rest.trim() };
    });
}

/** The files that `.dockerignore` allows. The one of this project excludes everything except the names with `!`. */
export function contextOf(checkout: string): string {
  const [first, ...names] = readFileSync(join(checkout, '.dockerignore'), 'utf8').trim().split('\n');
  if (first !== '*' || !names.every((name) => name.startsWith('!')))
    throw new Error('.dockerignore: a form that is not known here');
  const context = mkdtempSync(join(tmpdir(), 'smarthost-context-'));
  for (const name of names) cpSync(join(checkout, name.slice(1)), join(context, name.slice(1)), { recursive: true });
  return context;
}

/** @param base the root that every FROM starts from @throws Error at the first step that fails, or is not known here */
export async function buildImage(instructions: readonly Instruction[], context: string, base: DebianRoot): Promise<Image> {
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const { word, rest } of instructions) {
    if (word === 'FROM') {
      const name = / AS (\S+)$/.exec(rest)?.[1] ?? 'last';
      stage = newStage(copyRoot(base));
      stages.set(name, stage);
    } else
      await step(stage!, { word, rest }, { context, stages }).catch((error: unknown) => {
        for (const { root } of stages.values()) root.remove();
        throw error;
      });
  }
  for (const other of stages.values()) if (other !== stage) other.root.remove();
  return stage!;
}

type Stage = { -readonly [key in keyof Image]: Image[key] } & { workdir: string };

const newStage = (root: DebianRoot): Stage => ({
  root,
  user: 'root',
  entrypoint: [],
  command: [],
  health: [],
  volumes: [],
  workdir: '/',
});

type Around = { readonly context: string; readonly stages: ReadonlyMap<string, Stage> };

async function step(stage: Stage, { word, rest }: Instruction, around: Around): Promise<void> {
  switch (word) {
    case 'RUN': {
      const script = `cd ${stage.workdir}; ${rest}`;
      const { code, stdout, stderr } = await stage.root.run(['sh', '-c', script], { timeout: 30 * MINUTE });
      if (code !== 0) throw new Error(`RUN ${rest}: exit ${code}\n${stderr}${stdout}`);
      return;
    }
    case 'WORKDIR':
      mkdirSync(join(stage.root.path, rest), { recursive: true });
      stage.workdir = rest;
      return;
    case 'COPY':
      return copy(stage, rest, around);
    case 'USER':
      stage.user = rest;
      return;
    case 'VOLUME':
      stage.volumes = [...stage.volumes, rest];
      return;
    case 'ENTRYPOINT':
      stage.entrypoint = JSON.parse(rest) as string[];
      return;
    case 'CMD':
      stage.command = JSON.parse(rest) as string[];
      return;
    case 'HEALTHCHECK':
      stage.health = JSON.parse(rest.slice(rest.indexOf('CMD') + 3)) as string[];
      return;
    case 'EXPOSE':
    case 'STOPSIGNAL':
      return;
    default:
      throw new Error(`${word}: a step that is not known here`);
  }
}

/** A folder's content goes into the target, a file goes below a target that is a folder, or becomes it. */
function copy(stage: Stage, rest: string, { context, stages }: Around): void {
  const words = rest.split(/\s+/);
  const from = words[0]!.startsWith('--from=') ? stages.get(words.shift()!.slice(7))!.root.path : context;
  const target = words.pop()!;
  const place = join(stage.root.path, target.startsWith('/') ? target : join(stage.workdir, target));
  for (const source of words.map((word) => join(from, word))) {
    const isFolder = existsSync(join(source, '.')) && readdirOf(source) !== undefined;
    const into = !isFolder && target.endsWith('/') ? join(place, basename(source)) : place;
    cpSync(source, into, { recursive: true, verbatimSymlinks: true });
  }
}

function readdirOf(path: string): readonly string[] | undefined {
  try {
    return readdirSync(path);
  } catch {
    return undefined; // a file
  }
}

export function removeContext(context: string): void {
  chmodSync(context, 0o700);
  rmSync(context, { recursive: true, force: true });
}
