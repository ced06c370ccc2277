// Light or dark: as the system says, or as a person chose here before.

import { at, tell } from "./dom.js";

const KEY = "theme";
const THEMES = ["system", "light", "dark"];

/** Begin. changed(): is called when colours have changed. */
export function startTheme(changed) {
  const kept = localStorage.getItem(KEY);
  apply(THEMES.includes(kept) ? kept : THEMES[0]);
  at("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    localStorage.setItem(KEY, next);
    apply(next);
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

function apply(theme) {
  document.documentElement.dataset.theme = theme;
  tell(at("theme"), `Theme: ${theme}`);
}
