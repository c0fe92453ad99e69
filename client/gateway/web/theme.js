// Light or dark: as the system has it, or as this person chose.

const KEY = 'steroids.theme';
const NEXT = { system: 'light', light: 'dark', dark: 'system' };

/** @type {Set<() => void>} */
const listeners = new Set();

/** Calls back when colours change. */
export function onTheme(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/** @param {HTMLElement} button */
export function startTheme(button) {
  let theme = kept() ?? 'system';
  const show = () => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const said = `Colours: ${theme}`;
    button.title = said;
    button.setAttribute('aria-label', `${said}. Change`);
    for (const listener of listeners) listener();
  };
  button.addEventListener('click', () => {
    theme = NEXT[theme] ?? 'system';
    keep(theme);
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  show();
}

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be off; the choice then lives as long as this page.
  }
}
