/** Begins: language, session, frame. */
import { h, render } from 'preact';
import { App } from './app.ts';
import { startKeyboard } from './keyboard.ts';
import { PAGES } from './pages.ts';
import { openHelp } from './parts/frame.ts';
import { keepLogin } from './parts/login-again.ts';
import { startRouter } from './router.ts';
import { loadSession } from './session.ts';
import { bestLanguage, speak } from './texts.ts';

const chosen = localStorage.getItem('smarthost-language');
const spoken = bestLanguage([...(chosen === null ? [] : [chosen]), ...navigator.languages]);
document.documentElement.lang = spoken;
keepLogin();
startRouter();
startKeyboard({
  pages: new Map(PAGES.flatMap(({ letter, path }) => (letter === undefined ? [] : [[letter, path] as const]))),
  help: openHelp,
});
await Promise.all([speak(spoken), loadSession()]);
render(h(App, {}), document.getElementById('app')!);
