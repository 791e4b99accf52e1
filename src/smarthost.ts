#!/usr/bin/env node
/** The command line. Whatever must be set before the first module loads is set here. */
import { availableParallelism } from 'node:os';

// RSA and argon2 run in libuv's pool, and file reads must not wait behind them. The pool reads this once, at its first use.
process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(8, availableParallelism() + 4));

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19) || Number(process.versions.napi) < 10) {
  process.stderr.write(`smarthost needs Node 22.19 or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}

// node:sqlite says on every start that it is experimental; other warnings are still heard.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') process.stderr.write(`${warning.name}: ${warning.message}\n`);
});

const { keepCompiledCode } = await import('./system/code-cache.ts');
keepCompiledCode();

const { processIo, runCommand } = await import('./commands/commands.ts');
process.exit(await runCommand(process.argv.slice(2), processIo()));
